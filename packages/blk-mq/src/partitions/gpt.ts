/**
 * GPT: primary and backup header, their checksums and entries.
 * Kernel counterpart: block/partitions/efi.c. Layout: UEFI specification 5.3.
 */
import { PAGE_SIZE } from '@nvme-stack/kernel';
import { SECTOR_SIZE } from '../ports.js';
import { crc32 } from './crc32.js';
import { hasMagic } from './mbr.js';
import { type ParsedPartitions, readPartSector } from './parsed.js';

const PRIMARY_LBA = 1;
/** "EFI PART" in two little-endian words. */
const SIGNATURE_LOW = 0x20494645;
const SIGNATURE_HIGH = 0x54524150;
const HEADER_BYTES = 92;
const ENTRY_BYTES = 128;
const MAX_ENTRIES_BYTES = 1024 * PAGE_SIZE;
const PROTECTIVE_TYPE = 0xee;
const TWO_32 = 4294967296;

interface Gpt {
  readonly myLba: number;
  readonly alternateLba: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly diskGuid: string;
  readonly entryCount: number;
  readonly entriesCrc: number;
  readonly entries: DataView;
}

function u64(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint32(at + 4, true) * TWO_32;
}

/** A GUID as text; its first three fields are little-endian. */
export function guidText(view: DataView, at: number): string {
  const hex = (value: number, digits: number): string => value.toString(16).padStart(digits, '0');
  let tail = '';
  for (let i = 8; i < 16; i++) tail += hex(view.getUint8(at + i), 2) + (i === 9 ? '-' : '');
  return `${hex(view.getUint32(at, true), 8)}-${hex(view.getUint16(at + 4, true), 4)}-${hex(view.getUint16(at + 6, true), 4)}-${tail}`;
}

/** Bytes of consecutive logical blocks; null beyond the disk. @kernel block/partitions/efi.c read_lba */
async function readLba(state: ParsedPartitions, lba: number, lengthBytes: number): Promise<DataView | null> {
  const perBlock = state.logicalBlockSizeBytes / SECTOR_SIZE;
  const bytes = new Uint8Array(lengthBytes);
  for (let offset = 0; offset < lengthBytes; offset += SECTOR_SIZE) {
    const sector = await readPartSector(state, lba * perBlock + offset / SECTOR_SIZE);
    if (sector === null) return null;
    const take = Math.min(SECTOR_SIZE, lengthBytes - offset);
    bytes.set(new Uint8Array(sector.buffer, sector.byteOffset, take), offset);
  }
  return new DataView(bytes.buffer);
}

/** A protective MBR has a partition of type EE that starts at block 1. @kernel block/partitions/efi.c is_pmbr_valid */
function isProtective(mbr: DataView): boolean {
  if (!hasMagic(mbr)) return false;
  for (let i = 0; i < 4; i++) {
    const at = 446 + i * 16;
    if (mbr.getUint8(at + 4) === PROTECTIVE_TYPE && mbr.getUint32(at + 8, true) === PRIMARY_LBA) return true;
  }
  return false;
}

function lastLba(state: ParsedPartitions): number {
  return Math.floor((state.sectors * SECTOR_SIZE) / state.logicalBlockSizeBytes) - 1;
}

/** The header at `lba` and its entries, or null when anything about them is wrong. @kernel block/partitions/efi.c is_gpt_valid */
async function validGpt(state: ParsedPartitions, lba: number): Promise<Gpt | null> {
  const header = await readLba(state, lba, state.logicalBlockSizeBytes);
  if (header === null) return null;
  if (header.getUint32(0, true) !== SIGNATURE_LOW || header.getUint32(4, true) !== SIGNATURE_HIGH) return null;
  const headerBytes = header.getUint32(12, true);
  if (headerBytes < HEADER_BYTES || headerBytes > state.logicalBlockSizeBytes) return null;
  const claimed = header.getUint32(16, true);
  header.setUint32(16, 0, true);
  if (crc32(new Uint8Array(header.buffer, 0, headerBytes)) !== claimed) return null;
  const firstUsable = u64(header, 40);
  const lastUsable = u64(header, 48);
  const last = lastLba(state);
  if (u64(header, 24) !== lba || firstUsable > last || lastUsable > last || lastUsable < firstUsable) return null;
  const entryCount = header.getUint32(80, true);
  if (header.getUint32(84, true) !== ENTRY_BYTES || entryCount * ENTRY_BYTES > MAX_ENTRIES_BYTES) return null;
  const entries = entryCount === 0 ? null : await readLba(state, u64(header, 72), entryCount * ENTRY_BYTES);
  const entriesCrc = header.getUint32(88, true);
  if (entries === null || crc32(new Uint8Array(entries.buffer)) !== entriesCrc) return null;
  const diskGuid = guidText(header, 56);
  return {
    myLba: lba,
    alternateLba: u64(header, 32),
    firstUsable,
    lastUsable,
    diskGuid,
    entryCount,
    entriesCrc,
    entries,
  };
}

