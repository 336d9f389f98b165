// Puts an NVMe controller into a PCI slot of a v86 emulator.
// Kernel counterpart: none (the board).
import { PCI_BASE_ADDRESS_0, type PciFunction } from '@nvme-stack/pci-function';
import { type Board, boardOf } from './board.js';
import { openEmulator } from './internals.js';
import type { AttachNvmeOptions, NvmeAttachment } from './ports.js';
import { Slot } from './slot.js';
import { findWindows } from './windows.js';

const FIRST_FREE_SLOT = 3;
const LAST_SLOT = 31;
/** The I/O APIC stands here; PCI windows end below it. */
const PCI_MEMORY_END = 0xfec00000;

/**
 * Attaches a controller to an emulator whose event `emulator-loaded` has come and which does not run yet. Firmware then
 * finds it on PCI bus 0, and so does any operating system. Several controllers may be attached, each to its own slot.
 * A snapshot of the emulator holds the slot's configuration space and is refused while the controller is enabled;
 * attach the same description to the same slot before `restore_state`. The controller may be wrapped, as long as what is
 * attached is a PciFunction with registers and queues behind BAR0.
 *
 * Throws a RangeError naming the option that is not allowed, or an Error if the emulator is not one it can be attached to.
 */
export function attachNvme(emulator: object, controller: PciFunction, options: AttachNvmeOptions = {}): NvmeAttachment {
  const board = boardOf(openEmulator(emulator));
  const number = checkSlot(board, options.slot);
  const barBytes = findWindows(controller).find(({ bar }) => bar === 0)?.sizeBytes ?? 0;
  const bar = checkBar(board, options.bar, barBytes);
  // A kernel that finds MSI-X where there is no local APIC to send messages to complains.
  const msix = options.msix ?? board.hasApic;
  const slot = new Slot(board, number, controller, { ...options, msix });
  slot.configWrite(PCI_BASE_ADDRESS_0, bar, 4);
  board.addSlot(slot);
  return {
    slot: number,
    barBytes,
    get bar() {
      return slot.windows[0]?.start ?? 0;
    },
    unplug: () => slot.unplug(),
  };
}

function checkSlot(board: Board, slot: number | undefined): number {
  const { devices } = board.cpu.devices.pci;
  if (slot === undefined) {
    for (let number = FIRST_FREE_SLOT; number <= LAST_SLOT; number++) if (!devices[number << 3]) return number;
    throw new RangeError('slot is not given and none is free: the emulator must have fewer PCI devices');
  }
  if (!(slot >= 1 && slot <= LAST_SLOT && slot % 1 === 0)) {
    throw new RangeError(`slot ${slot} is not allowed: it must be a whole number from 1 to ${LAST_SLOT}`);
  }
  const taken = devices[slot << 3];
  if (taken) throw new RangeError(`slot ${slot} is not allowed: it must be free, and ${taken.name} is there`);
  return slot;
}

function checkBar(board: Board, bar: number | undefined, barBytes: number): number {
  if (bar === undefined) {
    // The command registers are clear, so windows that were not moved yet may overlap; firmware moves them apart.
    return PCI_MEMORY_END - barBytes;
  }
  const first = Math.floor((board.ramBytes + barBytes - 1) / barBytes) * barBytes;
  const last = PCI_MEMORY_END - barBytes;
  if (!(bar >= first && bar <= last && bar % barBytes === 0)) {
    throw new RangeError(
      `bar ${bar} is not allowed: it must be a multiple of ${hex(barBytes)} from ${hex(first)} to ${hex(last)}`,
    );
  }
  return bar;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
