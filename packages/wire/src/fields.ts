/**
 * Field kinds of wire structs and the TypeScript types inferred from them; all words are little-endian.
 * Kernel counterpart: the __le16/__le32/__le64 members of include/linux/nvme.h structs.
 */
import type { BitFields } from './bits.js';
import type { AnyStruct, WireStruct } from './struct.js';

interface FieldBase {
  readonly sizeBytes: number;
  /** Natural alignment that the struct check demands; 1 for bytes. */
  readonly alignBytes: number;
  /** Explicit byte offset, or undefined to follow the field before. */
  readonly offset?: number;
  /** True if the field is a second name for bytes that another field owns (a C union). */
  readonly alias?: boolean;
}

export interface WordField extends FieldBase {
  readonly kind: 'u8' | 'u16' | 'u32';
  readonly bits?: BitFields;
}

/** A 64-bit word, read and written as a number; exact up to 2^53, beyond it use the `Lo` and `Hi` accessors. */
export interface U64Field extends FieldBase {
  readonly kind: 'u64';
  readonly bits?: BitFields;
}

export interface BytesField extends FieldBase {
  readonly kind: 'bytes';
}

export interface AsciiField extends FieldBase {
  readonly kind: 'ascii';
  /** What fills the rest of the field when it is written: a space, or NUL (which also ends the text when read). */
  readonly pad: ' ' | '\0';
}

export interface ReservedField extends FieldBase {
  readonly kind: 'reserved';
}

export interface StructField<Struct extends AnyStruct> extends FieldBase {
  readonly kind: 'struct';
  readonly struct: Struct;
}

export interface ArrayField<Element extends ElementField> extends FieldBase {
  readonly kind: 'array';
  readonly element: Element;
  readonly count: number;
}

export type ElementField = WordField | U64Field | StructField<AnyStruct>;
export type Field = ElementField | BytesField | AsciiField | ReservedField | ArrayField<ElementField>;

export interface StructFields {
  readonly [name: string]: Field;
}

export const u8: WordField = { kind: 'u8', sizeBytes: 1, alignBytes: 1 };
export const u16: WordField = { kind: 'u16', sizeBytes: 2, alignBytes: 2 };
export const u32: WordField = { kind: 'u32', sizeBytes: 4, alignBytes: 4 };
export const u64: U64Field = { kind: 'u64', sizeBytes: 8, alignBytes: 8 };
/** 128-bit counter as its 16 little-endian bytes. */
export const u128: BytesField = { kind: 'bytes', sizeBytes: 16, alignBytes: 1 };

/** `sizeBytes` raw bytes. */
export function bytes(sizeBytes: number): BytesField {
  return { kind: 'bytes', sizeBytes, alignBytes: 1 };
}

/** Fixed-width ASCII text. Space padded text reads back at full width; NUL padded text ends at the first NUL. */
export function ascii(sizeBytes: number, pad: ' ' | '\0' = ' '): AsciiField {
  return { kind: 'ascii', sizeBytes, alignBytes: 1, pad };
}

/** `sizeBytes` that are no field: written as zero, absent from values and cursors. */
export function reserved(sizeBytes: number): ReservedField {
  return { kind: 'reserved', sizeBytes, alignBytes: 1 };
}

/** `count` elements in a row. */
export function array<Element extends ElementField>(element: Element, count: number): ArrayField<Element> {
  return { kind: 'array', sizeBytes: element.sizeBytes * count, alignBytes: element.alignBytes, element, count };
}

/** Another wire struct in place. */
export function nested<Struct extends AnyStruct>(struct: Struct): StructField<Struct> {
  return { kind: 'struct', sizeBytes: struct.sizeBytes, alignBytes: struct.alignBytes, struct };
}

/** The word with its bits named, for the decoded print and the documents. */
export function withBits<Word extends WordField | U64Field>(word: Word, bits: BitFields): Word {
  return { ...word, bits };
}

/** The field at an explicit byte offset, as tables in specifications give it; bytes skipped are reserved. */
export function at<Kind extends Field>(offset: number, field: Kind): Kind {
  return { ...field, offset };
}

/** A second name for bytes that other fields own (a C union); must lie inside the struct, may overlap anything. */
export function alias<Kind extends Field>(offset: number, field: Kind): Kind {
  return { ...field, offset, alias: true };
}

/** What a field holds as a plain value. */
export type FieldValue<F> = F extends WordField | U64Field
  ? number
  : F extends BytesField
    ? Uint8Array
    : F extends AsciiField
      ? string
      : F extends StructField<WireStruct<infer Fields>>
        ? StructValues<Fields>
        : F extends ArrayField<infer Element>
          ? FieldValue<Element>[]
          : never;

/** What a field accepts when it is encoded; what is left out is zero. */
export type FieldInput<F> =
  F extends StructField<WireStruct<infer Fields>>
    ? StructInput<Fields>
    : F extends ArrayField<infer Element>
      ? readonly FieldInput<Element>[]
      : FieldValue<F>;

/** Plain values of a struct by field name. */
export type StructValues<Fields extends StructFields> = {
  -readonly [Name in keyof Fields as Fields[Name] extends ReservedField ? never : Name]: FieldValue<Fields[Name]>;
};

/** Values to encode: any subset of the fields. */
export type StructInput<Fields extends StructFields> = {
  readonly [Name in keyof Fields as Fields[Name] extends ReservedField ? never : Name]?: FieldInput<Fields[Name]>;
};
