/**
 * Wire structs as declarations: one line per field gives the codec, the cursor, the decoded print and the layout check.
 * Kernel counterpart: the packed structs of include/linux/nvme.h and BUILD_BUG_ON on their sizes.
 */
import { decodeFields, encodeFields, type PlainValues } from './codec.js';
import { type CursorBase, type Memory, makeCursorClass, type StructCursor } from './cursor.js';
import { describeStruct } from './describe.js';
import type { StructFields, StructInput, StructValues } from './fields.js';
import { type PlacedField, placeFields } from './layout.js';

/** A wire struct whose fields are not known to the type system. */
export interface AnyStruct {
  readonly name: string;
  readonly sizeBytes: number;
  readonly alignBytes: number;
  readonly layout: readonly PlacedField[];
  cursor(memory: Memory): CursorBase;
}

/** A declared wire struct. */
export interface WireStruct<Fields extends StructFields> extends AnyStruct {
  /** The declaration itself. */
  readonly fields: Fields;
  /** Byte offset of every field. @kernel include/linux/stddef.h offsetof */
  readonly offsets: { readonly [Name in keyof Fields]: number };
  /**
   * A cursor over `memory`, standing at byte 0. Make one per ring and move it with `at`; it never bounds-checks beyond
   * the memory itself, so access past the end throws a `RangeError`.
   */
  cursor(memory: Memory): StructCursor<Fields>;
  /** A new buffer with the given fields; the rest is zero. Throws a sentence naming the field that does not fit. */
  encode(values: StructInput<Fields>): Uint8Array;
  /** Writes the given fields into `bytes` at `offset` and leaves all others as they are. */
  encodeInto(bytes: Uint8Array, offset: number, values: StructInput<Fields>): void;
  /** All fields as a plain object. Throws a `RangeError` if `bytes` is too short. */
  decode(bytes: Uint8Array, offset?: number): StructValues<Fields>;
  /** One line per field: name, bytes, value; bit fields indented below their word. */
  describe(bytes: Uint8Array, offset?: number): string;
}

/**
 * Declares a wire struct of exactly `sizeBytes`, little-endian, without implicit padding.
 * Throws an `Error` with one sentence naming struct and field on overlap, misalignment or a wrong size.
 */
export function struct<const Fields extends StructFields>(
  name: string,
  sizeBytes: number,
  fields: Fields,
): WireStruct<Fields> {
  const layout = placeFields(name, sizeBytes, fields);
  const Cursor = makeCursorClass(name, layout);
  const offsets: Record<string, number> = {};
  let alignBytes = 1;
  for (const entry of layout) {
    offsets[entry.name] = entry.offset;
    alignBytes = Math.max(alignBytes, entry.field.alignBytes);
  }
  const checkSpan = (bytes: Uint8Array, offset: number): void => {
    if (offset >= 0 && offset + sizeBytes <= bytes.length) return;
    throw new RangeError(`${name} needs ${sizeBytes} bytes at ${offset}, but the buffer has ${bytes.length}`);
  };
  return {
    name,
    sizeBytes,
    alignBytes,
    layout,
    fields,
    offsets: offsets as WireStruct<Fields>['offsets'],
    cursor: (memory) => new Cursor(memory) as StructCursor<Fields>,
    encode(values) {
      const bytes = new Uint8Array(sizeBytes);
      encodeFields(name, layout, values as PlainValues, bytes, 0);
      return bytes;
    },
    encodeInto(bytes, offset, values) {
      checkSpan(bytes, offset);
      encodeFields(name, layout, values as PlainValues, bytes, offset);
    },
    decode(bytes, offset = 0) {
      checkSpan(bytes, offset);
      return decodeFields(layout, bytes, offset) as StructValues<Fields>;
    },
    describe(bytes, offset = 0) {
      checkSpan(bytes, offset);
      return describeStruct(layout, bytes, offset);
    },
  };
}