/** Primary and backup, as far as they can be believed. @kernel block/partitions/efi.c find_valid_gpt */
async function findGpt(state: ParsedPartitions): Promise<Gpt | null> {
  const { blk } = state.disk;
  const warn = (text: string): void => blk.kernel.printk.print('warn', text);
  const last = lastLba(state);
  if (!blk.forceGpt) {
    const mbr = await readPartSector(state, 0);
    if (mbr === null || !isProtective(mbr)) return null;
  }
  const primary = await validGpt(state, PRIMARY_LBA);
  let backup = primary === null ? null : await validGpt(state, primary.alternateLba);
  if (backup === null && blk.forceGpt) backup = await validGpt(state, last);
  if (primary === null && backup === null) return null;
  compareGpts(primary, backup, last, warn);
  if (primary !== null) {
    if (backup === null) warn('Alternate GPT is invalid, using primary GPT.');
    return primary;
  }
  warn('Primary GPT is invalid, using alternate GPT.');
  return backup;
}

/** @kernel block/partitions/efi.c compare_gpts */
function compareGpts(primary: Gpt | null, backup: Gpt | null, last: number, warn: (text: string) => void): void {
  if (primary === null || backup === null) return;
  let faults = 0;
  const check = (ok: boolean, text: string, a: number | string, b: number | string): void => {
    if (ok) return;
    faults++;
    warn(`GPT:${text}`);
    warn(`GPT:${a} != ${b}`);
  };
  check(backup.alternateLba === primary.myLba, "alternate_lba don't match.", backup.alternateLba, primary.myLba);
  check(
    primary.firstUsable === backup.firstUsable,
    "first_usable_lbas don't match.",
    primary.firstUsable,
    backup.firstUsable,
  );
  check(
    primary.lastUsable === backup.lastUsable,
    "last_usable_lbas don't match.",
    primary.lastUsable,
    backup.lastUsable,
  );
  check(primary.diskGuid === backup.diskGuid, "disk_guids don't match.", primary.diskGuid, backup.diskGuid);
  check(
    primary.entriesCrc === backup.entriesCrc,
    "partition_entry_array_crc32 values don't match.",
    primary.entriesCrc,
    backup.entriesCrc,
  );
  const placed = primary.alternateLba === last;
  check(placed, 'Primary header thinks Alt. header is not at the end of the disk.', primary.alternateLba, last);
  check(backup.myLba === last, 'Alternate GPT header not at the end of the disk.', backup.myLba, last);
  if (faults > 0) warn('GPT: Use GNU Parted to correct GPT errors.');
}

/** 1 found, 0 not this format. Throws EIO. @kernel block/partitions/efi.c efi_partition */
export async function efiPartition(state: ParsedPartitions): Promise<number> {
  const gpt = await findGpt(state);
  if (gpt === null) return 0;
  const perBlock = state.logicalBlockSizeBytes / SECTOR_SIZE;
  const last = lastLba(state);
  for (let i = 0; i < gpt.entryCount && i < state.limit - 1; i++) {
    const at = i * ENTRY_BYTES;
    const typeGuid = guidText(gpt.entries, at);
    const start = u64(gpt.entries, at + 32);
    const end = u64(gpt.entries, at + 40);
    if (typeGuid === '00000000-0000-0000-0000-000000000000' || start > last || end > last || end < start) continue;
    state.put(i + 1, {
      startSector: start * perBlock,
      sectors: (end - start + 1) * perBlock,
      typeGuid,
      uuid: guidText(gpt.entries, at + 16),
      label: labelOf(gpt.entries, at + 56),
    });
  }
  return 1;
}

/** 36 UTF-16 units; what is not printable becomes `!`. @kernel block/partitions/efi.c utf16_le_to_7bit */
function labelOf(entries: DataView, at: number): string {
  let text = '';
  for (let i = 0; i < 36; i++) {
    const unit = entries.getUint16(at + 2 * i, true) & 0xff;
    if (unit === 0) break;
    text += unit >= 0x20 && unit < 0x7f ? String.fromCharCode(unit) : '!';
  }
  return text;
}
