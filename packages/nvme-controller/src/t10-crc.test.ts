// The guard's checksum, against the vectors of SBC-4 Annex and the check value of CRC-16/T10-DIF.
import { describe, expect, it } from 'vitest';
import { crcT10Dif } from './t10-crc.js';

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));
const VECTORS: readonly (readonly [name: string, bytes: Uint8Array, crc: number])[] = [
  ['32 zeroes', new Uint8Array(32), 0x0000],
  ['32 bytes of all ones', new Uint8Array(32).fill(0xff), 0xa293],
  ['32 bytes counting up', Uint8Array.from({ length: 32 }, (_, i) => i), 0x0224],
  ['two bytes of ones, then zeroes', Uint8Array.from({ length: 32 }, (_, i) => (i < 2 ? 0xff : 0)), 0x21b8],
  ['123456789', ascii('123456789'), 0xd0db],
  ['abc', ascii('abc'), 0x443b],
];

describe('the T10-DIF checksum', () => {
  it.each(VECTORS)('of %s is as published', (_name, bytes, crc) => {
    expect(crcT10Dif(0, bytes, 0, bytes.length)).toBe(crc);
  });

  it('goes on from a checksum, at any offset and length', () => {
    const bytes = Uint8Array.from({ length: 100 }, (_, i) => (i * 37 + 11) & 0xff);
    const whole = crcT10Dif(0, bytes, 3, 90);
    for (let cut = 0; cut <= 90; cut++) {
      expect(crcT10Dif(crcT10Dif(0, bytes, 3, cut), bytes, 3 + cut, 90 - cut)).toBe(whole);
    }
  });
});
