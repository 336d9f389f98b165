/**
 * One PCI bus: the root bus of a host bridge, or the bus below a bridge.
 * Kernel counterpart: struct pci_bus in include/linux/pci.h.
 */
import type { Device } from '@nvme-stack/device-core/ports';
import type { Kernel, Resource } from '@nvme-stack/kernel';
import type { PciDevice } from './pci-device.js';
import { digitsOf } from './pci-resource.js';
import type { PciSubsystem } from './pci-subsystem.js';
import type { PciHostBridge } from './ports.js';

/** A range of addresses the bus may place BARs in. */
export interface SegmentWindow {
  readonly resource: Resource;
  readonly prefetchable: boolean;
}

export class PciSegment {
  readonly kernel: Kernel;
  readonly subsystem: PciSubsystem;
  readonly bridge: PciHostBridge;
  readonly number: number;
  /** Highest bus number below. */
  subordinateNumber: number;
  /** The bridge that leads here; null for a root bus. */
  readonly self: PciDevice | null;
  readonly devices: PciDevice[] = [];
  windows: SegmentWindow[] = [];
  /** The host bridge's own device, parent of a root bus's functions. */
  hostDevice: Device | null = null;

  constructor(subsystem: PciSubsystem, bridge: PciHostBridge, number: number, self: PciDevice | null) {
    this.kernel = subsystem.kernel;
    this.subsystem = subsystem;
    this.bridge = bridge;
    this.number = number;
    this.subordinateNumber = number;
    this.self = self;
  }

  /** `0000:00`. */
  get name(): string {
    return `${digitsOf(this.bridge.domain, 4)}:${digitsOf(this.number, 2)}`;
  }

  /** The device the functions of this bus stand below in sysfs. */
  get parentDevice(): Device | null {
    return this.self === null ? this.hostDevice : this.self.dev;
  }

  /** The bus this one hangs off; null for a root bus. */
  get parent(): PciSegment | null {
    return this.self === null ? null : this.self.segment;
  }

  findDevice(devfn: number): PciDevice | null {
    for (const pdev of this.devices) if (pdev.devfn === devfn) return pdev;
    return null;
  }
}

/** The bus and every bus below it, parents first. */
export function segmentsBelow(segment: PciSegment): PciSegment[] {
  const found = [segment];
  for (const pdev of segment.devices) if (pdev.subordinate !== null) found.push(...segmentsBelow(pdev.subordinate));
  return found;
}
