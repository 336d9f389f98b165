/** A run in steps: boot and load, write and read, load every queue, read an image, unload. Each step keeps what was seen. */
import type { Machine } from '@nvme-stack/machine';
import { type Interrupt, parseInterrupts } from './interrupts.js';

export type TraceEntry = Machine['trace']['entries'][number];
export type QueueInfo = ReturnType<Machine['queues']>[number];
export type Leak = ReturnType<Machine['leaks']>[number];

/** A disk that the driver found. */
export interface FoundDisk {
  readonly name: string;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  /** It may stand on a file of the caller's. */
  readonly onImage: boolean;
  readonly partitions: readonly { readonly name: string; readonly startSector: number; readonly sectors: number }[];
}

/** What a controller looks like from outside. */
export interface FoundController {
  readonly name: string;
  /** Its PCI address. */
  readonly address: string;
  readonly state: string;
  readonly queues: readonly QueueInfo[];
}

/** After `modprobe nvme`. */
export interface Loaded {
  readonly dmesg: readonly string[];
  readonly entries: readonly TraceEntry[];
  readonly controllers: readonly FoundController[];
  readonly disks: readonly FoundDisk[];
  readonly interruptsText: string;
  readonly interrupts: readonly Interrupt[];
  readonly uevents: Machine['uevents'];
}

/** After `rmmod`. */
export interface Unloaded {
  readonly dmesg: readonly string[];
  readonly entries: readonly TraceEntry[];
  /** What the modules had made and not yet given back, before and after. */
  readonly held: readonly Leak[];
  readonly leaks: readonly Leak[];
  /** As they were before, after all I/O. */
  readonly controllers: readonly FoundController[];
  readonly interrupts: readonly Interrupt[];
}

/** Loads the driver and waits until nothing more happens. */
export async function load(machine: Machine): Promise<Loaded> {
  const from = machine.trace.entries.length;
  await machine.modprobe('nvme');
  await machine.settle();
  const interruptsText = machine.procfs.read('/proc/interrupts');
  return {
    dmesg: machine.dmesg(),
    entries: machine.trace.entries.slice(from),
    controllers: findControllers(machine),
    disks: namesIn(machine, '/sys/block')
      .filter((name) => machine.sysfs.read(`/sys/block/${name}/hidden`).trim() === '0')
      .map((name) => disk(machine, name)),
    interruptsText,
    interrupts: parseInterrupts(interruptsText),
    uevents: [...machine.uevents],
  };
}

/** Unloads both modules. */
export async function unload(machine: Machine): Promise<Unloaded> {
  const from = machine.trace.entries.length;
  const lines = machine.dmesg().length;
  const held = machine.leaks();
  const controllers = findControllers(machine);
  const interrupts = parseInterrupts(machine.procfs.read('/proc/interrupts'));
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  await machine.settle();
  return {
    dmesg: machine.dmesg().slice(lines),
    entries: machine.trace.entries.slice(from),
    held,
    leaks: machine.leaks(),
    controllers,
    interrupts,
  };
}

/** Names in a directory of sysfs; none when it does not exist. */
function namesIn(machine: Machine, path: string): string[] {
  return machine.sysfs.exists(path) ? machine.sysfs.list(path).sort(byNumber) : [];
}

/** `nvme2` before `nvme10`. */
function byNumber(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}

function findControllers(machine: Machine): FoundController[] {
  return machine
    .controllers()
    .map((one) => ({ ...one, queues: machine.queues(one.name) }))
    .sort((a, b) => byNumber(a.name, b.name));
}

function disk(machine: Machine, name: string): FoundDisk {
  const { sizeBytes, blockSizeBytes, partitions } = machine.disk(name);
  const namespaces = machine.description.nvme.flatMap((nvme) => nvme.namespaces ?? []);
  return {
    name,
    sizeBytes,
    blockSizeBytes,
    readOnly: machine.sysfs.read(`/sys/block/${name}/ro`).trim() !== '0',
    // Which namespace is behind a name depends on the order of probes: where there is an image, every disk may be it.
    onImage: namespaces.some(({ file }) => file !== undefined),
    partitions: partitions.map(({ name: part, startSector, sectors }) => ({ name: part, startSector, sectors })),
  };
}
