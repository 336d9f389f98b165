import { it } from 'vitest';
import { createMachine } from '@nvme-stack/machine';
it('x', async () => {
  for (const [seed, interleave, cpus] of [[1,false,4],[2,false,4],[1,true,4],[2,true,4],[3,true,4],[1,false,1],[1,false,64],[2,true,1]] as const) {
  const m = await createMachine({ seed, interleave, cpus, nvme: [{ namespaces: [{ sizeMiB: 64 }] }] });
  await m.modprobe('nvme'); await m.settle();
  const d = m.disk('nvme0n1');
  await d.write(0, new Uint8Array(4096).fill(7));
  await d.read(0, 4096);
  await m.rmmod('nvme'); await m.rmmod('nvme_core');
  const f = (s: string) => m.trace.entries.find((e) => e.symbol === s);
  const drv = m.uevents.filter((u) => JSON.stringify(u).includes('drivers/nvme'));
  console.log(seed, interleave, cpus, m.trace.hash(), m.nowNs, f('nvme_probe')?.startNs, f('nvme_probe')?.cpu, m.leaks().length, JSON.stringify(drv.slice(0, 2)), m.trace.entries.length);
  }
});
