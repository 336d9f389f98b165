/** The arena's bytes, with WebAssembly and without. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { allocateArena } from './arena-memory.js';

afterEach(() => {
  vi.unstubAllGlobals();
});

const SIZE = 3 * 65536 + 4096;

describe('an arena', () => {
  it('is zeroed, and as large as asked for', () => {
    const { bytes } = allocateArena(SIZE);
    expect(bytes.length).toBe(SIZE);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it.each([
    ['apart', 8192, 100],
    ['into its own tail', 101, 100],
    ['into its own head', 99, 100],
  ])('moves bytes as copyWithin does: %s', (_, to, from) => {
    const { bytes, move } = allocateArena(SIZE);
    if (move === null) throw new Error('no WebAssembly here');
    for (let i = 0; i < SIZE; i++) bytes[i] = (i * 7 + (i >>> 8)) & 0xff;
    const expected = bytes.slice().copyWithin(to, from, from + 4096);
    move(to, from, 4096);
    expect(bytes.every((byte, i) => byte === expected[i])).toBe(true);
  });

  it('is an ordinary array where WebAssembly is missing or forbidden', () => {
    vi.stubGlobal('WebAssembly', undefined);
    expect(allocateArena(SIZE)).toMatchObject({ bytes: { length: SIZE }, move: null });
    vi.stubGlobal('WebAssembly', {
      Memory: class Forbidden {
        constructor() {
          throw new Error('by policy');
        }
      },
    });
    expect(allocateArena(SIZE)).toMatchObject({ bytes: { length: SIZE }, move: null });
  });
});
