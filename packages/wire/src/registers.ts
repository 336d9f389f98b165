/**
 * Register maps as declarations: offset, width and bit fields of every register, checked when loaded.
 * Kernel counterpart: the NVME_REG_* offsets and field masks of include/linux/nvme.h. [NVMe] 3.1.4.
 */
import { type BitFields, checkBitFields } from './bits.js';
import { describeBits, hex } from './describe.js';

/** A register: its place, its width and its fields, high to low. */
export interface Register<Fields extends BitFields = BitFields> {
  readonly offset: number;
  readonly sizeBytes: 4 | 8;
  readonly fields: Fields;
}

export interface Registers {
  readonly [name: string]: Register;
}

/** A checked register map. */
export interface RegisterMap<Map extends Registers> {
  readonly name: string;
  readonly sizeBytes: number;
  readonly registers: Map;
  /** Name of the register that holds the byte at `offset`, or undefined. Not for the hot path. */
  nameAt(offset: number): (keyof Map & string) | undefined;
  /** One line for the register and one per field, with bits and value; `hi` holds bits 63..32. */
  describe(register: keyof Map & string, lo: number, hi?: number): string;
}

/** A 32-bit register at byte `offset`. */
export function register32<const Fields extends BitFields>(offset: number, fields: Fields): Register<Fields> {
  return { offset, sizeBytes: 4, fields };
}

/** A 64-bit register at byte `offset`; its fields are numbered 63..0 and read with `get(lo, hi)`. */
export function register64<const Fields extends BitFields>(offset: number, fields: Fields): Register<Fields> {
  return { offset, sizeBytes: 8, fields };
}

/**
 * Declares a register map of `sizeBytes`. Throws an `Error` naming the register on overlap, misalignment, a register
 * outside the map, or a bit field outside its register.
 */
export function registerMap<const Map extends Registers>(name: string, sizeBytes: number, map: Map): RegisterMap<Map> {
  const names = Object.keys(map);
  names.forEach((key, index) => {
    checkRegister(name, sizeBytes, key, map[key]!);
    for (const other of names.slice(0, index)) checkPair(name, map, other, key);
  });
  return {
    name,
    sizeBytes,
    registers: map,
    nameAt: (offset) =>
      names.find((key) => offset >= map[key]!.offset && offset < map[key]!.offset + map[key]!.sizeBytes),
    describe(key, lo, hi = 0) {
      const value = hi === 0 ? hex(lo) : `${hex(hi)}${lo.toString(16).padStart(8, '0')}`;
      const { offset, fields } = map[key]!;
      return [`${key} (${hex(offset)}) = ${value}`, ...describeBits(fields, lo, hi)].join('\n');
    },
  };
}

function checkRegister(owner: string, mapBytes: number, key: string, register: Register): void {
  const where = `${owner}.${key}`;
  const { offset, sizeBytes, fields } = register;
  if (offset % sizeBytes !== 0) throw new Error(`${where}: offset ${hex(offset)} is not aligned to ${sizeBytes} bytes`);
  if (offset < 0 || offset + sizeBytes > mapBytes) {
    throw new Error(`${where}: offset ${hex(offset)} lies outside the map's ${mapBytes} bytes`);
  }
  checkBitFields(where, sizeBytes * 8, fields);
}

function checkPair(owner: string, map: Registers, first: string, second: string): void {
  const a = map[first]!;
  const b = map[second]!;
  if (a.offset < b.offset + b.sizeBytes && b.offset < a.offset + a.sizeBytes) {
    throw new Error(`${owner}: registers ${first} (${hex(a.offset)}) and ${second} (${hex(b.offset)}) overlap`);
  }
}
