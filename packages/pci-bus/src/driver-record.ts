/**
 * A PCI driver as the device core sees it, with its dynamic ids.
 * Kernel counterpart: struct pci_driver, struct pci_dynids in drivers/pci/pci.h.
 */
import type { AttributeGroup, BusType, DeviceDriver, DevPmOps, ProbeType } from '@nvme-stack/device-core/ports';
import type { Kernel } from '@nvme-stack/kernel';
import type { PciSubsystem } from './pci-subsystem.js';
import type { PciDeviceId, PciDriver } from './ports.js';

export class PciDriverRecord implements DeviceDriver {
  readonly kernel: Kernel;
  readonly subsystem: PciSubsystem;
  readonly driver: PciDriver;
  readonly name: string;
  readonly bus: BusType;
  readonly owner: string;
  readonly probeType: ProbeType;
  readonly container: unknown;
  readonly groups: readonly AttributeGroup[];
  readonly pm: DevPmOps | undefined;
  /** In order of `new_id`. */
  readonly dynids: PciDeviceId[] = [];

  constructor(subsystem: PciSubsystem, driver: PciDriver) {
    this.kernel = subsystem.kernel;
    this.subsystem = subsystem;
    this.driver = driver;
    this.name = driver.name;
    this.bus = subsystem.busType;
    this.owner = driver.owner;
    this.probeType = driver.probeType;
    this.container = this;
    this.groups = driver.groups ?? [];
    this.pm = driver.pm;
  }
}
