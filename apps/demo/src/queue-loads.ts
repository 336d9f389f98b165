/** What the hardware queues behind a disk do: its controller's, or those of the controllers that are its paths. */
import type { Machine } from '@nvme-stack/machine';
import { parseInterrupts } from './interrupts.js';

/** What a hardware queue did. */
export interface QueueLoad {
  readonly name: string;
  /** Null: several paths shared the disk's operations, and nobody counts them by queue. */
  readonly operations: number | null;
  /** Interrupts of its vector; null: it has none. */
  readonly interrupts: number | null;
}

/** Counts at one moment. */
export interface QueueCounts {
  /** By the name of a queue's interrupt. */
  readonly interrupts: ReadonlyMap<string, number>;
  /** Operations by controller, where the disk has paths. */
  readonly paths: ReadonlyMap<string, number>;
}

export function countQueues(machine: Machine, disk: string): QueueCounts {
  const total = (counts: readonly number[]): number => counts.reduce((sum, n) => sum + n, 0);
  const lines = parseInterrupts(machine.procfs.read('/proc/interrupts'));
  const interrupts = lines.flatMap(({ name, counts }) => name.split(', ').map((one) => [one, total(counts)] as const));
  return { interrupts: new Map(interrupts), paths: new Map(pathsOf(machine, disk)) };
}

/** Since `before`; `byCpu` has the operations that each CPU made. */
export function queueLoads(
  machine: Machine,
  disk: string,
  byCpu: ReadonlyMap<number, number>,
  before: QueueCounts,
): QueueLoad[] {
  const after = countQueues(machine, disk);
  const used = [...after.paths].filter(([name, count]) => count > (before.paths.get(name) ?? 0)).map(([name]) => name);
  const controllers = after.paths.size === 0 ? [controllerOf(machine, disk)] : used;
  return controllers.flatMap((controller) =>
    machine
      .queues(controller)
      .filter(({ qid }) => qid > 0)
      .map(({ qid, cpus }) => {
        const name = `${controller}q${qid}`;
        const count = after.interrupts.get(name);
        const operations = cpus.reduce((sum, cpu) => sum + (byCpu.get(cpu) ?? 0), 0);
        return {
          name,
          operations: controllers.length === 1 ? operations : null,
          interrupts: count === undefined ? null : count - (before.interrupts.get(name) ?? 0),
        };
      }),
  );
}

/** The paths of nvme0n1 are nvme0c0n1, nvme0c1n1 and so on. */
function pathsOf(machine: Machine, disk: string): (readonly [controller: string, operations: number])[] {
  const [, subsystem, head] = /^nvme(\d+)n(\d+)$/.exec(disk) ?? [];
  const path = new RegExp(`^nvme${subsystem}c(\\d+)n${head}$`);
  return machine.sysfs.list('/sys/block').flatMap((name) => {
    const controller = path.exec(name)?.[1];
    return controller === undefined ? [] : [[`nvme${controller}`, operationsOf(machine, name)] as const];
  });
}

/** Reads and writes that a disk has completed. */
function operationsOf(machine: Machine, disk: string): number {
  const columns = machine.sysfs.read(`/sys/block/${disk}/stat`).trim().split(/\s+/).map(Number);
  return (columns[0] ?? 0) + (columns[4] ?? 0);
}

function controllerOf(machine: Machine, disk: string): string {
  return machine.sysfs.readlink(`/sys/block/${disk}/device`).split('/').at(-1) ?? '';
}
