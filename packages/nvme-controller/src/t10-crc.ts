// The guard's checksum: CRC-16 of T10-DIF, eight bytes at a time.
// Kernel counterpart: lib/crc-t10dif.c. Spec: [NVM] 1.0 §5.2.1.1 (16-bit guard: polynomial 8BB7h, nothing reflected).

const POLYNOMIAL = 0x8bb7;
const SLICES = 8;

/** By slice and byte: the checksum of that byte with `slice` zero bytes behind it. */
const TABLES: readonly Uint16Array[] = tables();

function tables(): Uint16Array[] {
  const all = Array.from({ length: SLICES }, () => new Uint16Array(256));
  const first = all[0] as Uint16Array;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ POLYNOMIAL;
    first[byte] = crc;
  }
  for (let slice = 1; slice < SLICES; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = (all[slice - 1] as Uint16Array)[byte] as number;
      (all[slice] as Uint16Array)[byte] = (before << 8) ^ (first[before >>> 8] as number);
    }
  }
  return all;
}

/** The checksum of what `crc` is the checksum of (0: nothing) with `length` bytes at (bytes, offset) behind it. @kernel lib/crc-t10dif.c crc_t10dif_update */
export function crcT10Dif(crc: number, bytes: Uint8Array, offset: number, length: number): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as unknown as [
    Uint16Array,
    Uint16Array,
    Uint16Array,
    Uint16Array,
    Uint16Array,
    Uint16Array,
    Uint16Array,
    Uint16Array,
  ];
  const end = offset + length;
  let sum = crc;
  let at = offset;
  for (; at + SLICES <= end; at += SLICES) {
    sum =
      (t7[(sum >>> 8) ^ (bytes[at] as number)] as number) ^
      (t6[(sum & 0xff) ^ (bytes[at + 1] as number)] as number) ^
      (t5[bytes[at + 2] as number] as number) ^
      (t4[bytes[at + 3] as number] as number) ^
      (t3[bytes[at + 4] as number] as number) ^
      (t2[bytes[at + 5] as number] as number) ^
      (t1[bytes[at + 6] as number] as number) ^
      (t0[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) sum = ((sum << 8) & 0xffff) ^ (t0[(sum >>> 8) ^ (bytes[at] as number)] as number);
  return sum;
}
