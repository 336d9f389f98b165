/**
 * What pci-bus owns: PCI devices and drivers, configuration access and MMIO as a platform provides them, interrupt
 * vectors, and the host bridge. Types and constants only. Counterparts: include/linux/pci.h, drivers/pci/.
 */
import type { AttributeGroup, Device, DevPmOps, ProbeType } from '@nvme-stack/device-core/ports';
import type { IrqAffinity, IrqChip, IrqDomain, IrqHandler, IrqReturn } from '@nvme-stack/irq/ports';
import type { DmaOps, HasKernel, Kernel, Resource } from '@nvme-stack/kernel';

// ------------------------------------------------------------------------------------------ what a platform provides

/** Configuration space by address; absent functions read all ones. Any context. @kernel include/linux/pci.h pci_ops */
export interface PciConfigAccess {
  read(bus: number, devfn: number, offset: number, size: 1 | 2 | 4): number;
  write(bus: number, devfn: number, offset: number, value: number, size: 1 | 2 | 4): void;
}

/** A mapped piece of a BAR. Reads of a device that is gone give all ones. Any context. @kernel include/linux/io.h ioremap */
export interface MmioRegion {
  readonly sizeBytes: number;
  readl(offset: number): number;
  /** Posted. */
  writel(offset: number, value: number): void;
}

/** A root complex as the kernel sees it. @kernel include/linux/pci.h pci_host_bridge */
export interface PciHostBridge {
  readonly name: string;
  readonly domain: number;
  readonly busStart: number;
  readonly busEnd: number;
  readonly config: PciConfigAccess;
  /** Windows of bus addresses that BARs may be placed in (bus address = CPU address). */
  readonly memoryWindows: readonly { readonly start: number; readonly end: number; readonly prefetchable: boolean }[];
  /** Maps [physAddr, physAddr + sizeBytes); accesses are charged to the CPU. */
  ioremap(physAddr: number, sizeBytes: number): MmioRegion;
  iounmap(region: MmioRegion): void;
  /** How memory is mapped for a requester (bus << 8 | devfn). */
  dmaOps(requesterId: number): DmaOps;
  /** Where MSI vectors come from; null: no MSI on this platform. */
  readonly msiDomain: IrqDomain | null;
  /** The line and chip an INTx pin (1..4) of a slot is routed to; null: none. */
  intxRoute(devfn: number, pin: number): { readonly hwirq: number; readonly chip: IrqChip } | null;
  /** Firmware's property `StorageD3Enable` of a place; left out: firmware says nothing of any. */
  storageD3Enable?(bus: number, devfn: number): boolean;
  readonly numaNode: number;
  /**
   * The slots of its PCI Express ports are the kernel's: their ports interrupt, and pciehp serves them. Left out: firmware
   * keeps them, and `onHotplug` tells. @kernel include/linux/pci.h pci_host_bridge.native_pcie_hotplug
   */
  readonly nativePcieHotplug?: boolean;
  /** The platform calls this when the presence changes in a slot that no port serves (hot-plug); pci-bus sets it. */
  onHotplug: ((event: { readonly bus: number; readonly devfn: number; readonly present: boolean }) => void) | null;
}

// ------------------------------------------------------------------------------------------ devices and drivers

/** @kernel include/linux/mod_devicetable.h pci_device_id */
export interface PciDeviceId {
  readonly vendor: number;
  readonly device: number;
  readonly subvendor: number;
  readonly subdevice: number;
  readonly class: number;
  readonly classMask: number;
  readonly driverData: number;
}

/** Matches anything. @kernel include/linux/mod_devicetable.h PCI_ANY_ID */
export const PCI_ANY_ID = 0xffffffff;

/** Kinds of interrupts to try. @kernel include/linux/pci.h */
export const PCI_IRQ_INTX = 1;
export const PCI_IRQ_MSI = 2;
export const PCI_IRQ_MSIX = 4;
export const PCI_IRQ_AFFINITY = 8;
export const PCI_IRQ_ALL_TYPES = 7;

/** @kernel include/linux/pci.h pci_channel_state_t */
export type PciChannelState = 'normal' | 'frozen' | 'perm-failure';
/** @kernel include/linux/pci.h pci_ers_result */
export type PciErsResult = 'can-recover' | 'need-reset' | 'disconnect' | 'recovered' | 'none';

