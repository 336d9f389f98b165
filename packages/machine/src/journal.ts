/**
 * The journal: every call at the front door with the moment it came at. A run is its description and its journal, so
 * replaying the journal gives the same run, and stepping back is replaying less of it.
 */
import type { FrontDoor, Kernel } from '@nvme-stack/kernel';
import type { MachineDescription } from './description.js';
import type { Journal, JournalCall, Machine, MachineOptions } from './ports.js';

/** Wraps the front door's calls so that each is written down first. */
export class JournalRecorder {
  private readonly description: MachineDescription;
  private readonly kernel: Kernel;
  private readonly door: FrontDoor;
  private readonly calls: JournalCall[] = [];

  constructor(description: MachineDescription, kernel: Kernel, door: FrontDoor) {
    this.description = description;
    this.kernel = kernel;
    this.door = door;
  }

  call<T>(method: string, args: readonly unknown[], main: () => Promise<T>): Promise<T> {
    const { ex } = this.kernel;
    this.calls.push({ items: ex.items, timeNs: ex.now(), method, args: withoutBlankEnd(args) });
    return this.door.call(method, main);
  }

  journal(): Journal {
    return { description: this.description, calls: [...this.calls] };
  }
}

/** The arguments that were given; what is left out at the end would be null in a copy as JSON. */
function withoutBlankEnd(args: readonly unknown[]): unknown[] {
  let length = args.length;
  while (length > 0 && args[length - 1] === undefined) length--;
  return args.slice(0, length);
}

/** Calls a method of the journal on a machine, as it was called. */
async function repeat(machine: Machine, { method, args }: JournalCall): Promise<unknown> {
  const [first, second, third, fourth] = args as [never, never, never, never];
  switch (method) {
    case 'disk.read':
      return machine.disk(first).read(second, third);
    case 'disk.write':
      return machine.disk(first).write(second, third, fourth);
    case 'disk.flush':
      return machine.disk(first).flush();
    case 'disk.discard':
      return machine.disk(first).discard(second, third);
    case 'disk.writeZeroes':
      return machine.disk(first).writeZeroes(second, third);
    case 'sysfs.cat':
      return machine.sysfs.cat(first);
    case 'sysfs.write':
      return machine.sysfs.write(first, second);
    case 'cpu.offline':
      return machine.cpu(first).offline();
    case 'cpu.online':
      return machine.cpu(first).online();
    case 'device.unplug':
      return machine.device(first).unplug();
    case 'device.eject':
      return machine.device(first).eject();
    case 'slot.pressAttentionButton':
      return machine.slot(first).pressAttentionButton();
    case 'device.faults.set':
      return machine.device(first).faults.set(second);
    case 'device.faults.add':
      return machine.device(first).faults.add(second);
    case 'device.faults.clear':
      return machine.device(first).faults.clear();
    default: {
      const call = (machine as unknown as Record<string, (...rest: unknown[]) => Promise<unknown>>)[method];
      if (call === undefined)
        throw new RangeError(`journal: method is ${JSON.stringify(method)}; the front door has no such call`);
      return call.apply(machine, [...args]);
    }
  }
}

/**
 * Replays a journal up to `untilNs` of virtual time (default: all of it) on a new machine. Calls that failed fail again,
 * silently. Each call comes at the item it came at, so the trace is the same, entry for entry.
 */
export async function replayJournal(
  create: (description: MachineDescription, options: MachineOptions) => Promise<Machine>,
  journal: Journal,
  untilNs: number,
  options: MachineOptions,
  doorOf: (machine: Machine) => FrontDoor,
): Promise<Machine> {
  const machine = await create(journal.description, options);
  const outstanding: Promise<unknown>[] = [];
  for (const call of journal.calls) {
    if (call.timeNs > untilNs) break;
    await doorOf(machine).runUntilItems(call.items);
    outstanding.push(repeat(machine, call).catch(() => {}));
  }
  if (untilNs === Number.POSITIVE_INFINITY) await Promise.all(outstanding);
  else await doorOf(machine).runUntilTime(untilNs);
  return machine;
}
