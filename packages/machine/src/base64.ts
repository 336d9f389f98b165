/** Bytes as base64 text, [RFC 4648] §4. */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const CHARACTERS = Array.from(ALPHABET);
const VALUES: ReadonlyMap<string, number> = new Map(CHARACTERS.map((character, value) => [character, value]));
/** Groups joined at a time. */
const CHUNK = 4096;

/** The text of some bytes, padded. */
export function base64Of(bytes: Uint8Array): string {
  const chunks: string[] = [];
  let chunk: string[] = [];
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const [first = 0, second = 0, third = 0] = bytes.subarray(at, at + 3);
    const group = (first << 16) | (second << 8) | third;
    const shown = [18, 12, 6, 0].map((shift) => CHARACTERS[(group >>> shift) & 63] as string);
    chunk.push(left >= 3 ? shown.join('') : shown.slice(0, left + 1).join('') + '='.repeat(3 - left));
    if (chunk.length < CHUNK) continue;
    chunks.push(chunk.join(''));
    chunk = [];
  }
  chunks.push(chunk.join(''));
  return chunks.join('');
}

/** The bytes of a text; null when it is not base64. */
export function bytesOfBase64(text: string): Uint8Array | null {
  if (text.length % 4 !== 0) return null;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  for (let at = 0, to = 0; at < text.length; at += 4, to += 3) {
    let group = 0;
    for (let i = 0; i < 4; i++) {
      const isPadding = at + i >= text.length - padding;
      const value = isPadding ? 0 : VALUES.get(text[at + i] as string);
      if (value === undefined) return null;
      group = group * 64 + value;
    }
    bytes[to] = group >>> 16;
    if (to + 1 < bytes.length) bytes[to + 1] = (group >>> 8) & 0xff;
    if (to + 2 < bytes.length) bytes[to + 2] = group & 0xff;
  }
  return bytes;
}
