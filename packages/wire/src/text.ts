/** Fixed-width ASCII text in wire structs, [NVMe] 1.4 (ASCII strings are left justified and space padded). */

/** Reads the text; NUL padded text ends at its first NUL, space padded text keeps its padding. */
export function readAscii(bytes: Uint8Array, offset: number, sizeBytes: number, pad: ' ' | '\0'): string {
  let text = '';
  for (let i = 0; i < sizeBytes; i++) {
    const code = bytes[offset + i]!;
    if (pad === '\0' && code === 0) break;
    text += String.fromCharCode(code);
  }
  return text;
}

/** Writes the text and its padding; throws a `RangeError` naming the field if it does not fit or is not 7-bit. */
export function writeAscii(
  bytes: Uint8Array,
  offset: number,
  sizeBytes: number,
  pad: ' ' | '\0',
  text: string,
  name: string,
): void {
  if (text.length > sizeBytes) {
    throw new RangeError(`${name}: "${text}" has ${text.length} characters, at most ${sizeBytes} are allowed`);
  }
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) > 0x7f) throw new RangeError(`${name}: "${text}" is not ASCII at character ${i}`);
  }
  for (let i = 0; i < sizeBytes; i++) {
    bytes[offset + i] = i < text.length ? text.charCodeAt(i) : pad.charCodeAt(0);
  }
}
