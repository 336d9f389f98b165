/**
 * The partition table of MBR disks, with logical partitions inside an extended one.
 * Kernel counterpart: block/partitions/msdos.c.
 */
import { SECTOR_SIZE } from '../ports.js';
import { type ParsedPartitions, readPartSector } from './parsed.js';

const TABLE_OFFSET = 446;
const ENTRY_BYTES = 16;
const ENTRIES = 4;
/** Partition types that hold others. */
const DOS_EXTENDED = 0x05;
const WIN98_EXTENDED = 0x0f;
const LINUX_EXTENDED = 0x85;
const EFI_GPT = 0xee;
/** Empty links of the chain of logical partitions that are put up with. */
const MAX_EMPTY_LINKS = 100;

interface Entry {
  readonly bootIndicator: number;
  readonly type: number;
  readonly start: number;
  readonly size: number;
}

function entry(sector: DataView, index: number): Entry {
  const at = TABLE_OFFSET + index * ENTRY_BYTES;
  return {
    bootIndicator: sector.getUint8(at),
    type: sector.getUint8(at + 4),
    start: sector.getUint32(at + 8, true),
    size: sector.getUint32(at + 12, true),
  };
}

/** Whether a sector ends in 55 AA. @kernel block/partitions/msdos.c msdos_magic_present */
export function hasMagic(sector: DataView): boolean {
  return sector.getUint16(510, true) === 0xaa55;
}

function isExtended({ type }: Entry): boolean {
  return type === DOS_EXTENDED || type === WIN98_EXTENDED || type === LINUX_EXTENDED;
}

function uuidOf(signature: number, slot: number): string {
  return `${signature.toString(16).padStart(8, '0')}-${slot.toString(16).padStart(2, '0')}`;
}

/** 1 found, 0 not this format. Throws EIO. @kernel block/partitions/msdos.c msdos_partition */
export async function msdosPartition(state: ParsedPartitions): Promise<number> {
  const sector = await readPartSector(state, 0);
  if (sector === null) return -1;
  if (!hasMagic(sector)) return 0;
  const entries = Array.from({ length: ENTRIES }, (_, i) => entry(sector, i));
  if (entries.some(({ bootIndicator }) => bootIndicator !== 0 && bootIndicator !== 0x80)) return 0;
  if (entries.some(({ type }) => type === EFI_GPT)) return 0;
  const signature = sector.getUint32(440, true);
  const perBlock = state.logicalBlockSizeBytes / SECTOR_SIZE;
  state.next = ENTRIES + 1;
  for (let i = 0; i < ENTRIES; i++) {
    const { start, size } = entries[i];
    if (size === 0) continue;
    const startSector = start * perBlock;
    if (!isExtended(entries[i])) {
      put(state, i + 1, startSector, size * perBlock, uuidOf(signature, i + 1));
      continue;
    }
    // An extended partition shows only what a boot loader needs of it.
    put(state, i + 1, startSector, Math.min(size * perBlock, Math.max(perBlock, 2)), uuidOf(signature, i + 1));
    state.text += ' <';
    await parseExtended(state, startSector, size * perBlock, signature);
    state.text += ' >';
  }
  return 1;
}

function put(state: ParsedPartitions, number: number, startSector: number, sectors: number, uuid: string): void {
  state.put(number, { startSector, sectors, typeGuid: null, uuid, label: '' });
}

/** Follows the chain: each link names one logical partition and the next link. @kernel block/partitions/msdos.c parse_extended */
async function parseExtended(state: ParsedPartitions, first: number, size: number, signature: number): Promise<void> {
  const perBlock = state.logicalBlockSizeBytes / SECTOR_SIZE;
  let link = first;
  let linkSize = size;
  for (let empty = 0; empty < MAX_EMPTY_LINKS && state.next < state.limit; empty++) {
    const sector = await readPartSector(state, link);
    if (sector === null || !hasMagic(sector)) return;
    for (let i = 0; i < ENTRIES; i++) {
      const { start, size: blocks, type } = entry(sector, i);
      if (blocks === 0 || isExtended({ bootIndicator: 0, type, start, size: blocks })) continue;
      const offset = start * perBlock;
      const sectors = blocks * perBlock;
      // The third and fourth entries are often garbage.
      if (i >= 2 && (offset + sectors > linkSize || link + offset < first || link + offset + sectors > first + size))
        continue;
      put(state, state.next, link + offset, sectors, uuidOf(signature, state.next));
      empty = -1;
      if (++state.next === state.limit) return;
    }
    const next = [0, 1, 2, 3].map((i) => entry(sector, i)).find((e) => e.size > 0 && isExtended(e));
    if (next === undefined) return;
    link = first + next.start * perBlock;
    linkSize = next.size * perBlock;
  }
}
