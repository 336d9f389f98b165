import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bit, bits, checkBitFields, pack, packHi, unpack } from './bits.js';

const CAP = { MPSMAX: bits(55, 52), DSTRD: bits(35, 32), TO: bits(31, 24), MQES: bits(15, 0) } as const;
const CBA = bits(63, 12);

const anyField = fc
  .tuple(fc.integer({ min: 0, max: 63 }), fc.integer({ min: 0, max: 52 }))
  .map(([low, extra]) => bits(Math.min(63, low + extra), low));
const word = fc.integer({ min: 0, max: 0xffffffff });

describe('bit fields', () => {
  test('reads the fields of a register wherever they lie', () => {
    const [lo, hi] = [0x0f0107ff, 0x00401820];
    expect(unpack(CAP, lo, hi)).toEqual({ MPSMAX: 4, DSTRD: 0, TO: 0x0f, MQES: 0x7ff });
    expect(bit(31).get(0x80000000)).toBe(1);
    expect(bits(31, 0).get(0xffffffff)).toBe(0xffffffff);
  });

  test('reads and writes a field that straddles the two words', () => {
    const address = 0x12_3456_7000;
    const value = address / 4096;
    expect(CBA.put(value)).toBe(0x34567000);
    expect(CBA.putHi(value)).toBe(0x12);
    expect(CBA.get(0x34567fff, 0x12)).toBe(value);
    expect(CBA.max).toBe(2 ** 52 - 1);
  });

  test('drops excess bits of a value, as hardware does, and says so when asked', () => {
    expect(bits(6, 4).set(0xffffffff, 8)).toBe(0xffffff8f);
    expect(bits(6, 4).fits(8)).toBe(false);
    expect(bits(6, 4).fits(7)).toBe(true);
  });

  test('law: what is set is read back, and no other bit changes', () => {
    fc.assert(
      fc.property(anyField, word, word, fc.double({ min: 0, max: 1, noNaN: true }), (field, lo, hi, share) => {
        const value = Math.floor(share * field.max);
        const [newLo, newHi] = [field.set(lo, value), field.setHi(hi, value)];
        expect(field.get(newLo, newHi)).toBe(value);
        expect((newLo & ~field.mask) >>> 0).toBe((lo & ~field.mask) >>> 0);
        expect((newHi & ~field.maskHi) >>> 0).toBe((hi & ~field.maskHi) >>> 0);
      }),
    );
  });

  test('law: a field agrees with 64-bit arithmetic', () => {
    fc.assert(
      fc.property(anyField, word, word, (field, lo, hi) => {
        const whole = (BigInt(hi) << 32n) | BigInt(lo);
        const mask = (1n << BigInt(field.width)) - 1n;
        expect(BigInt(field.get(lo, hi))).toBe((whole >> BigInt(field.low)) & mask);
        expect((BigInt(field.maskHi) << 32n) | BigInt(field.mask)).toBe(mask << BigInt(field.low));
      }),
    );
  });

  test('packs named fields into both words', () => {
    expect(pack(CAP, { TO: 15, MQES: 2047 })).toBe(0x0f0007ff);
    expect(packHi(CAP, { MPSMAX: 4, TO: 15 })).toBe(0x00400000);
  });

  test('refuses impossible fields when they are declared', () => {
    expect(() => bits(3, 4)).toThrow(/3:4/);
    expect(() => bits(64, 60)).toThrow(/64:60/);
    expect(() => bits(60, 0)).toThrow(/wider than the 53 bits/);
    expect(() => checkBitFields('X.CC', 32, { A: bits(7, 4), B: bits(4, 0) })).toThrow(
      'X.CC: bit fields A (7:4) and B (4:0) overlap',
    );
    expect(() => checkBitFields('X.CC', 32, { B: bits(4, 0), A: bits(7, 4) })).toThrow(
      /B \(4:0\) and A \(7:4\) overlap/,
    );
    expect(() => checkBitFields('X.CC', 32, { A: bits(7, 4), B: bits(3, 0) })).not.toThrow();
    expect(() => checkBitFields('X.CC', 32, { A: bit(32) })).toThrow(/A \(32\) lies outside its 32 bits/);
  });
});
