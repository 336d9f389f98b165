/** The decoded print of structs and registers: one line per field with its name, place and value. */
import type { BitFields } from './bits.js';
import { readWord } from './codec.js';
import type { Field } from './fields.js';
import { byteRange, type PlacedField } from './layout.js';
import { readAscii } from './text.js';

/** One line per field of the struct at `start`; bit fields and nested fields indented. */
export function describeStruct(layout: readonly PlacedField[], bytes: Uint8Array, start: number): string {
  const lines: string[] = [];
  addStruct(lines, '', layout, bytes, start, 0);
  return lines.join('\n');
}

/** One line per bit field, indented; `hi` holds bits 63..32. */
export function describeBits(fields: BitFields, lo: number, hi: number, indent = '  '): string[] {
  return Object.keys(fields).map((name) => {
    const field = fields[name]!;
    return line(`${indent}${name}`, `bits ${field.range}`, hex(field.get(lo, hi)));
  });
}

/** A number as hexadecimal with its prefix. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function addStruct(
  lines: string[],
  indent: string,
  layout: readonly PlacedField[],
  bytes: Uint8Array,
  start: number,
  shown: number,
): void {
  for (const { name, offset, field } of layout) {
    if (field.kind === 'reserved') continue;
    addField(lines, indent, name, field, bytes, start + offset, shown + offset);
  }
}

function addField(
  lines: string[],
  indent: string,
  name: string,
  field: Field,
  bytes: Uint8Array,
  start: number,
  shown: number,
): void {
  const label = `${indent}${name}`;
  const place = `bytes ${byteRange(shown, field.sizeBytes)}`;
  switch (field.kind) {
    case 'struct':
      lines.push(line(label, place, field.struct.name));
      addStruct(lines, `${indent}  `, field.struct.layout, bytes, start, shown);
      break;
    case 'array':
      for (let i = 0; i < field.count; i++) {
        const step = i * field.element.sizeBytes;
        addField(lines, indent, `${name}[${i}]`, field.element, bytes, start + step, shown + step);
      }
      break;
    case 'ascii':
      lines.push(line(label, place, `"${readAscii(bytes, start, field.sizeBytes, field.pad)}"`));
      break;
    case 'bytes':
    case 'reserved':
      lines.push(line(label, place, bytesHex(bytes, start, field.sizeBytes)));
      break;
    default: {
      const lo = readWord(bytes, start, Math.min(field.sizeBytes, 4));
      const hi = field.kind === 'u64' ? readWord(bytes, start + 4, 4) : 0;
      const value = hi === 0 ? hex(lo) : `${hex(hi)}${lo.toString(16).padStart(8, '0')}`;
      lines.push(line(label, place, value));
      if (field.bits !== undefined) lines.push(...describeBits(field.bits, lo, hi, `${indent}  `));
    }
  }
}

function line(label: string, place: string, value: string): string {
  return `${label.padEnd(16)} ${place.padEnd(14)} ${value}`;
}

function bytesHex(bytes: Uint8Array, start: number, sizeBytes: number): string {
  let text = '';
  for (let i = 0; i < sizeBytes; i++) text += bytes[start + i]!.toString(16).padStart(2, '0');
  return text;
}
