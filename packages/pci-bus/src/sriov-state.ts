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
