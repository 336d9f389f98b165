/** Bit fields, wire structs and register maps as declarations. */
export {
  type BitField,
  type BitFields,
  type BitValues,
  bit,
  bits,
  checkBitFields,
  pack,
  packHi,
  unpack,
} from './bits.js';
export type { ArrayCursor, CursorBase, Memory, StructCursor } from './cursor.js';
export { describeBits, hex } from './describe.js';
export {
  type ArrayField,
  type AsciiField,
  alias,
  array,
  ascii,
  at,
  type BytesField,
  bytes,
  type ElementField,
  type Field,
  type FieldInput,
  type FieldValue,
  nested,
  type ReservedField,
  reserved,
  type StructField,
  type StructFields,
  type StructInput,
  type StructValues,
  type U64Field,
  u8,
  u16,
  u32,
  u64,
  u128,
  type WordField,
  withBits,
} from './fields.js';
export type { PlacedField } from './layout.js';
export { type Register, type RegisterMap, type Registers, register32, register64, registerMap } from './registers.js';
export { type AnyStruct, struct, type WireStruct } from './struct.js';
