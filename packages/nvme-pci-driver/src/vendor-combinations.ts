/**
 * Drives that misbehave on certain machines only, by era: what is matched in DMI, and the quirks that follow.
 * Kernel counterpart: drivers/nvme/host/pci.c check_vendor_combination_bug (4.13: check_dell_samsung_bug).
 */
import type { Dmi, DmiField } from '@nvme-stack/device-core/ports';
import type { KernelProfile } from '@nvme-stack/kernel';
import {
  NVME_QUIRK_FORCE_NO_SIMPLE_SUSPEND,
  NVME_QUIRK_NO_APST,
  NVME_QUIRK_NO_DEEPEST_PS,
  NVME_QUIRK_SIMPLE_SUSPEND,
} from '@nvme-stack/nvme-core/ports';
import type { PciDev } from '@nvme-stack/pci-bus/ports';

/** Drives, machines and what comes of both together. */
export interface VendorCombination {
  /** PCI vendor and device; null: whatever the drive. */
  readonly drives: readonly (readonly [vendor: number, device: number])[] | null;
  /** Every field named must be one of its texts. */
  readonly machine: { readonly [field in DmiField]?: readonly string[] };
  readonly quirks: number;
}

const SAMSUNG = 0x144d;
const TOSHIBA = 0x1e0f;
const KINGSTON = 0x2646;

/** SM951, PM951 and 950 PRO leave the bus on two notebooks, out of their deepest state. */
const SAMSUNG_IN_DELL: VendorCombination = {
  drives: [[SAMSUNG, 0xa802]],
  machine: { sysVendor: ['Dell Inc.'], productName: ['XPS 15 9550', 'Precision 5510'] },
  quirks: NVME_QUIRK_NO_DEEPEST_PS,
};

const MODERN: readonly VendorCombination[] = [
  SAMSUNG_IN_DELL,
  // 960 EVO on a Ryzen and on a Coffee Lake board.
  {
    drives: [[SAMSUNG, 0xa804]],
    machine: { boardVendor: ['ASUSTeK COMPUTER INC.'], boardName: ['PRIME B350M-A', 'PRIME Z370-A'] },
    quirks: NVME_QUIRK_NO_APST,
  },
  // Lenovo C640.
  {
    drives: [
      [SAMSUNG, 0xa801],
      [SAMSUNG, 0xa808],
      [SAMSUNG, 0xa809],
      [TOSHIBA, 0x0001],
    ],
    machine: { boardVendor: ['LENOVO'], boardName: ['LNVNB161216'] },
    quirks: NVME_QUIRK_SIMPLE_SUSPEND,
  },
  // Firmware asks for a simple suspend that costs more power than the other.
  {
    drives: [
      [KINGSTON, 0x2263],
      [KINGSTON, 0x500f],
    ],
    machine: { boardName: ['NS5X_NS7XAU', 'NS5x_7xAU', 'NS5x_7xPU', 'PH4PRX1_PH6PRX1'] },
    quirks: NVME_QUIRK_FORCE_NO_SIMPLE_SUSPEND,
  },
  // 990 Evo.
  {
    drives: [[SAMSUNG, 0xa80d]],
    machine: {
      boardName: [
        'DN50Z-140HC-YD',
        'GMxPXxx',
        'GXxMRXx',
        'NS5X_NS7XAU',
        'PH4PG31',
        'PH4PRX1_PH6PRX1',
        'PH6PG01_PH6PG71',
      ],
    },
    quirks: NVME_QUIRK_FORCE_NO_SIMPLE_SUSPEND,
  },
  // Lenovo N60z.
  { drives: null, machine: { boardName: ['LXKT-ZXEG-N6'] }, quirks: NVME_QUIRK_NO_APST },
];

/** By era. */
export const VENDOR_COMBINATIONS: Readonly<Record<KernelProfile, readonly VendorCombination[]>> = {
  '6.12': MODERN,
  '6.1': MODERN,
  '4.13': [SAMSUNG_IN_DELL],
  '4.10': [],
};

function isMachine(dmi: Pick<Dmi, 'match'>, machine: VendorCombination['machine']): boolean {
  const fields = Object.entries(machine) as [DmiField, readonly string[]][];
  return fields.every(([field, texts]) => texts.some((text) => dmi.match(field, text)));
}

/** Quirks of the first combination that both drive and machine are of; 0: none. Task context. @kernel drivers/nvme/host/pci.c check_vendor_combination_bug */
export function checkVendorCombinationBug(
  dmi: Pick<Dmi, 'match'>,
  { vendor, device }: Pick<PciDev, 'vendor' | 'device'>,
  combinations: readonly VendorCombination[],
): number {
  for (const { drives, machine, quirks } of combinations) {
    const isDrive = drives === null || drives.some(([one, other]) => one === vendor && other === device);
    if (isDrive && isMachine(dmi, machine)) return quirks;
  }
  return 0;
}
