/**
 * Bit fields of registers and command words, numbered as in a specification's figure.
 * Kernel counterpart: include/linux/bitfield.h and include/linux/bits.h. [NVMe] 1.7 (bit numbering, 0 is the lowest).
 */

const WORD = 4294967296;

function lowMask(width: number): number {
  return width >= 32 ? 0xffffffff : (1 << width) - 1;
}

/**
 * A run of bits `high..low` of a register of up to 64 bits. A 64-bit register is handed over as two 32-bit words
 * (`lo`, `hi`), so that no BigInt is needed; a field of a 32-bit word ignores `hi`.
 */
export class BitField {
  readonly high: number;
  readonly low: number;
  readonly width: number;
  /** Mask of the field in place, in bits 31..0 of the register. */
  readonly mask: number;
  /** Mask of the field in place, in bits 63..32 of the register. */
  readonly maskHi: number;
  /** Largest value the field can hold (a number; fields of more than 53 bits are refused). */
  readonly max: number;
  readonly #valueMask: number;
  readonly #place: number;

  constructor(high: number, low: number) {
    checkRange(high, low);
    this.high = high;
    this.low = low;
    this.width = high - low + 1;
    this.mask = low < 32 ? (lowMask(Math.min(high, 31) - low + 1) << low) >>> 0 : 0;
    this.maskHi = high >= 32 ? (lowMask(high - Math.max(low, 32) + 1) << Math.max(low - 32, 0)) >>> 0 : 0;
    this.max = powerOfTwo(this.width) - 1;
    this.#valueMask = lowMask(this.width);
    this.#place = low < 32 ? powerOfTwo(low) : powerOfTwo(low - 32);
  }

  /** The field's value, right-aligned. Any context; allocates nothing. @kernel include/linux/bitfield.h FIELD_GET */
  get(lo: number, hi = 0): number {
    if (this.high < 32) return ((lo >>> this.low) & this.#valueMask) >>> 0;
    if (this.low >= 32) return ((hi >>> (this.low - 32)) & this.#valueMask) >>> 0;
    return (lo >>> this.low) + (((hi & this.maskHi) >>> 0) * WORD) / this.#place;
  }

  /**
   * Bits 31..0 of the register with the field replaced by `value`; excess bits of `value` are dropped, as in hardware.
   * @kernel include/linux/bitfield.h FIELD_MODIFY
   */
  set(lo: number, value: number): number {
    return ((lo & ~this.mask) | this.put(value)) >>> 0;
  }

  /** Bits 63..32 of the register with the field replaced by `value`. */
  setHi(hi: number, value: number): number {
    return ((hi & ~this.maskHi) | this.putHi(value)) >>> 0;
  }

  /** `value` shifted into place, bits 31..0. @kernel include/linux/bitfield.h FIELD_PREP */
  put(value: number): number {
    if (this.low >= 32) return 0;
    return ((value << this.low) & this.mask) >>> 0;
  }

  /** `value` shifted into place, bits 63..32. */
  putHi(value: number): number {
    if (this.high < 32) return 0;
    if (this.low >= 32) return ((value << (this.low - 32)) & this.maskHi) >>> 0;
    return (Math.floor((value * this.#place) / WORD) & this.maskHi) >>> 0;
  }

  /** True if `value` can be held without loss. @kernel include/linux/bitfield.h FIELD_FIT */
  fits(value: number): boolean {
    return value >= 0 && value <= this.max && Math.floor(value) === value;
  }

  /** The specification's spelling, `6:4` or `0`. */
  get range(): string {
    return this.high === this.low ? `${this.low}` : `${this.high}:${this.low}`;
  }
}

/** Named bit fields of one register or word, high to low as in its figure. */
export interface BitFields {
  readonly [name: string]: BitField;
}

/** Values of named bit fields, right-aligned. */
export type BitValues<Fields extends BitFields> = { [Name in keyof Fields]: number };

/** One bit. Throws a `RangeError` outside 63..0. @kernel include/linux/bits.h BIT */
export function bit(position: number): BitField {
  return new BitField(position, position);
}

/** Bits `high` down to `low`, both included. Throws a `RangeError` outside 63..0. @kernel include/linux/bits.h GENMASK */
export function bits(high: number, low: number): BitField {
  return new BitField(high, low);
}

/** Bits 31..0 of a register put together from some of its fields; fields not named are zero. Not for the hot path. */
export function pack<Fields extends BitFields>(fields: Fields, values: Partial<BitValues<Fields>>): number {
  let word = 0;
  for (const name in values) word |= fields[name]!.put(values[name]!);
  return word >>> 0;
}

/** Bits 63..32 of a register put together from some of its fields. Not for the hot path. */
export function packHi<Fields extends BitFields>(fields: Fields, values: Partial<BitValues<Fields>>): number {
  let word = 0;
  for (const name in values) word |= fields[name]!.putHi(values[name]!);
  return word >>> 0;
}

/** All fields of a register by name. Allocates; not for the hot path. */
export function unpack<Fields extends BitFields>(fields: Fields, lo: number, hi = 0): BitValues<Fields> {
  const values: Record<string, number> = {};
  for (const name in fields) values[name] = fields[name]!.get(lo, hi);
  return values as BitValues<Fields>;
}

/** Throws an `Error` naming the fields if two overlap, or one lies outside `widthBits`. */
export function checkBitFields(owner: string, widthBits: number, fields: BitFields): void {
  const names = Object.keys(fields);
  for (let i = 0; i < names.length; i++) {
    const field = fields[names[i]!]!;
    if (field.high >= widthBits) {
      throw new Error(`${owner}: bit field ${names[i]} (${field.range}) lies outside its ${widthBits} bits`);
    }
    for (let j = 0; j < i; j++) {
      const other = fields[names[j]!]!;
      if (field.low <= other.high && other.low <= field.high) {
        throw new Error(`${owner}: bit fields ${names[j]} (${other.range}) and ${names[i]} (${field.range}) overlap`);
      }
    }
  }
}

function powerOfTwo(exponent: number): number {
  let value = 1;
  for (let i = 0; i < exponent; i++) value *= 2;
  return value;
}

function checkRange(high: number, low: number): void {
  const whole = Math.floor(high) === high && Math.floor(low) === low;
  if (!whole || low < 0 || high > 63 || high < low) {
    throw new RangeError(`bit field ${high}:${low} must be whole numbers with 63 >= high >= low >= 0`);
  }
  if (high - low >= 53) throw new RangeError(`bit field ${high}:${low} is wider than the 53 bits of a number`);
}
