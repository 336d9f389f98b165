import { createMachine } from '@nvme-stack/machine';
import { it } from 'vitest';

it('flush', async () => {
  const machine = await createMachine({});
  await machine.modprobe('nvme');
  console.log(machine.dmesg().slice(16).join('\n'));
  const d = machine.disk('nvme0n1');
  const n = machine.trace.entries.length;
  try {
    await d.flush();
  } catch (e) {
    console.log(e);
  }
  console.log(
    machine.trace.entries
      .slice(n)
      .map((e) => '  '.repeat(e.depth) + e.symbol + ' ' + e.args.map((x) => x.toString(16)).join(','))
      .join('\n'),
  );
  console.log(machine.dmesg().slice(-3).join('\n'));
});
it('big', async () => {
  const machine = await createMachine({ trace: 'off' });
  await machine.modprobe('nvme');
  let t = performance.now();
  const d = machine.disk('nvme0n1');
  await d.write(0, new Uint8Array(1 << 20));
  console.log('1MiB write', performance.now() - t, machine.nowNs / 1e6);
  t = performance.now();
  await d.write(0, new Uint8Array(4 << 20));
  console.log('4MiB write', performance.now() - t, machine.nowNs / 1e6);
});
