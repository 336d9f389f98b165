/**
 * The state of one machine's PCI subsystem, and what it is built from.
 * Kernel counterpart: the globals of drivers/pci/ (pci_root_buses, pci_bus_type).
 */
import type { BusType, DeviceCore, Kobject } from '@nvme-stack/device-core/ports';
import type { Irqs } from '@nvme-stack/irq/ports';
import { type ErrnoCode, errnoName, type Kernel, KernelError, Mutex } from '@nvme-stack/kernel';
import type { Workqueues } from '@nvme-stack/workqueue/ports';
import type { PciDriverRecord } from './driver-record.js';
import { type PciEra, pciEra } from './eras.js';
import type { IntxLine } from './intx.js';
import type { PciDevice } from './pci-device.js';
import type { PciSegment } from './pci-segment.js';
import type { PcieHp } from './pciehp/controller.js';
import type { PciDriver } from './ports.js';

/** Makes named steps fail; a test's or a machine's fault plan. */
export interface PciFaults {
  /** A negative error number with which the step shall fail, or 0. */
  fail(point: PciFaultPoint): number;
}

/** The steps that can be made to fail. */
export type PciFaultPoint =
  | 'pci_enable_device'
  | 'pci_request_regions'
  | 'ioremap'
  | 'pci_alloc_irq_vectors'
  | 'pci_enable_msix'
  | 'pci_enable_msi'
  | 'pcie_flr';

/** What the subsystem stands on. */
export interface PciBusDeps {
  readonly kernel: Kernel;
  readonly deviceCore: DeviceCore;
  readonly irqs: Irqs;
  readonly workqueues: Workqueues;
  readonly faults?: PciFaults;
}

export class PciSubsystem {
  readonly kernel: Kernel;
  readonly core: DeviceCore;
  readonly irqs: Irqs;
  readonly workqueues: Workqueues;
  readonly era: PciEra;
  readonly roots: PciSegment[] = [];
  /** In order of discovery. */
  readonly devices: PciDevice[] = [];
  readonly drivers: PciDriverRecord[] = [];
  readonly intxLines: IntxLine[] = [];
  /** Hot-plug slots that pciehp serves, and their directory once there is one. */
  readonly slots: PcieHp[] = [];
  slotsKobject: Kobject | null = null;
  hasPortDriver = false;
  /** @kernel drivers/pci/probe.c pci_rescan_remove_lock */
  readonly rescanRemoveLock: Mutex;
  /** Set once by createPciBus. */
  busType: BusType = null as unknown as BusType;
  busRegistered = false;
  /** pci_rescan_bus of every root; set once by createPciBus. */
  rescan: () => Promise<number> = async () => 0;
  private readonly faults: PciFaults | null;

  constructor(deps: PciBusDeps) {
    this.kernel = deps.kernel;
    this.core = deps.deviceCore;
    this.irqs = deps.irqs;
    this.workqueues = deps.workqueues;
    this.faults = deps.faults ?? null;
    this.era = pciEra(deps.kernel.profile);
    this.rescanRemoveLock = new Mutex(deps.kernel, 'pci_rescan_remove_lock');
  }

  /** The negative error number with which `point` shall fail, or 0. */
  injected(point: PciFaultPoint): number {
    return this.faults === null ? 0 : this.faults.fail(point);
  }

  findDriver(drv: PciDriver): PciDriverRecord | null {
    for (const record of this.drivers) if (record.driver === drv) return record;
    return null;
  }
}

/** Throws the KernelError of a negative error number. */
export function throwErrno(errno: number, what: string): never {
  throw new KernelError(errnoName(errno) as ErrnoCode, what);
}
