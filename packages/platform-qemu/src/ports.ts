/**
 * What platform-qemu needs of a running QEMU, and the motherboard it makes of it.
 * Types and constants only. Counterparts: softmmu/qtest.c (the link), qapi (the monitor).
 */
import type { Irqs } from '@nvme-stack/irq/ports';
import type { Clock, Costs, Kernel } from '@nvme-stack/kernel';
import type { PciHostBridge } from '@nvme-stack/pci-bus/ports';
import type { AccessSize, PciFunction } from '@nvme-stack/pci-function';

/** Where QEMU's functions may be; free for BARs. The first ends below the bells and the I/O APIC. */
export const LOW_WINDOW = { start: 0xc0000000, end: 0xfdffffff, prefetchable: false } as const;
export const HIGH_WINDOW = { start: 0x8000000000, end: 0x80ffffffff, prefetchable: true } as const;

/** Guest-physical address from which memory is handed out for DMA; below lie what a PC keeps there. */
export const DMA_BASE = 0x100000;

/** Slot of the bells: devices that turn an interrupt message into a line. */
export const BELL_SLOT = 0x19;
/** Bells there are at most: the functions of one slot. */
export const MAX_BELLS = 8;
/** Messages that one bell tells apart. */
export const MESSAGES_PER_BELL = 32;

/**
 * Accesses to the machine's devices and memory, one after another as they are made. Nothing throws: when QEMU has
 * ended, does not answer or answers nonsense, reads give all ones from then on and `failure` says why.
 */
export interface QemuLink {
  /** Why the link is dead, in one sentence; null while it lives. */
  readonly failure: string | null;
  /** Reads a physical address. */
  read(address: number, size: AccessSize): number;
  /** Writes a physical address; posted. */
  write(address: number, value: number, size: AccessSize): void;
  /** Writes a 32-bit I/O port; posted. */
  portWrite(port: number, value: number): void;
  /** Waits until every posted write has taken effect. */
  collect(): void;
  /** Copies guest RAM at `address` to (bytes, offset); what was posted has taken effect. */
  readMemory(address: number, bytes: Uint8Array, offset: number, length: number): void;
  /** Copies (bytes, offset) to guest RAM at `address`. */
  writeMemory(address: number, bytes: Uint8Array, offset: number, length: number): void;
  /** An input of the I/O APIC was raised since `hear`, as far as it has been told. */
  readonly raised: boolean;
  /** Clears `raised`: the devices are looked at now. */
  hear(): void;
  /** Level of an input of the I/O APIC, as far as it has been told. */
  level(line: number): boolean;
}

/** The machine protocol: commands that change the machine itself. Throws an Error that names what QEMU refused. */
export interface QemuMonitor {
  execute(command: string, args?: Readonly<Record<string, unknown>>): unknown;
  /** Events of that name since the machine was started: their data. */
  events(name: string): readonly unknown[];
}

/** Where a controller stands, and what makes another one like it. */
export interface QemuDevice {
  /** Its name in QEMU. */
  readonly id: string;
  /** Slot on the root bus; of the root port when `behindPort` is true. */
  readonly slot: number;
  readonly behindPort: boolean;
}

/** A running QEMU. */
export interface QemuBoard {
  readonly link: QemuLink;
  readonly monitor: QemuMonitor;
  readonly ramBytes: number;
  /** How many bells stand in `BELL_SLOT`. */
  readonly bells: number;
  readonly devices: readonly QemuDevice[];
  /** Slots that hold root ports. */
  readonly rootPorts: readonly number[];
  /** Nanoseconds of real time since some moment; never goes back. */
  nowNs(): number;
  /** Calls `fn` once, after that much time or when QEMU has said something, whichever comes first; returns what cancels it. */
  waitForEvent(delayNs: number, fn: () => void): () => void;
}

/** The clock of a machine whose devices are QEMU's; one is made before the kernel, the platform listens through it. */
export interface QemuClock extends Clock {
  /** Looks at the devices and posts their interrupts; returns whether there were any. Set by the platform. */
  look: (() => boolean) | null;
  /** A device was written to: its answer may come soon. Any context. */
  expect(): void;
}

/** What CPU time costs a kernel on this board: real time passes by itself, nothing is charged on top of it. */
export const REAL_TIME_COSTS: Costs = {
  mmioReadNs: 0,
  mmioWriteNs: 0,
  interruptNs: 0,
  wakeNs: 0,
  functionNs: 0,
  relaxNs: 0,
};

/** What the platform is made of. */
export interface PlatformQemuDeps {
  readonly kernel: Kernel;
  readonly irqs: Irqs;
  readonly qemu: QemuBoard;
  /** The clock the kernel was made with. */
  readonly clock: QemuClock;
  /** False: the platform offers no message interrupts, only pins. Default true. */
  readonly msi?: boolean;
}

/** A place on the board. */
export interface QemuSlotAddress {
  /** Slot on the root bus; of the root port when `behindPort` is true. Not needed with `port`. */
  readonly slot?: number;
  readonly fn?: number;
  readonly behindPort?: boolean;
  /** In the slot of the root port of that name: `port4` stands in slot 4. */
  readonly port?: string;
}

/** A function that answers, and its place; null: it is a root port. */
export interface QemuFoundFunction {
  readonly function: PciFunction;
  readonly address: QemuSlotAddress | null;
}

/** The motherboard. Structurally what a machine asks of any platform. */
export interface PlatformQemu {
  readonly hostBridge: PciHostBridge;
  /** QEMU checks no DMA: always empty. */
  readonly dmaFaults: readonly never[];
  readonly dmaFaultCount: number;
  readonly dmaAborts: number;
  /** Messages that no interrupt stood behind. */
  readonly spuriousMessages: number;
  mappedPages(requesterId: number): number;
  /** The function in a place, reached through the link; null: empty. */
  functionAt(address: QemuSlotAddress): PciFunction | null;
  /** The number of the bus a place is on; 0 while the bus behind a root port has none. */
  busNumber(address: QemuSlotAddress): number;
  /** What answers on a bus, as buses are numbered now; null: nothing. */
  find(bus: number, devfn: number): QemuFoundFunction | null;
  /** Not offered: QEMU presses the button itself when a card comes or goes. Throws a RangeError that says so. */
  pressAttentionButton(address: QemuSlotAddress): void;
  /** Not offered for functions of this process: throws a RangeError that says so. */
  plug(address: QemuSlotAddress, fn: PciFunction): void;
  /**
   * Takes a controller out of the slot of a root port: from now on it reads all ones, and QEMU gives it up. Throws a
   * RangeError for a place that cannot be emptied.
   */
  unplug(address: QemuSlotAddress): void;
  /** Puts a controller back into the empty slot of a root port, with those properties of QEMU's device; the kernel is told. */
  replug(address: QemuSlotAddress, properties: Readonly<Record<string, unknown>>): void;
}
