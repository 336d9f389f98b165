/**
 * Places the fields of a wire struct and checks the result when the declaration is loaded.
 * Kernel counterpart: BUILD_BUG_ON(sizeof(struct …) != …), as in drivers/nvme/host/core.c _nvme_check_size.
 */
import { checkBitFields } from './bits.js';
import type { Field, StructFields } from './fields.js';

/** One field with its place in the struct. */
export interface PlacedField {
  readonly name: string;
  readonly offset: number;
  readonly field: Field;
}

/** Names a cursor uses itself, so no field may carry them. */
const CURSOR_MEMBERS = ['at', 'base', 'bytes', 'view', 'children', 'constructor'];

/**
 * Places every field at its own offset or after the field before, and checks names, alignment, overlap and size.
 * Throws an `Error` with one sentence naming the struct and the field.
 */
export function placeFields(struct: string, sizeBytes: number, fields: StructFields): readonly PlacedField[] {
  const placed: PlacedField[] = [];
  let next = 0;
  for (const name of Object.keys(fields)) {
    const field = fields[name]!;
    const offset = field.offset ?? next;
    checkField(struct, sizeBytes, name, offset, field);
    if (field.alias !== true) {
      checkOverlap(struct, placed, name, offset, field.sizeBytes);
      next = offset + field.sizeBytes;
    }
    placed.push({ name, offset, field });
  }
  const end = placed.reduce((last, entry) => Math.max(last, entry.offset + entry.field.sizeBytes), 0);
  if (end !== sizeBytes)
    throw new Error(`${struct}: its fields end at byte ${end}, but its size is ${sizeBytes} bytes`);
  return placed;
}

function checkField(struct: string, sizeBytes: number, name: string, offset: number, field: Field): void {
  const where = `${struct}.${name}`;
  if (CURSOR_MEMBERS.includes(name)) throw new Error(`${where}: the name is taken by the cursor itself`);
  if (!(field.sizeBytes > 0) || Math.floor(field.sizeBytes) !== field.sizeBytes) {
    throw new Error(`${where}: size ${field.sizeBytes} is not a positive whole number of bytes`);
  }
  if (offset < 0 || Math.floor(offset) !== offset) throw new Error(`${where}: offset ${offset} is not a byte offset`);
  if (offset % field.alignBytes !== 0) {
    throw new Error(`${where}: byte ${offset} is not aligned to ${field.alignBytes} bytes`);
  }
  if (offset + field.sizeBytes > sizeBytes) {
    throw new Error(
      `${where}: bytes ${byteRange(offset, field.sizeBytes)} lie outside the struct's ${sizeBytes} bytes`,
    );
  }
  if ('bits' in field && field.bits !== undefined) checkBitFields(where, field.sizeBytes * 8, field.bits);
}

function checkOverlap(
  struct: string,
  placed: readonly PlacedField[],
  name: string,
  offset: number,
  size: number,
): void {
  for (const other of placed) {
    if (other.field.alias === true) continue;
    if (offset < other.offset + other.field.sizeBytes && other.offset < offset + size) {
      const mine = byteRange(offset, size);
      const theirs = byteRange(other.offset, other.field.sizeBytes);
      throw new Error(`${struct}.${name}: bytes ${mine} overlap ${struct}.${other.name} (bytes ${theirs})`);
    }
  }
}

/** Byte range in the specification's spelling, high first: `3:0`, or `7` for one byte. */
export function byteRange(offset: number, sizeBytes: number): string {
  return sizeBytes === 1 ? `${offset}` : `${offset + sizeBytes - 1}:${offset}`;
}