/** @kernel include/linux/pci.h pci_error_handlers */
export interface PciErrorHandlers {
  errorDetected?(pdev: PciDev, state: PciChannelState): Promise<PciErsResult>;
  slotReset?(pdev: PciDev): Promise<PciErsResult>;
  resume?(pdev: PciDev): Promise<void>;
  resetPrepare?(pdev: PciDev): Promise<void>;
  resetDone?(pdev: PciDev): Promise<void>;
}

/** @kernel include/linux/pci.h pci_driver */
export interface PciDriver {
  readonly name: string;
  readonly owner: string;
  readonly idTable: readonly PciDeviceId[];
  readonly probeType: ProbeType;
  probe(pdev: PciDev, id: PciDeviceId): Promise<void>;
  remove(pdev: PciDev): Promise<void>;
  shutdown?(pdev: PciDev): Promise<void>;
  /** Write to sriov_numvfs; returns the number of enabled functions. */
  sriovConfigure?(pdev: PciDev, numVfs: number): Promise<number>;
  readonly errHandler?: PciErrorHandlers;
  /** Files of the driver's own directory. @kernel include/linux/pci.h pci_driver.groups */
  readonly groups?: readonly AttributeGroup[];
  readonly pm?: DevPmOps;
  readonly devGroups?: readonly AttributeGroup[];
}

/** A base address register as enumeration found and placed it. */
export interface PciBarResource {
  readonly index: number;
  readonly start: number;
  readonly sizeBytes: number;
  readonly is64Bit: boolean;
  readonly prefetchable: boolean;
  /** Claimed range in /proc/iomem while the driver holds it. */
  claimed: Resource | null;
}

/** @kernel include/linux/pci.h pci_dev */
export interface PciDev extends HasKernel {
  readonly kernel: Kernel;
  readonly dev: Device;
  readonly domain: number;
  readonly busNumber: number;
  readonly devfn: number;
  readonly vendor: number;
  readonly device: number;
  readonly subsystemVendor: number;
  readonly subsystemDevice: number;
  readonly class: number;
  readonly revision: number;
  /** Indexed by BAR number; null where there is none. */
  readonly bars: readonly (PciBarResource | null)[];
  readonly isVirtfn: boolean;
  /** INTx interrupt, 0: none. */
  irq: number;
  msiEnabled: boolean;
  msixEnabled: boolean;
  /** @kernel include/linux/pci.h pci_channel_state */
  errorState: PciChannelState;
  /** Gone: every access reads all ones. @kernel include/linux/pci.h pci_dev_is_disconnected */
  readonly disconnected: boolean;
}

/** The PCI subsystem of one machine. Functions are in task context unless they say otherwise. */
export interface PciBus {
  readonly kernel: Kernel;

  /** Registers the bus type and enumerates a host bridge: assigns bus numbers and BARs, adds and attaches devices. @kernel drivers/pci/probe.c pci_host_probe */
  pciHostProbe(bridge: PciHostBridge): Promise<void>;
  /** @kernel drivers/pci/probe.c pci_rescan_bus */
  pciRescanBus(): Promise<number>;
  /** @kernel drivers/pci/remove.c pci_stop_and_remove_bus_device_locked */
  pciStopAndRemoveBusDevice(pdev: PciDev): Promise<void>;
  /** By name `0000:00:01.0`; null: none. */
  pciGetDevice(name: string): PciDev | null;
  readonly devices: readonly PciDev[];

  /** Trace __pci_register_driver → driver_register. @kernel drivers/pci/pci-driver.c __pci_register_driver */
  pciRegisterDriver(drv: PciDriver): Promise<void>;
  pciUnregisterDriver(drv: PciDriver): Promise<void>;

  /** Any context. */
  pciReadConfigByte(pdev: PciDev, offset: number): number;
  pciReadConfigWord(pdev: PciDev, offset: number): number;
  pciReadConfigDword(pdev: PciDev, offset: number): number;
  pciWriteConfigByte(pdev: PciDev, offset: number, value: number): void;
  pciWriteConfigWord(pdev: PciDev, offset: number, value: number): void;
  pciWriteConfigDword(pdev: PciDev, offset: number, value: number): void;
  /** Offset of a capability, 0: absent. @kernel drivers/pci/pci.c pci_find_capability */
  pciFindCapability(pdev: PciDev, id: number): number;

