/** Where each controller and function of a description comes to stand; a place is given once. */
import type { SlotAddress } from '@nvme-stack/platform-sim/ports';
import type { MachineNvme } from './description.js';
import type { MachineFunction, MachinePort, MachineRootPort } from './pci-description.js';

/** First PCI device number given to a controller that names none. */
const FIRST_NVME_SLOT = 3;

/** What needs a place. */
export interface Placed {
  readonly nvme: readonly MachineNvme[];
  readonly rootPorts: readonly MachineRootPort[];
  readonly functions: readonly MachineFunction[];
}

/** Places in the order of the description. */
export interface Places {
  readonly nvme: readonly SlotAddress[];
  readonly functions: readonly SlotAddress[];
}

/** Gives out the places. Throws a RangeError for one that is named twice or is not there, or is one of the chipset's. */
export function planPlaces(placed: Placed, chipset: 'q35' | 'none' = 'none'): Places {
  const taken = new Map<number, string>();
  const ports = portsByName(placed.rootPorts);
  const filled = new Map<string, string>();
  const takeSlot = (slot: number, path: string): SlotAddress => {
    if (chipset === 'q35' && slot < FIRST_NVME_SLOT) {
      throw new RangeError(
        `${path}.slot is ${slot}; allowed are ${FIRST_NVME_SLOT} to 30, those before are the chipset's`,
      );
    }
    const other = taken.get(slot);
    if (other !== undefined) {
      throw new RangeError(`${path}.slot is ${slot}; allowed is one that ${other} does not have`);
    }
    taken.set(slot, path.replace('machine.', ''));
    return { slot };
  };
  const takePort = (port: string, path: string): SlotAddress => {
    const isSwitch = ports.get(port);
    if (isSwitch === undefined || isSwitch) {
      const names = [...ports].filter(([, one]) => !one).map(([name]) => name);
      const allowed = names.length === 0 ? 'none, rootPorts has no port with a slot' : names.join(', ');
      throw new RangeError(`${path}.port is ${JSON.stringify(port)}; allowed: ${allowed}`);
    }
    const other = filled.get(port);
    if (other !== undefined) {
      throw new RangeError(`${path}.port is ${JSON.stringify(port)}; allowed is one that ${other} does not have`);
    }
    filled.set(port, path.replace('machine.', ''));
    return { port };
  };
  placed.rootPorts.forEach(({ slot }, index) => {
    takeSlot(slot, `machine.rootPorts[${index}]`);
  });
  const place = (one: { readonly slot?: number; readonly port?: string }, path: string): SlotAddress | null => {
    if (one.port !== undefined && one.slot !== undefined) {
      throw new RangeError(`${path}.slot is ${one.slot}; allowed: none beside port ${JSON.stringify(one.port)}`);
    }
    if (one.port !== undefined) return takePort(one.port, path);
    return one.slot === undefined ? null : takeSlot(one.slot, path);
  };
  const nvme = placed.nvme.map((one, index) => place(one, `machine.nvme[${index}]`));
  const functions = placed.functions.map((one, index) => place(one, `machine.functions[${index}]`));
  let next = FIRST_NVME_SLOT;
  const free = (): SlotAddress => {
    while (taken.has(next)) next++;
    return takeSlot(next, 'machine');
  };
  return { nvme: nvme.map((one) => one ?? free()), functions: functions.map((one) => one ?? free()) };
}

/** Each port's name, and whether a switch is behind it. Throws a RangeError for a name that is there twice. */
function portsByName(rootPorts: readonly MachineRootPort[]): Map<string, boolean> {
  const found = new Map<string, boolean>();
  const add = (port: MachinePort, name: string, path: string): void => {
    if (found.has(name)) {
      throw new RangeError(`${path}.name is ${JSON.stringify(name)}; allowed is one that no other port has`);
    }
    found.set(name, port.switch !== undefined);
    port.switch?.forEach((one, index) => {
      add(one, one.name ?? `${name}.${index}`, `${path}.switch[${index}]`);
    });
  };
  rootPorts.forEach((one, index) => {
    add(one, one.name ?? `port${one.slot}`, `machine.rootPorts[${index}]`);
  });
  return found;
}
