import { it } from 'vitest';
import { createMachine } from '@nvme-stack/machine';
it('boots', async () => {
  const fake = { } as never;
  const machine = await createMachine({}, { parts: { blkMq: () => fake, nvmeCore: () => ({ params: [] }) as never } });
  console.log(machine.dmesg().join('\n'));
  console.log(machine.procfs.list(), machine.sysfs.list('/sys/bus/pci/devices'));
  console.log(machine.procfs.read('/proc/iomem'));
  console.log(machine.trace.entries.filter(e=>e.kind==='function').slice(0,60).map(e=>'  '.repeat(e.depth)+e.symbol).join('\n'));
});
