/**
 * What differs between kernel profiles in drivers/pci/: symbols, interrupt rules, chip names, log formats.
 * Kernel counterpart: drivers/pci/ of 4.10, 4.13, 6.1 and 6.12.
 */
import type { KernelProfile } from '@nvme-stack/kernel';

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
  /** A driver that leaves virtual functions behind when it goes is told of, since 4.19. */
  readonly warnsOfLeftVfs: boolean;
  /** `BAR 0 [mem …]: assigned` instead of `BAR 0: assigned [mem …]`. */
  readonly namesBarFirst: boolean;
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
    warnsOfLeftVfs: true,
    namesBarFirst: true,
  },
  '6.1': {
    symbols: { pci_alloc_irq_vectors: null },
    perDeviceMsiDomains: false,
    checksAffinityAgainstMinVecs: false,
    intxNeedsIrq: true,
    warnsOfLeftVfs: true,
    namesBarFirst: false,
  },
  '4.13': {
    symbols: { ...OLD_SYMBOLS, pci_alloc_irq_vectors: null },
    perDeviceMsiDomains: false,
    checksAffinityAgainstMinVecs: true,
    intxNeedsIrq: false,
    warnsOfLeftVfs: false,
    namesBarFirst: false,
  },
  '4.10': {
    symbols: { ...OLD_SYMBOLS, pci_alloc_irq_vectors_affinity: null, pci_request_irq: null },
    perDeviceMsiDomains: false,
    checksAffinityAgainstMinVecs: false,
    intxNeedsIrq: false,
    warnsOfLeftVfs: false,
    namesBarFirst: false,
  },
};

/** The era of a profile. */
export function pciEra(profile: KernelProfile): PciEra {
  return ERAS[profile];
}
