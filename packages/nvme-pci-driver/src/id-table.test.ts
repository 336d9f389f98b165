import type { KernelProfile } from '@nvme-stack/kernel';
import {
  NVME_QUIRK_DEALLOCATE_ZEROES,
  NVME_QUIRK_DELAY_BEFORE_CHK_RDY,
  NVME_QUIRK_IDENTIFY_CNS,
  NVME_QUIRK_LIGHTNVM,
  NVME_QUIRK_STRIPE_SIZE,
} from '@nvme-stack/nvme-core/ports';
import { describe, expect, it } from 'vitest';
import { NVME_ID_TABLES } from './id-table.js';
import { PCI_CLASS_STORAGE_EXPRESS } from './pci-ids.js';

const PROFILES: readonly KernelProfile[] = ['6.12', '6.1', '4.13', '4.10'];
const APPLE = 0x106b;

function quirksOf(profile: KernelProfile, vendor: number, device: number): number | undefined {
  return NVME_ID_TABLES[profile].find((id) => id.vendor === vendor && id.device === device)?.driverData;
}

describe('the id table', () => {
  // @acceptance 26 27 30
  it('of 4.10 has eight entries, each with its quirks, and the class is not the last of them', () => {
    const striped = NVME_QUIRK_STRIPE_SIZE | NVME_QUIRK_DEALLOCATE_ZEROES;
    const table = NVME_ID_TABLES['4.10'].map(({ vendor, device, class: cls, driverData }) =>
      cls === 0 ? [vendor, device, driverData] : [cls],
    );
    expect(table).toEqual([
      [0x8086, 0x0953, striped],
      [0x8086, 0x0a53, striped],
      [0x8086, 0x0a54, striped],
      [0x8086, 0x5845, NVME_QUIRK_IDENTIFY_CNS],
      [0x1c58, 0x0003, NVME_QUIRK_DELAY_BEFORE_CHK_RDY],
      [0x1c5f, 0x0540, NVME_QUIRK_DELAY_BEFORE_CHK_RDY],
      [PCI_CLASS_STORAGE_EXPRESS],
      [APPLE, 0x2001, 0],
    ]);
  });

  it('takes the class once in every era, under all of its 24 bits', () => {
    for (const profile of PROFILES) {
      const classes = NVME_ID_TABLES[profile].filter((id) => id.class !== 0);
      expect(classes.map((id) => [id.class, id.classMask])).toEqual([[PCI_CLASS_STORAGE_EXPRESS, 0xffffff]]);
    }
    for (const profile of ['6.12', '6.1'] as const) expect(NVME_ID_TABLES[profile].at(-1)?.class).not.toBe(0);
  });

  it('of 6.1 and 6.12 differs in what was learnt in between', () => {
    const entries = (profile: KernelProfile): string[] =>
      NVME_ID_TABLES[profile].map(({ vendor, device, driverData }) =>
        [vendor, device, driverData].map((value) => value.toString(16)).join(':'),
      );
    const [older, newer] = [entries('6.1'), entries('6.12')];
    expect([older.length, newer.length]).toEqual([74, 81]);
    expect(older.filter((entry) => !newer.includes(entry))).toEqual(['1217:8760:40', '106b:2005:23800']);
    expect(newer.filter((entry) => !older.includes(entry))).toEqual([
      '1217:8760:400000',
      '126f:1001:120',
      '15b7:5008:200000',
      '15b7:5009:200020',
      '1344:6004:400000',
      '1c5c:1d59:200',
      '144d:a802:40000',
      '106b:2005:23802',
    ]);
    expect([quirksOf('6.1', 0x8086, 0x0a54), quirksOf('6.1', 0x2646, 0x502f)]).toEqual([0x40105, 0x200]);
    expect([quirksOf('6.12', 0x8086, 0x0a54), quirksOf('6.12', 0x2646, 0x502f)]).toEqual([0x40105, 0x200]);
  });

  it('knows Open-Channel drives in 4.13 only, and Apple’s with a quirk since then', () => {
    expect(quirksOf('4.13', 0x1d1d, 0x1f1f)).toBe(NVME_QUIRK_LIGHTNVM);
    expect(PROFILES.map((profile) => quirksOf(profile, 0x1d1d, 0x1f1f) !== undefined)).toEqual([
      false,
      false,
      true,
      false,
    ]);
    expect(PROFILES.map((profile) => (quirksOf(profile, APPLE, 0x2001) ?? -1) > 0)).toEqual([true, true, false, false]);
  });
});
