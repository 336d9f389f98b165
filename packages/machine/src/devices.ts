/**
 * The hardware from outside: functions by their addresses, cards that are put in and taken out, and the slots' buttons.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { SlotAddress } from '@nvme-stack/platform-sim/ports';
import type { Composition } from './compose.js';
import { type MachineNvme, validateController } from './description.js';
import { deviceFaults } from './device-faults.js';
import { withProperties } from './device-properties.js';
import type { JournalRecorder } from './journal.js';
import type { ExternalBoard, MachineDevice, MachineSlot, Subsystems } from './ports.js';
import { checkVfPlace } from './vf-places.js';

/** How far ahead `settle` looks for work, in nanoseconds: not as far as to what looks after a controller every second. */
export const SETTLE_HORIZON_NS = 0.7e9;
const PCI_FUNCTIONS = 8;
const SLOTS_DIRECTORY = '/sys/bus/pci/slots';

type Caller = JournalRecorder['call'];

const twoDigits = (value: number): string => value.toString(16).padStart(2, '0');

/** `0000:01:00.0` */
function bdfText(bus: number, devfn: number): string {
  return `0000:${twoDigits(bus)}:${twoDigits(devfn >>> 3)}.${devfn & 7}`;
}

/** The function at `domain:bus:device.function`, the domain may be left out. Throws ENODEV. */
export function deviceAt(subsystems: Subsystems, address: string, call: Caller): MachineDevice {
  const match = /^(?:([0-9a-f]{4}):)?([0-9a-f]{2}):([01][0-9a-f])\.([0-7])$/i.exec(address);
  const [, domain = '0000', bus, device, fn] = match ?? [];
  const number = Number.parseInt(bus ?? '', 16);
  const devfn = Number.parseInt(device ?? '', 16) * 8 + Number(fn);
  const found = match === null || domain !== '0000' ? null : subsystems.platform.find(number, devfn);
  if (found === null) throw new KernelError('ENODEV', `there is no PCI function ${address}`);
  return deviceOf(subsystems, bdfText(number, devfn), found.function, found.address, call);
}

function deviceOf(
  subsystems: Subsystems,
  bdf: string,
  fn: MachineDevice['function'],
  place: SlotAddress | null,
  call: Caller,
): MachineDevice {
  const { pciBus, platform } = subsystems;
  const takeOut = (): void => {
    if (place === null) throw new RangeError(`${bdf} is a port; allowed: a function in a slot`);
    platform.unplug(place);
  };
  return {
    bdf,
    get pdev() {
      return pciBus.pciGetDevice(bdf);
    },
    function: fn,
    get faults() {
      return deviceFaults(fn, bdf, call);
    },
    unplug: () => call('device.unplug', [bdf], async () => takeOut()),
    eject: () =>
      call('device.eject', [bdf], async () => {
        await letGo(subsystems, bdf);
        takeOut();
      }),
  };
}

/** The driver lets go of it, and its slot of the power: by the slot's file, or where no slot is served by its own. */
async function letGo({ deviceCore: { sysfs } }: Subsystems, bdf: string): Promise<void> {
  const slots = sysfs.exists(SLOTS_DIRECTORY) ? sysfs.list(SLOTS_DIRECTORY) : [];
  const address = bdf.slice(0, bdf.lastIndexOf('.'));
  const slot = slots.find((name) => sysfs.read(`${SLOTS_DIRECTORY}/${name}/address`).trim() === address);
  if (slot !== undefined) await sysfs.write(`${SLOTS_DIRECTORY}/${slot}/power`, '0');
  else if (sysfs.exists(`/sys/bus/pci/devices/${bdf}`)) await sysfs.write(`/sys/bus/pci/devices/${bdf}/remove`, '1');
}

/** The slot of a port, by the port's name. Throws a RangeError for a port that is not there or has none. */
export function slotOf(subsystems: Subsystems, port: string, call: Caller): MachineSlot {
  const { platform } = subsystems;
  const place: SlotAddress = { port };
  platform.functionAt(place);
  return {
    port,
    get device() {
      const fn = platform.functionAt(place);
      return fn === null ? null : deviceOf(subsystems, bdfText(platform.busNumber(place), 0), fn, place, call);
    },
    pressAttentionButton: () =>
      call('slot.pressAttentionButton', [port], async () => platform.pressAttentionButton(place)),
  };
}

/** Puts another controller into its place, and lets the machine find it. */
export async function plug(
  { subsystems, door, board, makeController }: Composition,
  nvme: MachineNvme,
  call: Caller,
): Promise<MachineDevice> {
  const { platform } = subsystems;
  validateController(nvme, 'machine.plug');
  const place = placeFor(subsystems, nvme);
  if (place.slot !== undefined)
    checkVfPlace('machine.plug', withProperties(nvme, 'machine.plug'), place.slot * 8, (devfn) => {
      return platform.functionAt({ slot: devfn >>> 3, fn: devfn & 7 }) !== null;
    });
  const own = board === null ? makeController(nvme) : null;
  await call('plug', [{ ...nvme, ...place }], async () => {
    if (own !== null) platform.plug(place, own);
    else plugOnBoard(board as ExternalBoard, subsystems, place, nvme);
  });
  await door.settle(SETTLE_HORIZON_NS);
  const fn = own ?? (platform.functionAt(place) as MachineDevice['function']);
  return deviceOf(subsystems, bdfText(platform.busNumber(place), (place.slot ?? 0) * 8), fn, place, call);
}

/** A board outside this process has controllers of its own. */
function plugOnBoard(board: ExternalBoard, { platform }: Subsystems, { port }: SlotAddress, nvme: MachineNvme): void {
  if (board.plug === undefined || port === undefined)
    throw new RangeError(
      'machine.plug.port is missing; allowed on this platform: the name of a root port with an empty slot',
    );
  board.plug(platform, port, nvme);
}

function placeFor(subsystems: Subsystems, { port, slot }: MachineNvme): SlotAddress {
  if (port !== undefined) {
    if (slot !== undefined)
      throw new RangeError(`machine.plug.slot is ${slot}; allowed: none beside port ${JSON.stringify(port)}`);
    if (subsystems.platform.functionAt({ port }) !== null)
      throw new RangeError(`machine.plug.port is ${JSON.stringify(port)}, whose slot is taken; allowed: an empty slot`);
    return { port };
  }
  const free = slot ?? freeSlot(subsystems);
  if (isTaken(subsystems, free))
    throw new RangeError(`machine.plug.slot is ${free}, which is taken; allowed: an empty slot`);
  return { slot: free };
}

function isTaken({ platform }: Subsystems, slot: number): boolean {
  let taken = false;
  for (let fn = 0; fn < PCI_FUNCTIONS; fn++) taken ||= platform.functionAt({ slot, fn }) !== null;
  return taken;
}

function freeSlot(subsystems: Subsystems): number {
  for (let slot = 1; slot < 31; slot++) {
    if (!isTaken(subsystems, slot)) return slot;
  }
  throw new KernelError('ENOSPC', 'every PCI slot is taken');
}
