/** What the demo does: boots a machine, loads the driver, writes and reads, unloads, and keeps what was seen. */
import { createMachine, type Machine } from '@nvme-stack/machine';
import { type Interrupt, parseInterrupts } from './interrupts.js';
import type { DemoOptions } from './options.js';

export type TraceEntry = Machine['trace']['entries'][number];

const DISK = 'nvme0n1';
const CONTROLLER = 'nvme0';
const OFFSET_BYTES = 8192;
const LENGTH_BYTES = 4096;

/** One transfer of the demo. */
export interface Transfer {
  readonly operation: 'write' | 'read';
  readonly disk: string;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Virtual time. */
  readonly startNs: number;
  readonly durationNs: number;
  /** Every byte is what it should be; of a write, as read from the disk afterwards. */
  readonly verified: boolean;
  readonly entries: readonly TraceEntry[];
}

/** A whole run. */
export interface Demo {
  readonly description: Machine['description'];
  readonly seeded: boolean;
  readonly dmesg: readonly string[];
  /** State of the controller after insmod, as sysfs shows it. */
  readonly state: string;
  readonly queues: ReturnType<Machine['queues']>;
  readonly interrupts: readonly Interrupt[];
  readonly insmod: readonly TraceEntry[];
  readonly io: readonly Transfer[];
  readonly rmmod: readonly TraceEntry[];
  readonly trace: readonly TraceEntry[];
  readonly uevents: Machine['uevents'];
  readonly leaks: ReturnType<Machine['leaks']>;
  readonly traceHash: string;
  readonly endNs: number;
}

/** Runs it. Rejects with what the machine rejects with. */
export async function runDemo({ cpus, seed }: DemoOptions): Promise<Demo> {
  await using machine = await createMachine({
    cpus,
    ...(seed === null ? {} : { seed, interleave: true }),
    nvme: [{ namespaces: [{ sizeMiB: 64 }] }],
  });
  const { entries } = machine.trace;
  const since = (from: number): readonly TraceEntry[] => entries.slice(from);

  const boot = entries.length;
  await machine.modprobe('nvme');
  await machine.settle();
  const insmod = since(boot);
  const state = machine.sysfs.read(`/sys/class/nvme/${CONTROLLER}/state`).trim();

  const io = await transfers(machine);
  const queues = machine.queues(CONTROLLER);
  const interrupts = parseInterrupts(machine.procfs.read('/proc/interrupts'));

  const loaded = entries.length;
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  await machine.settle();
  return {
    description: machine.description,
    seeded: seed !== null,
    dmesg: machine.dmesg(),
    state,
    queues,
    interrupts,
    insmod,
    io,
    rmmod: since(loaded),
    trace: since(0),
    uevents: [...machine.uevents],
    leaks: machine.leaks(),
    traceHash: machine.trace.hash(),
    endNs: machine.nowNs,
  };
}

/** One write and one read of what was written. */
async function transfers(machine: Machine): Promise<Transfer[]> {
  const disk = machine.disk(DISK);
  const data = Uint8Array.from({ length: LENGTH_BYTES }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
  const measure = async <T>(main: () => Promise<T>) => {
    const from = machine.trace.entries.length;
    const startNs = machine.nowNs;
    const value = await main();
    return { value, startNs, durationNs: machine.nowNs - startNs, entries: machine.trace.entries.slice(from) };
  };
  const { value: _, ...write } = await measure(() => disk.write(OFFSET_BYTES, data));
  const { value: bytes, ...read } = await measure(() => disk.read(OFFSET_BYTES, LENGTH_BYTES));
  const verified = bytes.length === data.length && bytes.every((byte, i) => byte === data[i]);
  const place = { disk: DISK, offsetBytes: OFFSET_BYTES, lengthBytes: LENGTH_BYTES, verified };
  return [
    { operation: 'write', ...place, ...write },
    { operation: 'read', ...place, ...read },
  ];
}
