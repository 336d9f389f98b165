/**
 * What the driver can use of a controller in each era, and its tables of devices and parameters; a part of eras.ts.
 * Kernel counterpart: drivers/nvme/host/pci.c of 4.10, 4.13, 6.1 and 6.12.
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import type { PciDeviceId } from '@nvme-stack/pci-bus/ports';
import { NVME_ID_TABLES } from './id-table.js';
import { NVME_PARAM_LISTS, type ParamSpec } from './module-params.js';
import { VENDOR_COMBINATIONS, type VendorCombination } from './vendor-combinations.js';

/** How an era uses a controller memory buffer. */
export interface CmbUse {
  /** The driver enables the buffer first, where CAP.CMBS says that it must (since 1.4 of the specification). */
  readonly enables: boolean;
  /** Mapped once, or anew each time the function is enabled. */
  readonly keeps: boolean;
  /** When its files are there: when the controller has one, or when the driver has mapped it. */
  readonly shownWhen: 'size' | 'mapped';
}

/** Devices that code knows by their numbers. */
export type KnownDevice = 'apple' | 'pm1725';

/** One era's features. */
export interface NvmePciFeatures {
  readonly idTable: readonly PciDeviceId[];
  readonly params: readonly ParamSpec[];
  /** Drives that have quirks on certain machines. */
  readonly vendorCombinations: readonly VendorCombination[];
  /** Whose queues have another depth, whatever they say. */
  readonly knownDevices: readonly KnownDevice[];
  /** Lines about them name the PCI function, not the controller. */
  readonly namesFunction: boolean;
  readonly cmb: CmbUse;
  /** Names of the files that only PCI controllers have. */
  readonly attributes: readonly string[];
  /** Lends host memory to controllers that ask for it; and takes it back before it disables one that lives. */
  readonly hostMem: 'none' | 'kept' | 'taken-back';
  /** Asks firmware whether the device must be off while the system sleeps, unless the parameter `noacpi` forbids it. */
  readonly asksFirmware: boolean;
  /** Large pieces are described by SGLs where the controller takes them. */
  readonly sgls: boolean;
}

const MODERN: Omit<NvmePciFeatures, 'idTable' | 'params' | 'vendorCombinations'> = {
  knownDevices: ['pm1725'],
  namesFunction: false,
  cmb: { enables: true, keeps: true, shownWhen: 'size' },
  attributes: ['cmb', 'cmbloc', 'cmbsz', 'hmb'],
  hostMem: 'kept',
  asksFirmware: true,
  sgls: true,
};

function tablesOf(profile: KernelProfile): Pick<NvmePciFeatures, 'idTable' | 'params' | 'vendorCombinations'> {
  return {
    idTable: NVME_ID_TABLES[profile],
    params: NVME_PARAM_LISTS[profile],
    vendorCombinations: VENDOR_COMBINATIONS[profile],
  };
}

/** The table. */
export const NVME_PCI_FEATURES: Readonly<Record<KernelProfile, NvmePciFeatures>> = {
  '6.12': { ...MODERN, ...tablesOf('6.12') },
  '6.1': { ...MODERN, ...tablesOf('6.1') },
  '4.13': {
    ...tablesOf('4.13'),
    knownDevices: ['apple', 'pm1725'],
    namesFunction: false,
    cmb: { enables: false, keeps: false, shownWhen: 'mapped' },
    attributes: ['cmb'],
    hostMem: 'taken-back',
    asksFirmware: false,
    sgls: false,
  },
  '4.10': {
    ...tablesOf('4.10'),
    knownDevices: ['apple'],
    namesFunction: true,
    cmb: { enables: false, keeps: false, shownWhen: 'size' },
    attributes: ['cmb'],
    hostMem: 'none',
    asksFirmware: false,
    sgls: false,
  },
};
