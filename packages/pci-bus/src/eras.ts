/**
 * What differs between kernel profiles in drivers/pci/: symbols, interrupt rules, chip names, log formats.
 * Kernel counterpart: drivers/pci/ of 4.10, 4.13, 6.1 and 6.12.
 */
import type { KernelProfile } from '@nvme-stack/kernel';

/** Virtual functions in one kernel version. */
export interface SriovEra {
  /** Files of a physical function, in their order. */
  readonly files: readonly string[];
  /** Whose probe `sriov_drivers_autoprobe` forbids: nobody's, every virtual function's (since 4.12), those without a driver_override (since 5.3). */
  readonly autoprobe: 'no-one' | 'all' | 'without-override';
  /** A driver that leaves virtual functions behind when it goes is told of, since 4.19. */
  readonly warnsOfLeftVfs: boolean;
}

const SRIOV_FILES = [
  'sriov_totalvfs',
  'sriov_numvfs',
  'sriov_offset',
  'sriov_stride',
  'sriov_vf_device',
  'sriov_drivers_autoprobe',
];
const SRIOV_6: SriovEra = { files: SRIOV_FILES, autoprobe: 'without-override', warnsOfLeftVfs: true };
/** Offset, stride and device came with 4.15. */
const SRIOV_4_13: SriovEra = {
  files: ['sriov_totalvfs', 'sriov_numvfs', 'sriov_drivers_autoprobe'],
  autoprobe: 'all',
  warnsOfLeftVfs: false,
};
const SRIOV_4_10: SriovEra = {
  files: ['sriov_totalvfs', 'sriov_numvfs'],
  autoprobe: 'no-one',
  warnsOfLeftVfs: false,
};

/** The hot-plug driver in one kernel version; `%s` in a text is the slot's name. */
export interface PciehpEra {
  /** Whose lines its are: the port's (since 4.19), or those of a device for the port's service. */
  readonly speaker: 'port' | 'service';
  /** In-band presence detection is among the capabilities that the first line shows, since 5.6. */
  readonly showsInBandPresence: boolean;
  /** What a change of card or link asks for: the slot's state decides (since 4.19), or the interrupt by the status bits. */
  readonly changes: 'slot-state' | 'status-bits';
  /** A line for the button before the one that says what follows; null since 6.5. */
  readonly pressed: string | null;
  readonly willPowerOff: string;
  readonly willPowerOn: string;
  /** The button was pressed again. */
  readonly staysOn: readonly string[];
  readonly staysOff: readonly string[];
}

const PCIEHP_6_12: PciehpEra = {
  speaker: 'port',
  showsInBandPresence: true,
  changes: 'slot-state',
  pressed: null,
  willPowerOff: 'Slot(%s): Button press: will power off in 5 sec',
  willPowerOn: 'Slot(%s): Button press: will power on in 5 sec',
  staysOn: ['Slot(%s): Button press: canceling request to power off'],
  staysOff: ['Slot(%s): Button press: canceling request to power on'],
};
const CANCELED = ['Slot(%s): Button cancel', 'Slot(%s): Action canceled due to button press'];
const PCIEHP_6_1: PciehpEra = {
  ...PCIEHP_6_12,
  pressed: 'Attention button pressed',
  willPowerOff: 'Slot(%s): Powering off due to button press',
  willPowerOn: 'Slot(%s) Powering on due to button press',
  staysOn: CANCELED,
  staysOff: CANCELED,
};
const PCIEHP_4: PciehpEra = {
  ...PCIEHP_6_1,
  speaker: 'service',
  showsInBandPresence: false,
  changes: 'status-bits',
};

/** The PCI subsystem of one kernel version. */
export interface PciEra {
  /** Function ids that have another symbol, or none, in this version. */
  readonly symbols: Readonly<Record<string, string | null>>;
  /** Each device has an interrupt domain of its own: `PCI-MSIX-<device>`, hwirq = index. */
  readonly perDeviceMsiDomains: boolean;
  /** `pre_vectors + post_vectors` is checked against `min_vecs`. */
  readonly checksAffinityAgainstMinVecs: boolean;
  /** INTx vectors are refused to a device without an interrupt line. */
  readonly intxNeedsIrq: boolean;
  readonly sriov: SriovEra;
  readonly pciehp: PciehpEra;
  /** `BAR 0 [mem …]: assigned` instead of `BAR 0: assigned [mem …]`. */
  readonly namesBarFirst: boolean;
  /** The line of a function that was found ends with its kind of PCI Express port. */
  readonly namesPortKind: boolean;
}

const OLD_SYMBOLS = {
  pci_dma_configure: null,
  ioremap: 'ioremap_nocache',
  pci_sriov_configure_simple: 'nvme_pci_sriov_configure',
} as const;

const ERAS: Readonly<Record<KernelProfile, PciEra>> = {
  '6.12': {
    symbols: {},
    perDeviceMsiDomains: true,
    checksAffinityAgainstMinVecs: false,
    intxNeedsIrq: true,
    sriov: SRIOV_6,
    pciehp: PCIEHP_6_12,
    namesBarFirst: true,
    namesPortKind: true,
  },
  '6.1': {
    symbols: { pci_alloc_irq_vectors: null },
    perDeviceMsiDomains: false,
    checksAffinityAgainstMinVecs: false,
    intxNeedsIrq: true,
    sriov: SRIOV_6,
    pciehp: PCIEHP_6_1,
    namesBarFirst: true,
    namesPortKind: false,
  },
  '4.13': {
    symbols: { ...OLD_SYMBOLS, pci_alloc_irq_vectors: null },
    perDeviceMsiDomains: false,
    checksAffinityAgainstMinVecs: true,
    intxNeedsIrq: false,
    sriov: SRIOV_4_13,
    pciehp: PCIEHP_4,
    namesBarFirst: false,
    namesPortKind: false,
  },
  '4.10': {
    symbols: { ...OLD_SYMBOLS, pci_alloc_irq_vectors_affinity: null, pci_request_irq: null },
    perDeviceMsiDomains: false,
    checksAffinityAgainstMinVecs: false,
    intxNeedsIrq: false,
    sriov: SRIOV_4_10,
    pciehp: PCIEHP_4,
    namesBarFirst: false,
    namesPortKind: false,
  },
};

/** The era of a profile. */
export function pciEra(profile: KernelProfile): PciEra {
  return ERAS[profile];
}
