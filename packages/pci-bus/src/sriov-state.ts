/**
 * What the bus keeps of a physical function's virtual functions.
 * Kernel counterpart: struct pci_sriov in drivers/pci/pci.h.
 */
import type { PciDevice } from './pci-device.js';
import type { PciBar } from './pci-resource.js';

export interface PciSriov {
  /** Of the extended capability. */
  readonly offset: number;
  readonly totalVfs: number;
  readonly firstVfOffset: number;
  readonly vfStride: number;
  readonly vfDevice: number;
  /** Each as large as all functions' BARs together; sizes of one function's in `vfBarBytes`. */
  readonly bars: readonly (PciBar | null)[];
  readonly vfBarBytes: readonly number[];
  /** Present virtual functions, by number. */
  readonly functions: PciDevice[];
  driversAutoprobe: boolean;
}

/** Whether drivers may have a function; a virtual one's physical function has a say. @kernel drivers/pci/pci-driver.c pci_device_can_probe */
export function pciDeviceCanProbe({ physfn, driverOverride, subsystem }: PciDevice): boolean {
  const { autoprobe } = subsystem.era.sriov;
  if (physfn === null || physfn.sriov === null || physfn.sriov.driversAutoprobe || autoprobe === 'no-one') return true;
  return autoprobe === 'without-override' && driverOverride !== null;
}
