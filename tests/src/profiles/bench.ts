/** What the profile tests share: a traced machine of one kernel, and what a run did as functions, registers and commands. */
import { REQ_OP_READ } from '@nvme-stack/blk-mq/ports';
import { Completion, complete, waitForCompletion } from '@nvme-stack/kernel';
import type { KernelProfile, TraceEntry } from '@nvme-stack/kernel/ports';
import { createMachine, type Machine, type MachineDescription, type MachineOptions } from '@nvme-stack/machine';
import { stateOf } from '../controller-state.js';

export const ALL: readonly KernelProfile[] = ['6.12', '6.1', '4.13', '4.10'];
/** Kernels whose insmod returns before the controller is live. */
export const OLD: readonly KernelProfile[] = ['4.13', '4.10'];
export const NVME_BDF = '0000:00:03.0';
export const REG_CC = 0x14;
export const REG_CSTS = 0x1c;

/** A machine with QEMU's controller, unless told. */
export function machineOf(
  profile: KernelProfile,
  more: MachineDescription = {},
  options: MachineOptions = {},
): Promise<Machine> {
  return createMachine(
    { profile, trace: 'full', nvme: [{ preset: 'qemu-7.2', namespaces: [{ sizeMiB: 8 }] }], ...more },
    options,
  );
}

/** The same with the driver loaded and the disk there. */
export async function running(...args: Parameters<typeof machineOf>): Promise<Machine> {
  const machine = await machineOf(...args);
  await machine.modprobe('nvme');
  await machine.settle();
  return machine;
}

/** What `act` left in the trace. */
export async function during(machine: Machine, act: () => Promise<unknown>): Promise<readonly TraceEntry[]> {
  const from = machine.trace.entries.length;
  await act();
  return machine.trace.entries.slice(from);
}

/** Calls of a function. */
export function calls(entries: readonly TraceEntry[], symbol: string): TraceEntry[] {
  return entries.filter((entry) => entry.kind === 'function' && entry.symbol === symbol);
}

/** Symbols of the functions, in order of entry. */
export function symbols(entries: readonly TraceEntry[]): string[] {
  return entries.filter(({ kind }) => kind === 'function').map(({ symbol }) => symbol);
}

/** The functions that were open, outermost first, when `entry` was entered. */
export function callersOf(entries: readonly TraceEntry[], entry: TraceEntry): string[] {
  const open: TraceEntry[] = [];
  for (const each of entries) {
    if (each.seq >= entry.seq) break;
    if (each.kind !== 'function' || each.pid !== entry.pid || each.context !== entry.context) continue;
    open.length = Math.min(open.length, each.depth);
    open[each.depth] = each;
  }
  return open.slice(0, entry.depth).map(({ symbol }) => symbol);
}

/** Register accesses of the board as `w14` or `r1c`; repeated reads of CSTS count once. */
export function registers(entries: readonly TraceEntry[]): string[] {
  const seen: string[] = [];
  for (const { kind, symbol, args } of entries) {
    if (kind !== 'mmio' || (args[0] as number) >= 0x1000) continue;
    const access = symbol === 'pci_nvme_mmio_write' ? 'w' : symbol === 'pci_nvme_mmio_read' ? 'r' : null;
    if (access === null) continue;
    const text = `${access}${(args[0] as number).toString(16)}`;
    if (!(text === 'r1c' && seen.at(-1) === text)) seen.push(text);
  }
  return seen;
}

/** Values written to a register, in order. */
export function writesTo(entries: readonly TraceEntry[], offset: number): number[] {
  return entries
    .filter(({ kind, symbol, args }) => kind === 'mmio' && symbol === 'pci_nvme_mmio_write' && args[0] === offset)
    .map(({ args }) => args[1] as number);
}

/** The controller's events of a name, each as an object of its fields. */
export function events(entries: readonly TraceEntry[], name: string): Record<string, number>[] {
  return entries
    .filter(({ symbol }) => symbol === `pci_nvme_${name}`)
    .map(({ fields, args }) => Object.fromEntries(fields.map((field, i) => [field, args[i] as number])));
}

/** Opcodes of the admin commands, in order. */
export function adminOpcodes(entries: readonly TraceEntry[]): number[] {
  return events(entries, 'admin_cmd').map(({ opc }) => opc as number);
}

/** Log lines of the driver without their time stamps. */
export function log(machine: Machine): string[] {
  return machine
    .dmesg()
    .map((line) => line.replace(/^\[ *[\d.]+\] /, ''))
    .filter((line) => !/^pci(_bus| )|^PCI host/.test(line));
}

/** The controller's state. */
export function state(machine: Machine): string {
  return stateOf(machine);
}

/** Unloads both modules and says what is left of them. */
export async function leftBehind(machine: Machine): Promise<unknown[]> {
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  return machine.leaks();
}

/** How many reads `plugged` makes. */
export const READS = 8;

/** Eight reads of one task under one plug, on one of two CPUs: with one hardware queue a scheduler would stand between. */
export async function plugged(machine: Machine): Promise<void> {
  await machine.task(
    'reader',
    async ({ blkMq, kernel }) => {
      const page = kernel.memory.allocPages(1, 'test');
      const found = blkMq.lookup('nvme0n1');
      if (found === null) throw new Error('no disk');
      const done = new Completion(kernel, 'eight reads');
      const plug = blkMq.blkStartPlug();
      for (let i = 0; i < READS; i++) {
        const bio = blkMq.allocBio(1);
        bio.disk = found.disk;
        bio.opf = REQ_OP_READ;
        bio.sector = i * 64;
        bio.vecAddr[0] = page;
        bio.vecLengthBytes[0] = 512;
        bio.vcnt = 1;
        bio.sizeBytes = 512;
        bio.endIo = () => complete(done);
        blkMq.submitBio(bio);
      }
      blkMq.blkFinishPlug(plug);
      for (let i = 0; i < READS; i++) await waitForCompletion(done);
      kernel.memory.freePages(page, 1);
    },
    0,
  );
}
