/**
 * One function on the bus, as the subsystem keeps it.
 * Kernel counterpart: struct pci_dev in include/linux/pci.h.
 */
import type { Device } from '@nvme-stack/device-core/ports';
import type { Kernel, LogLevel, Mutex } from '@nvme-stack/kernel';
import type { PciDriverRecord } from './driver-record.js';
import type { PciMsi } from './msi-state.js';
import { PCI_STD_NUM_BARS } from './pci-constants.js';
import { digitsOf, type PciBar } from './pci-resource.js';
import type { PciSegment } from './pci-segment.js';
import type { PciSubsystem } from './pci-subsystem.js';
import type { PciChannelState, PciDev } from './ports.js';
import type { PciResetMethod } from './reset.js';
import type { PciSriov } from './sriov-state.js';

/** Power states of a function; 4 is D3cold, 5 unknown. @kernel include/linux/pci.h pci_power_t */
export type PciPowerState = 0 | 1 | 2 | 3 | 4 | 5;
export const PCI_UNKNOWN: PciPowerState = 5;

/** What pci_save_state keeps. */
export interface PciSavedState {
  readonly config: Uint32Array;
  readonly express: Uint16Array | null;
}

export class PciDevice implements PciDev {
  readonly kernel: Kernel;
  readonly subsystem: PciSubsystem;
  readonly segment: PciSegment;
  /** Set by pci_device_add, before anybody else sees the function. */
  dev: Device = null as unknown as Device;
  readonly domain: number;
  readonly busNumber: number;
  readonly devfn: number;
  readonly name: string;
  vendor = 0;
  device = 0;
  subsystemVendor = 0;
  subsystemDevice = 0;
  class = 0;
  revision = 0;
  headerType = 0;
  multifunction = false;
  readonly bars: (PciBar | null)[] = new Array<PciBar | null>(PCI_STD_NUM_BARS).fill(null);
  /** Offsets of capabilities, 0: absent. */
  pmCap = 0;
  expressCap = 0;
  msiCap = 0;
  msixCap = 0;
  /** Interrupt pin, 1..4, 0: none. */
  pin = 0;
  irq = 0;
  /** The line `irq` stands for, -1: none. */
  intxHwirq = -1;
  msiEnabled = false;
  msixEnabled = false;
  msi: PciMsi | null = null;
  errorState: PciChannelState = 'normal';
  disconnected = false;
  enableCount = 0;
  isBusMaster = false;
  currentState: PciPowerState = PCI_UNKNOWN;
  stateSaved = false;
  savedState: PciSavedState | null = null;
  driver: PciDriverRecord | null = null;
  driverOverride: string | null = null;
  /** A driver's probe of it is under way. @kernel include/linux/pci.h is_probed */
  isProbed = false;
  /** What the user chose; null: all there is. @kernel include/linux/pci.h reset_methods */
  resetMethods: readonly PciResetMethod[] | null = null;
  brokenParityStatus = false;
  d3coldAllowed = true;
  /** MSI may be used below this bridge, or by this device. */
  msiAllowed = true;
  /** The bus below a bridge. */
  subordinate: PciSegment | null = null;
  sriov: PciSriov | null = null;
  /** The physical function of a virtual one. */
  readonly physfn: PciDevice | null;
  removed = false;

  constructor(segment: PciSegment, devfn: number, physfn: PciDevice | null = null) {
    this.kernel = segment.kernel;
    this.subsystem = segment.subsystem;
    this.segment = segment;
    this.domain = segment.bridge.domain;
    this.busNumber = segment.number;
    this.devfn = devfn;
    this.physfn = physfn;
    this.name = pciName(this.domain, this.busNumber, devfn);
  }

  /** Held over resets and error handling, so that the driver stays bound meanwhile. @kernel include/linux/device.h device_lock */
  get lock(): Mutex {
    return this.dev.lock;
  }

  get isVirtfn(): boolean {
    return this.physfn !== null;
  }

  /** Requester id, as DMA carries it. */
  get requesterId(): number {
    return (this.busNumber << 8) | this.devfn;
  }
}

/** `0000:00:04.0`. */
export function pciName(domain: number, bus: number, devfn: number): string {
  return `${digitsOf(domain, 4)}:${digitsOf(bus, 2)}:${digitsOf(devfn >>> 3, 2)}.${devfn & 7}`;
}

/** A log line of the function, under its driver's name when it has one. @kernel include/linux/pci.h pci_info */
export function pciLog(pdev: PciDevice, level: LogLevel, text: string): void {
  // Before pci_device_add there is no device to ask for its driver.
  const driver = (pdev.dev as Device | null)?.driver;
  pdev.kernel.printk.print(level, `${driver?.name ?? 'pci'} ${pdev.name}: ${text}`);
}
