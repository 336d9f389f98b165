/**
 * What platform-sim offers and needs: a motherboard with slots, and the functions that stand in them.
 * Types and constants only. Counterparts: the hardware below arch/x86/ and drivers/pci/.
 */
import type { Irqs } from '@nvme-stack/irq/ports';
import type { Kernel } from '@nvme-stack/kernel';
import type { PciHostBridge } from '@nvme-stack/pci-bus/ports';
import type { PciFunction } from '@nvme-stack/pci-function';

/** Where a function stands: on the root bus, or behind a port. */
export interface SlotAddress {
  /** Slot on the root bus, 0..31; of the root port when `behindPort` is true. Not needed with `port`. */
  readonly slot?: number;
  /** Function number, 0..7; default 0. */
  readonly fn?: number;
  /** In the card slot of the root port at `slot`. */
  readonly behindPort?: boolean;
  /** In the card slot of the port of that name, of the root complex or of a switch. */
  readonly port?: string;
}

/** A function that answers, and its place; null: it is a port. */
export interface FoundFunction {
  readonly function: PciFunction;
  readonly address: SlotAddress | null;
}

/** A function and its place. */
export interface SlotDescription extends SlotAddress {
  readonly function: PciFunction;
  /** Firmware wants what is in this place off while the system sleeps (`StorageD3Enable`). Default false. */
  readonly storageD3Enable?: boolean;
}

/** A PCI Express port with a hot-plug slot behind it, or with a switch. */
export interface PortDescription {
  /** What places are named after; default: `port5` of the root port in slot 5, `port5.0` of the first port of a switch behind it. */
  readonly name?: string;
  /** Number printed on the slot, 1..8191; default: a root port's `slot`, of others the first number that is free. */
  readonly physicalSlot?: number;
  /** The slot has an attention button, with it indicators and a power controller. Default false: a card may come and go at any time. */
  readonly attentionButton?: boolean;
  /** A switch is soldered behind it instead of a slot: its ports, at device numbers 0, 1, … */
  readonly switch?: readonly PortDescription[];
}

/** A port of the root complex. */
export interface RootPortDescription extends PortDescription {
  /** Its device number on the root bus. */
  readonly slot: number;
}

/** What a motherboard is made of. */
export interface PlatformSimDeps {
  readonly kernel: Kernel;
  readonly irqs: Irqs;
  readonly slots: readonly SlotDescription[];
  /** Default: none. */
  readonly rootPorts?: readonly RootPortDescription[];
  /** The chipset's own functions (host bridge, display, ISA bridge, SATA, SMBus); default `q35`. */
  readonly chipset?: 'q35' | 'none';
  /** NUMA node of the root complex, -1 (default): not known. */
  readonly numaNode?: number;
  /** False: the platform has no MSI. Default true. */
  readonly msi?: boolean;
  /** Devices see a copy of memory that only `publish`, `acquire` and mapping move. Default false. */
  readonly weakMemory?: boolean;
  /** Moves bytes within `kernel.memory.bytes`, offsets as there; null (default): its `copyWithin` does. */
  readonly moveInRam?: ((toOffset: number, fromOffset: number, lengthBytes: number) => void) | null;
}

/** A device access that no live mapping allowed. */
export interface DmaFault {
  readonly timeNs: number;
  readonly requesterId: number;
  readonly busAddr: number;
  readonly lengthBytes: number;
  readonly isWrite: boolean;
}

/** The motherboard. */
export interface PlatformSim {
  readonly hostBridge: PciHostBridge;
  /** Device accesses outside live mappings, oldest first; at most 1024 are kept. */
  readonly dmaFaults: readonly DmaFault[];
  /** All faulting accesses, kept or not. */
  readonly dmaFaultCount: number;
  /** Device accesses to addresses that are not RAM. */
  readonly dmaAborts: number;
  /** Messages that no interrupt stood behind. */
  readonly spuriousMessages: number;
  /** Bytes of pages mapped for a requester at present, for leak reports. */
  mappedPages(requesterId: number): number;
  /** The function in a place; null: empty. Throws RangeError for a place that does not exist. */
  functionAt(address: SlotAddress): PciFunction | null;
  /** The number of the bus that a place is on; 0 while the bus behind a port has none. */
  busNumber(address: SlotAddress): number;
  /** What answers on a bus, as buses are numbered now; null: nothing. */
  find(bus: number, devfn: number): FoundFunction | null;
  /** Puts a function into an empty place; the kernel is told. Throws RangeError when the place is taken. Any context. */
  plug(address: SlotAddress, fn: PciFunction): void;
  /** Takes it out without a word to its driver: from now on it reads all ones. Any context. */
  unplug(address: SlotAddress): void;
  /** Presses the button of a port's slot. Throws RangeError for one without. Any context. */
  pressAttentionButton(address: SlotAddress): void;
}
