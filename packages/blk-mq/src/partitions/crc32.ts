/**
 * CRC-32 (IEEE 802.3), as GPT headers use it.
 * Kernel counterpart: lib/crc32.c crc32_le.
 */
const POLYNOMIAL = 0xedb88320;
const TABLE = new Int32Array(256);
for (let n = 0; n < 256; n++) {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = (c & 1) !== 0 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
  TABLE[n] = c;
}

/** The checksum of a run of bytes, as an unsigned number. @kernel block/partitions/efi.c efi_crc32 */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 0xff] ^ (crc >>> 8);
  return ~crc >>> 0;
}
