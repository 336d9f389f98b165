import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { bit, bits } from './bits.js';
import { alias, array, ascii, at, bytes, nested, reserved, u8, u16, u32, u64, u128, withBits } from './fields.js';
import { struct } from './struct.js';

const Pair = struct('pair', 4, { left: u16, right: u16 });

const Sample = struct('sample', 96, {
  flags: withBits(u8, { PSDT: bits(7, 6), FUSE: bits(1, 0) }),
  kind: u8,
  id: u16,
  nsid: u32,
  slba: u64,
  name: ascii(6),
  label: ascii(6, '\0'),
  rsvd28: reserved(4),
  raw: bytes(16),
  pair: nested(Pair),
  pairs: array(nested(Pair), 3),
  words: array(u32, 2),
  longs: at(72, array(u64, 2)),
  small: array(u8, 2),
  half: array(u16, 3),
  both: alias(0, u64),
});

describe('layout', () => {
  test('places fields one after the other, and at explicit offsets', () => {
    expect(Sample.offsets.slba).toBe(8);
    expect(Sample.offsets.pairs).toBe(52);
    expect(Sample.offsets.longs).toBe(72);
    expect(Sample.alignBytes).toBe(8);
  });

  test.each([
    [
      'overlap',
      () => struct('s', 8, { a: u32, b: at(2, u16), c: at(4, u32) }),
      /^s\.b: bytes 3:2 overlap s\.a \(bytes 3:0\)$/,
    ],
    ['misalignment', () => struct('s', 6, { a: u16, b: u32 }), /^s\.b: byte 2 is not aligned to 4 bytes$/],
    ['too short', () => struct('s', 8, { a: u32 }), /^s: its fields end at byte 4, but its size is 8 bytes$/],
    ['too long', () => struct('s', 4, { a: u32, b: u8 }), /^s\.b: bytes 4 lie outside the struct's 4 bytes$/],
    ['taken name', () => struct('s', 4, { base: u32 }), /^s\.base: the name is taken by the cursor itself$/],
    [
      'bits',
      () => struct('s', 1, { a: withBits(u8, { X: bit(8) }) }),
      /^s\.a: bit field X \(8\) lies outside its 8 bits$/,
    ],
    ['alias outside', () => struct('s', 4, { a: u32, b: alias(4, u16) }), /^s\.b: bytes 5:4 lie outside/],
  ])('refuses a declaration with %s, naming struct and field', (_, declare, sentence) => {
    expect(declare).toThrow(sentence);
  });
});

describe('cursor', () => {
  test('reads and writes little-endian at the place it was moved to', () => {
    const memory = new Uint8Array(256);
    const cursor = Sample.cursor(memory).at(96);
    cursor.id = 0x1234;
    cursor.nsid = 0xdeadbeef;
    cursor.slba = 0x12_3456_789a;
    expect([...memory.subarray(98, 104)]).toEqual([0x34, 0x12, 0xef, 0xbe, 0xad, 0xde]);
    expect([...memory.subarray(104, 112)]).toEqual([0x9a, 0x78, 0x56, 0x34, 0x12, 0, 0, 0]);
    expect(cursor.slbaLo).toBe(0x3456789a);
    expect(cursor.slbaHi).toBe(0x12);
    expect(cursor.at(0).slba).toBe(0);
  });

  test('respects the offset of the view it is given', () => {
    const memory = new ArrayBuffer(256);
    Sample.cursor(new Uint8Array(memory, 128)).nsid = 7;
    expect(new DataView(memory).getUint32(132, true)).toBe(7);
    expect(Sample.cursor(memory).at(128).nsid).toBe(7);
  });

  test('reaches nested structs, arrays and text without a new object per access', () => {
    const cursor = Sample.cursor(new Uint8Array(192)).at(96);
    cursor.pair.right = 5;
    cursor.pairs.get(2).left = 9;
    cursor.words.set(1, 0xffffffff);
    cursor.longs.set(1, 2 ** 40 + 1);
    cursor.half.set(2, 0xabcd);
    cursor.small.set(1, 0x7f);
    cursor.name = 'ab';
    cursor.label = 'ab';
    expect(cursor.pair).toBe(cursor.pair);
    expect(cursor.pairs.get(0)).toBe(cursor.pairs.get(1));
    expect(Sample.decode(cursor.bytes, 96)).toMatchObject({
      pair: { left: 0, right: 5 },
      pairs: [{ left: 0 }, { left: 0 }, { left: 9 }],
      words: [0, 0xffffffff],
      longs: [0, 2 ** 40 + 1],
      half: [0, 0, 0xabcd],
      small: [0, 0x7f],
      name: 'ab    ',
      label: 'ab',
    });
    cursor.at(0);
    expect(cursor.pair.right).toBe(0);
    expect(cursor.words.get(1)).toBe(0);
  });

  test('refuses an index, text or bytes that do not fit', () => {
    const cursor = Sample.cursor(new Uint8Array(96));
    expect(() => cursor.words.get(2)).toThrow(/array index 2 is outside 0 to 1/);
    expect(() => (cursor.name = 'toolong')).toThrow(/at most 6/);
    expect(() => (cursor.raw = new Uint8Array(3))).toThrow(/raw takes 16 bytes, not 3/);
  });

  test('an alias names the same bytes', () => {
    const cursor = Sample.cursor(new Uint8Array(96));
    cursor.id = 1;
    cursor.nsid = 2;
    expect(cursor.bothLo).toBe(0x10000);
    expect(cursor.bothHi).toBe(2);
  });

  test('types come from the declaration', () => {
    const cursor = Sample.cursor(new Uint8Array(96));
    expectTypeOf(cursor.slba).toEqualTypeOf<number>();
    expectTypeOf(cursor.name).toEqualTypeOf<string>();
    expectTypeOf(cursor.pairs.get(0).left).toEqualTypeOf<number>();
    expectTypeOf(Sample.decode(new Uint8Array(96)).pairs).toEqualTypeOf<{ left: number; right: number }[]>();
    // @ts-expect-error a misspelt field is a compile error
    expect(cursor.slab).toBeUndefined();
    // @ts-expect-error reserved bytes are no field
    expect(cursor.rsvd28).toBeUndefined();
    // @ts-expect-error a field of the wrong type is a compile error
    expect(() => Sample.encode({ nsid: 'one' })).toThrow(/sample\.nsid/);
  });
});

describe('codec', () => {
  test('encodes what is given and leaves the rest zero', () => {
    const encoded = Sample.encode({ id: 1, name: 'x', pairs: [{ left: 3 }] });
    expect(encoded.length).toBe(96);
    expect([...encoded.subarray(0, 4)]).toEqual([0, 0, 1, 0]);
    expect([...encoded.subarray(16, 22)]).toEqual([0x78, 0x20, 0x20, 0x20, 0x20, 0x20]);
    expect([...encoded.subarray(52, 54)]).toEqual([3, 0]);
  });

  test.each([
    [{ id: 0x10000 }, /^sample\.id: 65536 is not a whole number from 0 to ffffh$/],
    [{ slba: -1 }, /^sample\.slba: -1 is not/],
    [{ pairs: [{ left: 1.5 }] }, /^sample\.pairs\[0\]\.left: 1\.5 is not/],
    [{ words: [1, 2, 3] }, /^sample\.words must be an array of at most 2 elements$/],
    [{ raw: new Uint8Array(2) }, /^sample\.raw must be a Uint8Array of 16 bytes$/],
    [{ other: 1 } as object, /^sample has no field other$/],
  ])('refuses %o in one sentence', (values, sentence) => {
    expect(() => Sample.encode(values)).toThrow(sentence);
  });

  test('refuses a buffer that is too short', () => {
    expect(() => Sample.decode(new Uint8Array(100), 8)).toThrow('sample needs 96 bytes at 8, but the buffer has 100');
  });

  test('law: cursor, codec and bytes agree on every field', () => {
    const u64Number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 96, maxLength: 96 }), u64Number, (memory, slba) => {
        const cursor = Sample.cursor(memory);
        cursor.slba = slba;
        const values = Sample.decode(memory);
        expect(values.slba).toBe(slba);
        expect([cursor.flags, cursor.kind, cursor.id, cursor.nsid]).toEqual([
          values.flags,
          values.kind,
          values.id,
          values.nsid,
        ]);
        expect([...cursor.raw]).toEqual([...values.raw]);
      }),
    );
  });

  test('law: encode is the inverse of decode, reserved bytes apart', () => {
    const Plain = struct('plain', 32, { a: u8, b: u8, c: u16, d: u32, e: array(u16, 4), f: u128 });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (memory) => {
        expect([...Plain.encode(Plain.decode(memory))]).toEqual([...memory]);
      }),
    );
  });
});

test('describe prints one line per field, bits below their word', () => {
  const text = Sample.describe(Sample.encode({ flags: 0x41, slba: 2 ** 32 + 1, name: 'disk', pair: { left: 1 } }));
  const lines = text.split('\n').map((line) => line.replace(/ +/g, ' ').trimEnd());
  expect(lines.slice(0, 7)).toEqual([
    'flags bytes 0 0x41',
    ' PSDT bits 7:6 0x1',
    ' FUSE bits 1:0 0x1',
    'kind bytes 1 0x0',
    'id bytes 3:2 0x0',
    'nsid bytes 7:4 0x0',
    'slba bytes 15:8 0x100000001',
  ]);
  expect(lines).toContain('name bytes 21:16 "disk "');
  expect(lines).toContain(' left bytes 49:48 0x1');
  expect(lines.some((line) => line.includes('rsvd28'))).toBe(false);
});
