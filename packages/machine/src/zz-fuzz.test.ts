import { sleepNs } from '@nvme-stack/kernel';
import { expect, it } from 'vitest';
import { createMachine } from './index.js';

it.each(Array.from({ length: 150 }, (_, n) => n + 1000))('fuzz %i', async (seed) => {
  const latency = { kind: 'fixed', readNs: 30_000, writeNs: 40_000 } as const;
  const cpus = 2 + (seed % 5);
  const machine = await createMachine({ seed, interleave: true, cpus, numaNodes: 1 + (seed % 2), trace: seed % 3 === 0 ? 'off' : 'hash', nvme: [{ latency, namespaces: [{ sizeMiB: 4 }, { sizeMiB: 4 }] , maxIoQueuePairs: 1 + (seed % 7)}] });
  await machine.modprobe('nvme', seed % 4 === 1 ? { poll_queues: 1 } : {});
  let on = true;
  const plug = (async () => {
    for (let n = 0; n < 12; n++) {
      const cpu = machine.cpu(1 + ((n * 7 + seed) % (cpus - 1)));
      await (((n * 5 + seed) % 3) === 0 ? cpu.online() : cpu.offline());
      await machine.run(30_000 * (n % 4) + 1);
    }
    on = false;
  })();
  const io = Array.from({ length: 6 }, async (_, w) => {
    const disk = machine.disk(w % 2 === 0 ? 'nvme0n1' : 'nvme0n2');
    for (let n = 0; n < 10 || on; n++) {
      const at = (w * 64 + (n % 64)) * 4096;
      await disk.write(at, new Uint8Array(4096).fill((w * 40 + (n % 64) + 1) & 255));
      expect((await disk.read(at, 4096))[17]).toBe((w * 40 + (n % 64) + 1) & 255);
      if (n % 5 === 0) await disk.flush();
      if (n > 400) throw new Error('stuck');
    }
  });
  const tasks = [1, 2, 3].filter((c) => c < cpus && machine.cpu(c).isOnline).map((c) => machine.task('t', async ({ kernel, workqueues }) => {
    for (let n = 0; n < 20; n++) { await workqueues.workOnCpu(c, async () => 1); await sleepNs(kernel, 20_000); }
  }, c));
  const reset = (async () => {
    for (let n = 0; n < 3; n++) {
      await machine.run(70_000);
      await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1').catch(() => {});
    }
  })();
  await Promise.all([plug, reset, ...io, ...tasks]);
  await Promise.all([machine.rmmod('nvme'), machine.cpu(1).offline()]);
  await machine.cpu(1).online();
  await machine.rmmod('nvme_core');
  expect(machine.leaks()).toEqual([]);
  expect(machine.dmesg().join('\n')).not.toMatch(/timeout|warn|bug|abort/i);
});
