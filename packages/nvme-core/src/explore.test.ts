import { expect, it } from 'vitest';
import { createTestMachine } from './testing/test-machine.js';
import { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH, REQ_OP_DISCARD, REQ_OP_WRITE_ZEROES, REQ_FUA } from '@nvme-stack/blk-mq/ports';
it('x', async () => {
    const machine = createTestMachine();
    machine.kernel.live.baseline();
    const transport = machine.transport({ namespaces: [{ nsid: 1, blocks: 2048 }, { nsid: 3, blocks: 512, lbaShift: 12 }] });
    const log = (x: unknown) => process.stdout.write(String(x) + '\n');
    try {
    await machine.run(async () => {
      await machine.core.nvmeCoreInit({});
      await transport.probe();
      const d = new Uint8Array(4096).fill(7);
      log(await machine.io('nvme0n2', REQ_OP_WRITE | REQ_FUA, 8, d));
      const e = new Uint8Array(4096);
      log(await machine.io('nvme0n2', REQ_OP_READ, 8, e)); log(e[5]);
      log(await machine.io('nvme0n1', REQ_OP_FLUSH, 0, new Uint8Array(0)));
      log(await machine.io('nvme0n1', REQ_OP_READ, 2048-8, new Uint8Array(8192)));
    });
    await machine.door.settle(1e9);
    } finally {
    for (const e of machine.kernel.trace.entries) if (e.kind==='nvme') log(e.symbol+': '+e.text);
    log(machine.dmesg().join('\n'));
    const walk = (p: string) => { for (const n of machine.deviceCore.sysfs.list(p)) { const q = p+'/'+n; const s = machine.deviceCore.sysfs.stat(q); let v=''; try { v = s.kind==='file' ? machine.deviceCore.sysfs.read(q).trim() : ''; } catch(e) { v='!'+e } log(s.kind+' '+s.mode.toString(8)+' '+q+' = '+v); if (s.kind==='dir') walk(q);} };
    walk('/sys/class/nvme/nvme0'); walk('/sys/class/nvme-subsystem'); walk('/sys/class/nvme-generic'); walk('/sys/class/hwmon');
    log(machine.deviceCore.listNodes());
    log(machine.deviceCore.uevents.map(u=>u.action+' '+u.devpath+' '+JSON.stringify(u.env)).join('\n'));
    }
    await machine.run(async () => { await transport.remove(); await machine.core.nvmeCoreExit(); });
    log(JSON.stringify(machine.kernel.live.leaks())); log(transport.freed);
    log(machine.dmesg().join('\n'));
    log(machine.tree('nvme_init_ctrl_finish').join('\n'));
    expect(1).toBe(1);
});
