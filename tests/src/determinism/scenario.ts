/**
 * One scenario at a machine, from insmod to rmmod, that checks every byte it reads. It uses the front door alone and
 * nothing of its host, so that the same source runs in Node and in a browser.
 */
import type { Machine, MachineDescription } from '@nvme-stack/machine';

const KIB = 1024;

/** What must be the same wherever and however often a scenario runs. */
export interface ScenarioResult {
  readonly hash: string;
  readonly items: number;
  readonly nowNs: number;
  /** Bytes that came back wrong, and things left behind by name. */
  readonly wrongBytes: number;
  readonly leaks: readonly string[];
}

/** A machine small enough to run hundreds of scenarios. */
export const SCENARIO_MACHINE: MachineDescription = {
  cpus: 4,
  memoryMiB: 16,
  seed: 7,
  nvme: [{ preset: 'qemu-7.2', namespaces: [{ sizeMiB: 4 }] }],
};

/** Bytes that tell their own place and round. */
export function pattern(offset: number, length: number, round: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => ((offset + i) * 7 + Math.floor((offset + i) / 509) + round * 31) & 0xff);
}

/** Runs insmod, I/O alone and at the same time, a reset, I/O, rmmod. `pause` is awaited between calls. */
export async function runScenario(
  machine: Machine,
  pause: () => Promise<void> = async () => {},
): Promise<ScenarioResult> {
  let wrongBytes = 0;
  const verify = (bytes: Uint8Array, offset: number, round: number): void => {
    const wanted = pattern(offset, bytes.length, round);
    for (let i = 0; i < wanted.length; i++) if (bytes[i] !== wanted[i]) wrongBytes++;
  };
  await machine.modprobe('nvme');
  await pause();
  const disk = machine.disk('nvme0n1');
  await disk.write(8 * KIB, pattern(8 * KIB, 20 * KIB, 1));
  await pause();
  verify(await disk.read(8 * KIB, 20 * KIB), 8 * KIB, 1);
  await pause();
  const offsets = [64, 72, 96, 128, 192, 320].map((at) => at * KIB);
  await Promise.all(offsets.map((at) => disk.write(at, pattern(at, 6 * KIB, 2))));
  await pause();
  for (const bytes of await Promise.all(offsets.map((at) => disk.read(at, 6 * KIB)))) {
    verify(bytes, offsets.shift() as number, 2);
  }
  await disk.flush();
  await pause();
  await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
  await pause();
  await machine.settle();
  await pause();
  verify(await disk.read(96 * KIB, 4 * KIB), 96 * KIB, 2);
  await pause();
  await machine.rmmod('nvme');
  await pause();
  await machine.rmmod('nvme_core');
  const { ex } = machine.subsystems.kernel;
  return {
    hash: machine.trace.hash(),
    items: ex.items,
    nowNs: machine.nowNs,
    wrongBytes,
    leaks: machine.leaks().map(({ kind, name, count }) => `${count} ${kind} of ${name}`),
  };
}