  /** Sets D0 and the memory enable bit. @kernel drivers/pci/pci.c pci_enable_device_mem */
  pciEnableDeviceMem(pdev: PciDev): Promise<void>;
  /** @kernel drivers/pci/pci.c pci_disable_device */
  pciDisableDevice(pdev: PciDev): void;
  pciIsEnabled(pdev: PciDev): boolean;
  /** @kernel drivers/pci/pci.c pci_set_master */
  pciSetMaster(pdev: PciDev): void;
  /** Claims every memory BAR; throws EBUSY. Trace pci_request_selected_regions. @kernel drivers/pci/pci.c pci_request_mem_regions */
  pciRequestMemRegions(pdev: PciDev, name: string): void;
  pciReleaseMemRegions(pdev: PciDev): void;
  /** Maps the first `sizeBytes` of a BAR; null when it does not fit. Trace ioremap. @kernel arch/x86/mm/ioremap.c ioremap */
  ioremap(pdev: PciDev, bar: number, sizeBytes: number): MmioRegion | null;
  iounmap(pdev: PciDev, region: MmioRegion): void;
  pciSaveState(pdev: PciDev): void;
  pciRestoreState(pdev: PciDev): void;
  /** Forgets what was saved, so that the bus powers the function down after all. @kernel drivers/pci/pci.c pci_load_saved_state */
  pciForgetState(pdev: PciDev): void;
  /** Whether its link may sleep by itself; false where there is no link above it. @kernel drivers/pci/pcie/aspm.c pcie_aspm_enabled */
  pcieAspmEnabled(pdev: PciDev): boolean;
  /** Whether firmware wants it off while the system sleeps. @kernel drivers/acpi/device_pm.c acpi_storage_d3 */
  acpiStorageD3(pdev: PciDev): boolean;
  /** @kernel drivers/pci/pci.c pci_set_power_state */
  pciSetPowerState(pdev: PciDev, state: 0 | 1 | 2 | 3): Promise<void>;
  /** Function-level reset; throws ENOTTY when the function has none. @kernel drivers/pci/pci.c pcie_flr */
  pcieFlr(pdev: PciDev): Promise<void>;
  /** Saves state, calls the driver's reset handlers, resets, restores. @kernel drivers/pci/pci.c pci_reset_function */
  pciResetFunction(pdev: PciDev): Promise<void>;
  /** Any context. @kernel include/linux/pci.h pci_device_is_present */
  pciDeviceIsPresent(pdev: PciDev): boolean;

  /** Tries MSI-X, MSI, INTx as `flags` allow; returns how many vectors there are; throws ENOSPC, EINVAL. Trace pci_alloc_irq_vectors → pci_alloc_irq_vectors_affinity. @kernel drivers/pci/msi/api.c pci_alloc_irq_vectors */
  pciAllocIrqVectors(pdev: PciDev, minVecs: number, maxVecs: number, flags: number): number;
  /** @kernel drivers/pci/msi/api.c pci_alloc_irq_vectors_affinity */
  pciAllocIrqVectorsAffinity(
    pdev: PciDev,
    minVecs: number,
    maxVecs: number,
    flags: number,
    affd: IrqAffinity | null,
  ): number;
  pciFreeIrqVectors(pdev: PciDev): void;
  /** Linux interrupt number of a vector; throws EINVAL. @kernel drivers/pci/msi/api.c pci_irq_vector */
  pciIrqVector(pdev: PciDev, nr: number): number;
  /** @kernel drivers/pci/msi/api.c pci_irq_get_affinity */
  pciIrqGetAffinity(pdev: PciDev, nr: number): readonly number[] | null;
  /** Trace pci_request_irq → request_threaded_irq. @kernel drivers/pci/irq.c pci_request_irq */
  pciRequestIrq<T>(
    pdev: PciDev,
    nr: number,
    handler: IrqHandler<T> | null,
    threadFn: ((irq: number, devId: T) => Promise<IrqReturn>) | null,
    devId: T,
    name: string,
  ): void;
  pciFreeIrq(pdev: PciDev, nr: number, devId: unknown): Promise<void>;

  /** Delivers an error to the driver and drives its recovery. @kernel drivers/pci/pcie/err.c pcie_do_recovery */
  pcieDoRecovery(pdev: PciDev, state: PciChannelState): Promise<PciErsResult>;
  /** Lets the function report its errors; 0, or -EIO without Advanced Error Reporting (until 6.2). @kernel drivers/pci/pcie/aer.c pci_enable_pcie_error_reporting */
  pciEnablePcieErrorReporting(pdev: PciDev): number;
  pciDisablePcieErrorReporting(pdev: PciDev): number;
  /** @kernel drivers/pci/iov.c pci_sriov_configure_simple */
  pciSriovConfigureSimple(pdev: PciDev, numVfs: number): Promise<number>;
}
