/**
 * The 16-bit checksum of T10 protection information.
 * Kernel counterpart: lib/crc-t10dif.c. [NVM] 5.2.1.2.
 */

/** x^16 + x^15 + x^11 + x^9 + x^8 + x^7 + x^5 + x^4 + x^2 + x + 1, highest power first. */
const POLYNOMIAL = 0x8bb7;

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = ((crc << 1) ^ (crc & 0x8000 ? POLYNOMIAL : 0)) & 0xffff;
  return crc;
});

/** Goes on with `crc` (0 to begin) over `length` bytes at `at`. Any context. @kernel lib/crc-t10dif.c crc_t10dif_update */
export function crcT10dif(crc: number, bytes: Uint8Array, at: number, length: number): number {
  const end = at + length;
  for (let i = at; i < end; i++) crc = ((crc & 0xff) << 8) ^ TABLE[(crc >>> 8) ^ bytes[i]];
  return crc;
}
