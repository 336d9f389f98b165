import { describe, expect, it } from 'vitest';
import type { RandomStreams } from './ports.js';
import { createRandomStreams } from './random.js';

function draw(random: RandomStreams, stream: string, count: number): number[] {
  return Array.from({ length: count }, () => random.next(stream));
}

describe('random streams', () => {
  it('repeat for the same seed and name, whatever else is drawn', () => {
    const a = createRandomStreams(7);
    const b = createRandomStreams(7);
    const expected = draw(a, 'latency', 50);
    const interleaved = Array.from({ length: 50 }, () => {
      b.next('faults');
      return b.next('latency');
    });
    expect(interleaved).toEqual(expected);
  });

  it('differ by name and by seed, also beyond 32 bits of it', () => {
    const first = [
      createRandomStreams(1).next('a'),
      createRandomStreams(1).next('b'),
      createRandomStreams(2).next('a'),
      createRandomStreams(1 + 2 ** 32).next('a'),
    ];
    expect(new Set(first).size).toBe(4);
  });

  it('are uint32 and evenly spread over every bit', () => {
    const numbers = draw(createRandomStreams(0), 'bits', 20_000);
    expect(numbers.every((n) => n >= 0 && n <= 0xffffffff && Number.isInteger(n))).toBe(true);
    for (let bit = 0; bit < 32; bit++) {
      const ones = numbers.filter((n) => ((n >>> bit) & 1) === 1).length;
      expect(Math.abs(ones - 10_000)).toBeLessThan(400);
    }
  });

  it('keep their numbers from version to version', () => {
    expect(draw(createRandomStreams(1), 'interleave', 3)).toMatchInlineSnapshot(`
      [
        1653042287,
        3565753406,
        722668008,
      ]
    `);
  });

  it('refuse a seed that is no whole number', () => {
    expect(() => createRandomStreams(1.5)).toThrow('seed is 1.5');
    expect(() => createRandomStreams(-1)).toThrow('seed is -1');
  });
});
