/** Encodes and decodes wire structs as plain objects; the comfortable side of a struct, not for the hot path. */
import type { Field } from './fields.js';
import type { PlacedField } from './layout.js';
import { readAscii, writeAscii } from './text.js';

const WORD = 4294967296;

/** Plain values by field name, as yet untyped. */
export type PlainValues = Record<string, unknown>;

/** The fields of the struct at `start` as a plain object; byte fields are copies. */
export function decodeFields(placed: readonly PlacedField[], bytes: Uint8Array, start: number): PlainValues {
  const values: PlainValues = {};
  for (const { name, offset, field } of placed) {
    if (field.kind !== 'reserved') values[name] = decodeField(field, bytes, start + offset);
  }
  return values;
}

/** Writes the given fields of the struct at `start`; throws a sentence naming an unknown field or a value that does not fit. */
export function encodeFields(
  struct: string,
  placed: readonly PlacedField[],
  values: PlainValues,
  bytes: Uint8Array,
  start: number,
): void {
  for (const name of Object.keys(values)) {
    const entry = placed.find((candidate) => candidate.name === name);
    if (entry === undefined || entry.field.kind === 'reserved') throw new TypeError(`${struct} has no field ${name}`);
    const value = values[name];
    if (value !== undefined) encodeField(`${struct}.${name}`, entry.field, value, bytes, start + entry.offset);
  }
}

function decodeField(field: Field, bytes: Uint8Array, start: number): unknown {
  switch (field.kind) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
      return readWord(bytes, start, field.sizeBytes);
    case 'ascii':
      return readAscii(bytes, start, field.sizeBytes, field.pad);
    case 'struct':
      return decodeFields(field.struct.layout, bytes, start);
    case 'array': {
      const elements: unknown[] = [];
      for (let i = 0; i < field.count; i++) {
        elements.push(decodeField(field.element, bytes, start + i * field.element.sizeBytes));
      }
      return elements;
    }
    default:
      return bytes.slice(start, start + field.sizeBytes);
  }
}

function encodeField(where: string, field: Field, value: unknown, bytes: Uint8Array, start: number): void {
  switch (field.kind) {
    case 'u8':
    case 'u16':
    case 'u32':
    case 'u64':
      writeWord(where, bytes, start, field.sizeBytes, value);
      return;
    case 'ascii':
      if (typeof value !== 'string') throw new TypeError(`${where} must be a string`);
      writeAscii(bytes, start, field.sizeBytes, field.pad, value, where);
      return;
    case 'struct':
      if (typeof value !== 'object' || value === null)
        throw new TypeError(`${where} must be an object of field values`);
      encodeFields(where, field.struct.layout, value as PlainValues, bytes, start);
      return;
    case 'array':
      if (!Array.isArray(value) || value.length > field.count) {
        throw new TypeError(`${where} must be an array of at most ${field.count} elements`);
      }
      for (let i = 0; i < value.length; i++) {
        encodeField(`${where}[${i}]`, field.element, value[i], bytes, start + i * field.element.sizeBytes);
      }
      return;
    default:
      if (!(value instanceof Uint8Array) || value.length !== field.sizeBytes) {
        throw new TypeError(`${where} must be a Uint8Array of ${field.sizeBytes} bytes`);
      }
      bytes.set(value, start);
  }
}

/** A little-endian word of 1, 2, 4 or 8 bytes; 64-bit words above 2^53 lose their low bits. */
export function readWord(bytes: Uint8Array, start: number, sizeBytes: number): number {
  let value = 0;
  for (let i = sizeBytes - 1; i >= 0; i--) value = value * 256 + bytes[start + i]!;
  return value;
}

function writeWord(where: string, bytes: Uint8Array, start: number, sizeBytes: number, value: unknown): void {
  const limit = sizeBytes === 8 ? WORD * WORD : sizeBytes === 4 ? WORD : sizeBytes === 2 ? 0x10000 : 0x100;
  if (typeof value !== 'number' || !(value >= 0 && value < limit) || Math.floor(value) !== value) {
    throw new RangeError(`${where}: ${String(value)} is not a whole number from 0 to ${(limit - 1).toString(16)}h`);
  }
  let rest = value;
  for (let i = 0; i < sizeBytes; i++) {
    bytes[start + i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
}
