/** From insmod to the first I/O, in host time: once in a fresh process, then warm. */
import { createMachine } from '@nvme-stack/machine';

const WARM_UP_ROUNDS = 15;
const ROUNDS = 11;

/** Milliseconds of host time. */
export interface InsmodTimes {
  readonly bootMs: number;
  readonly coldMs: number;
  readonly warmMs: number;
}

async function once(): Promise<{ bootMs: number; insmodMs: number }> {
  const start = performance.now();
  const machine = await createMachine({ nvme: [{ preset: 'qemu-7.2', namespaces: [{ sizeMiB: 64 }] }] });
  const booted = performance.now();
  await machine.modprobe('nvme');
  await machine.disk('nvme0n1').read(0, 4096);
  const end = performance.now();
  machine.close();
  return { bootMs: booted - start, insmodMs: end - booted };
}

/** Measures with the default machine: full checks, full trace. */
export async function measureInsmod(): Promise<InsmodTimes> {
  const cold = await once();
  for (let i = 0; i < WARM_UP_ROUNDS; i++) await once();
  const warm: number[] = [];
  for (let i = 0; i < ROUNDS; i++) warm.push((await once()).insmodMs);
  warm.sort((a, b) => a - b);
  return { bootMs: cold.bootMs, coldMs: cold.insmodMs, warmMs: warm[ROUNDS >> 1] as number };
}
