/**
 * The 64-bit checksum of NVMe protection information, in halves of 32 bits.
 * Kernel counterpart: lib/crc64.c crc64_rocksoft_generic (6.1), crc64_nvme. [NVM] 5.2.1.3.
 */

/** The reflected polynomial. */
const POLYNOMIAL_LO = 0xac4bc9b5;
const POLYNOMIAL_HI = 0x9a6c9329;
const ONES = 0xffffffff;

/** By byte: the low half, then the high half. */
const TABLE = makeTable();

function makeTable(): Uint32Array {
  const table = new Uint32Array(512);
  for (let byte = 0; byte < 256; byte++) {
    let lo = byte;
    let hi = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = lo & 1;
      lo = ((lo >>> 1) | (hi << 31)) >>> 0;
      hi >>>= 1;
      if (carry === 0) continue;
      lo ^= POLYNOMIAL_LO;
      hi ^= POLYNOMIAL_HI;
    }
    table[2 * byte] = lo;
    table[2 * byte + 1] = hi;
  }
  return table;
}

/** A checksum that is being made. */
export class Crc64 {
  private lo = ONES | 0;
  private hi = ONES | 0;

  begin(): void {
    this.lo = ONES | 0;
    this.hi = ONES | 0;
  }

  /** Any context. */
  update(bytes: Uint8Array, at: number, length: number): void {
    let { lo, hi } = this;
    const end = at + length;
    for (let i = at; i < end; i++) {
      const entry = 2 * ((lo ^ bytes[i]) & 0xff);
      lo = ((lo >>> 8) | (hi << 24)) ^ TABLE[entry];
      hi = (hi >>> 8) ^ TABLE[entry + 1];
    }
    this.lo = lo;
    this.hi = hi;
  }

  /** Bits 31 to 0, and 63 to 32, of the checksum of what was fed since `begin`. */
  get low(): number {
    return ~this.lo >>> 0;
  }
  get high(): number {
    return ~this.hi >>> 0;
  }
}
