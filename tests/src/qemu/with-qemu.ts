/** A machine on QEMU for a test, and its end: every test leaves no QEMU and no file behind. */
import { readdirSync } from 'node:fs';
import { createMachine, type Machine, type MachineDescription } from '@nvme-stack/machine';
import { type QemuBoardOptions, qemuBoard } from '@nvme-stack/machine/node';
import { type Qemu, type QemuOptions, qemuMissing, startQemu } from '@nvme-stack/platform-qemu/node';

/** Why these tests are skipped; null: they run. */
export const missing = qemuMissing();
if (missing !== null) console.log(`skipped: ${missing}`);

export const KIB = 1024;
export const MIB = 1024 * KIB;

export interface OnQemu {
  readonly machine: Machine;
  readonly qemu: Qemu;
}

/** Runs `body` on a machine whose devices are a QEMU's, and ends both. */
export async function withQemu(
  options: QemuOptions,
  body: (on: OnQemu) => Promise<void>,
  description: MachineDescription = {},
  boardOptions: QemuBoardOptions = {},
): Promise<void> {
  await using qemu = await startQemu(options);
  const board = qemuBoard(qemu, boardOptions);
  await using machine = await createMachine({ cpus: 2, memoryMiB: 32, ...description }, { parts: { board } });
  await body({ machine, qemu });
}

/** One controller with one namespace. */
export const oneDisk = (sizeBytes = 16 * MIB): QemuOptions => ({
  controllers: [{ slot: 1, namespaces: [{ sizeBytes }] }],
});

/** Bytes that tell their place. */
export function pattern(offset: number, length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (offset + i + Math.floor((offset + i) / 253) * salt) & 0xff);
}

/** What makes a log suspicious. */
export const TROUBLE = /timeout|WARN|BUG|I\/O error|failed/i;

/** Whether two byte strings are the same; quicker than the test runner's comparison. */
export function same(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}

/** QEMU's folders there are now; one is there for a moment while a QEMU starts. */
const folders = (): string[] => readdirSync('/dev/shm').filter((name) => name.startsWith('nvme-stack-qemu-'));

/** Whether every folder there is now goes away: other tests may start QEMUs meanwhile. */
export async function foldersGo(): Promise<boolean> {
  const now = folders();
  return await eventually(() => !folders().some((name) => now.includes(name)));
}

export async function eventually(holds: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 200 && !holds(); tries++) await new Promise((resolve) => setTimeout(resolve, 25));
  return holds();
}
