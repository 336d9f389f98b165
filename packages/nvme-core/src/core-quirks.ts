/**
 * Quirks of controllers that share their PCI identity with others, known by what Identify Controller says; by era.
 * Kernel counterpart: drivers/nvme/host/core.c core_quirks, quirk_matches. [NVMe] 5.1.13.2.1 (VID, MN, FR).
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import type { Ctrl } from './ctrl.js';
import {
  NVME_QUIRK_DELAY_BEFORE_CHK_RDY,
  NVME_QUIRK_IGNORE_DEV_SUBNQN,
  NVME_QUIRK_NO_APST,
  NVME_QUIRK_NO_DEEPEST_PS,
  NVME_QUIRK_SIMPLE_SUSPEND,
} from './ports.js';
import type { IdCtrl } from './subsystem.js';

/** One entry; what is left out matches anything. @kernel drivers/nvme/host/core.c nvme_core_quirk_entry */
export interface CoreQuirkEntry {
  readonly vid: number;
  /** Model number without its padding. */
  readonly mn?: string;
  /** Firmware revision without its padding. */
  readonly fr?: string;
  readonly quirks: number;
}

const TOSHIBA_THNSF: CoreQuirkEntry = { vid: 0x1179, mn: 'THNSF5256GPUK TOSHIBA', quirks: NVME_QUIRK_NO_APST };

const MODERN: readonly CoreQuirkEntry[] = [
  TOSHIBA_THNSF,
  // LiteON CL1, this firmware only.
  { vid: 0x14a4, fr: '22301111', quirks: NVME_QUIRK_SIMPLE_SUSPEND },
  // Kioxia CD6-V.
  { vid: 0x1e0f, mn: 'KCD6XVUL6T40', quirks: NVME_QUIRK_NO_APST },
  // Its PCI numbers are those of the 970 Evo Plus, which wants none of this.
  {
    vid: 0x144d,
    mn: 'Samsung Portable SSD X5',
    quirks: NVME_QUIRK_DELAY_BEFORE_CHK_RDY | NVME_QUIRK_NO_DEEPEST_PS | NVME_QUIRK_IGNORE_DEV_SUBNQN,
  },
];

/** By era; 4.10 came before the first such quirk. @kernel drivers/nvme/host/core.c core_quirks */
export const CORE_QUIRKS: Readonly<Record<KernelProfile, readonly CoreQuirkEntry[]>> = {
  '6.12': MODERN,
  '6.1': MODERN,
  '4.13': [TOSHIBA_THNSF],
  '4.10': [],
};

/** A field of Identify, with its padding, is exactly that text. @kernel drivers/nvme/host/core.c string_matches */
function stringMatches(field: string, text: string | undefined): boolean {
  return text === undefined || field === text.padEnd(field.length, ' ');
}

/** @kernel drivers/nvme/host/core.c quirk_matches */
function quirkMatches(id: IdCtrl, entry: CoreQuirkEntry): boolean {
  return id.vid === entry.vid && stringMatches(id.mn, entry.mn) && stringMatches(id.fr, entry.fr);
}

/** Adds the quirks of every entry that knows the controller. Any context. */
export function addCoreQuirks(ctrl: Ctrl, id: IdCtrl): void {
  for (const entry of ctrl.core.era.coreQuirks) if (quirkMatches(id, entry)) ctrl.quirks |= entry.quirks;
}
