/** The run that is compared: what was done when the captures were made, on our machine. */
import type { KernelProfile, TraceEntry } from '@nvme-stack/kernel/ports';
import type { Disk, Machine, MachineDescription } from '@nvme-stack/machine';
import { type DeviceRecord, ourRecords, writtenRecords } from './device-record.js';

/** What of the machine's front door the run uses. */
export interface GoldenMachine extends Pick<Machine, 'modprobe' | 'rmmod' | 'settle' | 'close'> {
  disk(name: string): Pick<Disk, 'read' | 'write'>;
  readonly sysfs: Pick<Machine['sysfs'], 'write'>;
  readonly trace: Pick<Machine['trace'], 'entries'>;
  /** What a device outside this process wrote of the run, as pci_nvme_* lines; absent: our own controller's events tell. */
  deviceTrace?(): string;
}

export type CreateMachine = (description: MachineDescription) => Promise<GoldenMachine>;

/** The entries of a run by what was captured at the same time. */
export interface GoldenRun {
  readonly insmod: readonly TraceEntry[];
  readonly io: readonly TraceEntry[];
  /** From modprobe to rmmod. */
  readonly whole: readonly TraceEntry[];
  /** What the device did from modprobe to rmmod. */
  readonly device: readonly DeviceRecord[];
}

/** The 4 KiB that was read then; the write began at 0. */
const READ_OFFSET_BYTES = 0x28 * 512;
const READ_BYTES = 4096;
const WRITE_BYTES = 65536;
/** How the written buffer lay in the captured machine's RAM: QEMU's trace shows the two pieces. */
const WRITE_PIECES = [4096, 61440];

/** The captured machine. */
export function capturedMachine(profile: KernelProfile): MachineDescription {
  return {
    profile,
    cpus: 4,
    seed: 1,
    trace: 'full',
    checks: 'full',
    nvme: [{ preset: 'qemu-7.2', namespaces: [{ sizeMiB: 64 }] }],
  };
}

/** Boots a machine and does what was done when the captures were made. */
export async function goldenRun(create: CreateMachine, description: MachineDescription): Promise<GoldenRun> {
  const machine = await create({ ...description, trace: 'full' });
  try {
    const at = [machine.trace.entries.length];
    const mark = async (): Promise<void> => {
      await machine.settle();
      at.push(machine.trace.entries.length);
    };
    await machine.modprobe('nvme');
    await mark();
    const disk = machine.disk('nvme0n1');
    await disk.read(READ_OFFSET_BYTES, READ_BYTES);
    await disk.write(0, new Uint8Array(WRITE_BYTES).fill(0x5a), { pieceBytes: WRITE_PIECES });
    await mark();
    await machine.sysfs.write('/sys/class/nvme/nvme0/reset_controller', '1');
    await mark();
    await machine.rmmod('nvme');
    await mark();
    const entries = machine.trace.entries.slice();
    const whole = entries.slice(at[0]);
    const written = machine.deviceTrace?.();
    const device = written === undefined ? ourRecords(whole) : writtenRecords(written);
    return { insmod: entries.slice(at[0], at[1]), io: entries.slice(at[1], at[2]), whole, device };
  } finally {
    machine.close();
  }
}
