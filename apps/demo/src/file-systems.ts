/** What stands at the beginning of a volume, by the magic numbers of its superblock. */

/** A file system as `lsblk -f` would show it. */
export interface FileSystem {
  readonly type: string;
  readonly label: string;
  readonly uuid: string;
}

/** Bytes from the beginning of a volume that `identify` looks at. */
export const PROBE_BYTES = 128 * 1024;

const EXT_SUPERBLOCK = 1024;
const EXT_MAGIC = 0xef53;
const EXT_FEATURE_COMPAT_HAS_JOURNAL = 0x4;
const EXT4_FEATURE_INCOMPAT_EXTENTS = 0x40;
const BTRFS_SUPERBLOCK = 0x10000;
const PAGE_BYTES = 4096;

/** The file system or swap area whose first bytes these are; null: none that is known. */
export function identify(bytes: Uint8Array): FileSystem | null {
  return ext(bytes) ?? xfs(bytes) ?? btrfs(bytes) ?? swap(bytes) ?? luks(bytes) ?? fat(bytes);
}

function ext(bytes: Uint8Array): FileSystem | null {
  if (bytes.length < EXT_SUPERBLOCK + 256) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset + EXT_SUPERBLOCK, 256);
  if (view.getUint16(0x38, true) !== EXT_MAGIC) return null;
  const hasExtents = (view.getUint32(0x60, true) & EXT4_FEATURE_INCOMPAT_EXTENTS) !== 0;
  const hasJournal = (view.getUint32(0x5c, true) & EXT_FEATURE_COMPAT_HAS_JOURNAL) !== 0;
  const type = hasExtents ? 'ext4' : hasJournal ? 'ext3' : 'ext2';
  return { type, label: text(bytes, EXT_SUPERBLOCK + 0x78, 16), uuid: uuid(bytes, EXT_SUPERBLOCK + 0x68) };
}

function xfs(bytes: Uint8Array): FileSystem | null {
  return text(bytes, 0, 4) === 'XFSB' ? { type: 'xfs', label: text(bytes, 108, 12), uuid: uuid(bytes, 32) } : null;
}

function btrfs(bytes: Uint8Array): FileSystem | null {
  if (text(bytes, BTRFS_SUPERBLOCK + 0x40, 8) !== '_BHRfS_M') return null;
  return {
    type: 'btrfs',
    label: text(bytes, BTRFS_SUPERBLOCK + 0x12b, 256),
    uuid: uuid(bytes, BTRFS_SUPERBLOCK + 0x20),
  };
}

function swap(bytes: Uint8Array): FileSystem | null {
  if (text(bytes, PAGE_BYTES - 10, 10) !== 'SWAPSPACE2') return null;
  return { type: 'swap', label: text(bytes, 1052, 16), uuid: uuid(bytes, 1036) };
}

function luks(bytes: Uint8Array): FileSystem | null {
  if (text(bytes, 0, 4) !== 'LUKS') return null;
  return { type: 'crypto_LUKS', label: '', uuid: text(bytes, 168, 40) };
}

function fat(bytes: Uint8Array): FileSystem | null {
  if (bytes[510] !== 0x55 || bytes[511] !== 0xaa) return null;
  const at = text(bytes, 82, 5) === 'FAT32' ? 71 : text(bytes, 54, 3) === 'FAT' ? 43 : 0;
  if (at === 0) return null;
  const serial = [3, 2, 1, 0].map((i) => hex(bytes[at - 4 + i] as number)).join('');
  return { type: 'vfat', label: text(bytes, at, 11), uuid: `${serial.slice(0, 4)}-${serial.slice(4)}`.toUpperCase() };
}

/** Text up to its end or NUL, without spaces behind it. */
function text(bytes: Uint8Array, offset: number, length: number): string {
  const [upToNul = ''] = new TextDecoder().decode(bytes.subarray(offset, offset + length)).split('\0');
  return upToNul.trimEnd();
}

function uuid(bytes: Uint8Array, offset: number): string {
  const digits = Array.from(bytes.subarray(offset, offset + 16), hex).join('');
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}
