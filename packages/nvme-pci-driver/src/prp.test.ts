import { createScatterList, type ScatterList, sgAppend } from '@nvme-stack/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildPrps, PRP_BAD_SG, PRP_NO_MEMORY, PRP_OK, type PrpListBlock, type PrpListSource, PrpPair } from './prp.js';

const PAGE = 4096;
const SMALL_BYTES = 256;
const TWO_32 = 2 ** 32;

/** Hands out list blocks far above RAM, at most `limit` of them, and remembers their kinds. */
class TestLists implements PrpListSource<PrpListBlock> {
  readonly blocks = new Map<number, Uint32Array>();
  readonly kinds: string[] = [];
  private readonly limit: number;

  constructor(limit = Number.POSITIVE_INFINITY) {
    this.limit = limit;
  }

  take(small: boolean): PrpListBlock | null {
    if (this.kinds.length === this.limit) return null;
    const busAddr = 2 ** 40 + this.kinds.length * PAGE;
    const u32 = new Uint32Array((small ? SMALL_BYTES : PAGE) / 4).fill(0xdeadbeef);
    this.blocks.set(busAddr, u32);
    this.kinds.push(small ? 'small' : 'page');
    return { busAddr, u32 };
  }

  /** Where the list block number `n` is. */
  static at(n: number): number {
    return 2 ** 40 + n * PAGE;
  }

  /** Entry `slot` of the block at `busAddr`, as a device reads it. */
  entry(busAddr: number, slot: number): number {
    const words = this.blocks.get(busAddr);
    if (words === undefined) throw new RangeError(`no list at ${busAddr}`);
    if (2 * slot + 1 >= words.length) throw new RangeError(`entry ${slot} lies behind the list at ${busAddr}`);
    return (words[2 * slot] as number) + (words[2 * slot + 1] as number) * TWO_32;
  }
}

type Piece = readonly [address: number, lengthBytes: number];

/** A list as mapping leaves it. */
function mapped(pieces: readonly Piece[]): ScatterList {
  const sg = createScatterList(Math.max(1, pieces.length));
  for (const [address, lengthBytes] of pieces) sgAppend(sg, address, lengthBytes);
  pieces.forEach(([address, lengthBytes], n) => {
    sg.dmaAddr[n] = address;
    sg.dmaLengthBytes[n] = lengthBytes;
  });
  sg.mappedNents = pieces.length;
  return sg;
}

const total = (pieces: readonly Piece[]) => pieces.reduce((sum, [, lengthBytes]) => sum + lengthBytes, 0);

function build(pieces: readonly Piece[], lists = new TestLists(), lengthBytes = total(pieces)) {
  const pair = new PrpPair();
  const outcome = buildPrps(mapped(pieces), lengthBytes, lists, pair);
  return { outcome, lists, ...pair };
}

/** The bytes a controller moves, as [address, length] of every page, by [NVMe] 4.3.1. */
function walk(prp1: number, prp2: number, lengthBytes: number, lists: TestLists): Piece[] {
  const first = Math.min(PAGE - (prp1 % PAGE), lengthBytes);
  const seen: Piece[] = [[prp1, first]];
  let left = lengthBytes - first;
  if (left === 0) return seen;
  if (left <= PAGE) return [...seen, [prp2, left]];
  let list = prp2;
  for (let slot = 0; left > 0; slot++) {
    if (slot === PAGE / 8 - 1 && left > PAGE) {
      list = lists.entry(list, slot);
      slot = 0;
    }
    const page = lists.entry(list, slot);
    expect(page % PAGE).toBe(0);
    seen.push([page, Math.min(PAGE, left)]);
    left -= Math.min(PAGE, left);
  }
  return seen;
}

/** The same bytes, straight from the pieces. */
function pagesOf(pieces: readonly Piece[]): Piece[] {
  const pages: Piece[] = [];
  for (const [start, lengthBytes] of pieces) {
    for (let address = start; address < start + lengthBytes; ) {
      const length = Math.min(PAGE - (address % PAGE), start + lengthBytes - address);
      pages.push([address, length]);
      address += length;
    }
  }
  return pages;
}

describe('buildPrps', () => {
  interface Row {
    readonly name: string;
    readonly pieces: readonly Piece[];
    readonly prp1: number;
    readonly prp2: number;
    readonly kinds: readonly string[];
  }
  const LIST = TestLists.at(0);
  const HIGH = 2 ** 33;
  const rows: readonly Row[] = [
    { name: 'one page', pieces: [[0x1000, PAGE]], prp1: 0x1000, prp2: 0, kinds: [] },
    { name: 'a sector', pieces: [[0x1000, 512]], prp1: 0x1000, prp2: 0, kinds: [] },
    { name: 'one page from an offset to its end', pieces: [[0x1e00, 512]], prp1: 0x1e00, prp2: 0, kinds: [] },
    { name: 'an offset across a page', pieces: [[0x1800, PAGE]], prp1: 0x1800, prp2: 0x2000, kinds: [] },
    { name: 'two pages of one piece', pieces: [[0x1000, 8192]], prp1: 0x1000, prp2: 0x2000, kinds: [] },
    {
      name: 'two pages of two pieces',
      pieces: [
        [HIGH, PAGE],
        [0x7000, PAGE],
      ],
      prp1: HIGH,
      prp2: 0x7000,
      kinds: [],
    },
    {
      name: 'an offset and a short end',
      pieces: [
        [0x1e00, 512],
        [0x7000, 512],
      ],
      prp1: 0x1e00,
      prp2: 0x7000,
      kinds: [],
    },
    { name: 'two pages from an offset', pieces: [[0x1200, 8192]], prp1: 0x1200, prp2: LIST, kinds: ['small'] },
    { name: 'three pages', pieces: [[0x1000, 3 * PAGE]], prp1: 0x1000, prp2: LIST, kinds: ['small'] },
    { name: '32 entries', pieces: [[0x10000, 33 * PAGE]], prp1: 0x10000, prp2: LIST, kinds: ['small'] },
    { name: '33 entries', pieces: [[0x10000, 34 * PAGE]], prp1: 0x10000, prp2: LIST, kinds: ['page'] },
    {
      name: '32 entries by a last byte',
      pieces: [[0x10000, 32 * PAGE + 4]],
      prp1: 0x10000,
      prp2: LIST,
      kinds: ['small'],
    },
    { name: '512 entries', pieces: [[HIGH, 513 * PAGE]], prp1: HIGH, prp2: LIST, kinds: ['page'] },
    { name: '513 entries', pieces: [[HIGH, 514 * PAGE]], prp1: HIGH, prp2: LIST, kinds: ['page', 'page'] },
    { name: '1023 entries', pieces: [[HIGH, 1024 * PAGE]], prp1: HIGH, prp2: LIST, kinds: ['page', 'page'] },
    { name: '1024 entries', pieces: [[HIGH, 1025 * PAGE]], prp1: HIGH, prp2: LIST, kinds: ['page', 'page', 'page'] },
  ];

  for (const { name, pieces, prp1, prp2, kinds } of rows) {
    // @acceptance 122 123 124 125
    it(`describes ${name}`, () => {
      const built = build(pieces);
      expect([built.outcome, built.prp1, built.prp2, built.lists.kinds]).toEqual([PRP_OK, prp1, prp2, kinds]);
      expect(walk(built.prp1, built.prp2, total(pieces), built.lists)).toEqual(pagesOf(pieces));
    });
  }

  it('writes list entries of 64 bits, low word first, and nothing behind the last', () => {
    const { lists } = build([
      [0x1000, PAGE],
      [HIGH + 0x5000, PAGE],
      [0x9000, 512],
    ]);
    const words = lists.blocks.get(LIST) as Uint32Array;
    expect([...words.subarray(0, 6)]).toEqual([0x5000, 2, 0x9000, 0, 0xdeadbeef, 0xdeadbeef]);
  });

  // @acceptance 124
  it('points from the last entry of a full list page to the next page', () => {
    const { lists } = build([[HIGH, 514 * PAGE]]);
    expect(lists.entry(LIST, 510)).toBe(HIGH + 511 * PAGE);
    expect(lists.entry(LIST, 511)).toBe(TestLists.at(1));
    expect([0, 1].map((slot) => lists.entry(TestLists.at(1), slot))).toEqual([HIGH + 512 * PAGE, HIGH + 513 * PAGE]);
    const full = build([[HIGH, 513 * PAGE]]).lists;
    expect(full.entry(LIST, 511)).toBe(HIGH + 512 * PAGE);
  });

  const bad: Record<string, readonly Piece[]> = {
    'a first piece that ends inside a page': [
      [0x1000, 512],
      [0x3000, PAGE],
    ],
    'a second piece that starts inside a page': [
      [0x1000, PAGE],
      [0x3200, PAGE],
    ],
    'a middle piece that ends inside a page': [
      [0x1000, PAGE],
      [0x3000, 512],
      [0x5000, PAGE],
    ],
    'a middle piece that starts inside a page': [
      [0x1000, PAGE],
      [0x3000, PAGE],
      [0x5200, PAGE],
    ],
    'a long piece that ends inside a page': [
      [0x1000, 3 * PAGE + 512],
      [0x9000, PAGE],
    ],
  };
  for (const [name, pieces] of Object.entries(bad)) {
    it(`refuses ${name}`, () => {
      expect(build(pieces).outcome).toBe(PRP_BAD_SG);
    });
  }

  it('refuses pieces that are shorter than the transfer', () => {
    for (const pieces of [
      [[0x1000, 512]],
      [[0x1000, PAGE]],
      [
        [0x1000, PAGE],
        [0x3000, 512],
      ],
      [[0x1000, 5 * PAGE]],
    ]) {
      const short = pieces as unknown as readonly Piece[];
      expect(build(short, new TestLists(), total(short) + 512).outcome).toBe(PRP_BAD_SG);
    }
  });

  it('says that memory is short, at the first list page and at a later one', () => {
    for (const [pages, needed] of [
      [3, 1],
      [34, 1],
      [514, 2],
      [1025, 3],
    ] as const) {
      for (let limit = 0; limit < needed; limit++) {
        const lists = new TestLists(limit);
        expect(build([[HIGH, pages * PAGE]], lists).outcome).toBe(PRP_NO_MEMORY);
        expect(lists.kinds.length).toBe(limit);
      }
      expect(build([[HIGH, pages * PAGE]], new TestLists(needed)).outcome).toBe(PRP_OK);
    }
    expect(build([[HIGH, 2 * PAGE]], new TestLists(0)).outcome).toBe(PRP_OK);
  });
});

describe('the entries, walked as a controller walks them', () => {
  const pageNumbers = fc.uniqueArray(fc.integer({ min: 1, max: 2 ** 30 }), { minLength: 1, maxLength: 12 });
  const runs = fc.array(fc.integer({ min: 1, max: 130 }), { minLength: 12, maxLength: 12 });
  const words = fc.integer({ min: 0, max: PAGE / 4 - 1 });

  it('cover the buffer exactly once and in order, in as few list blocks as can be', () => {
    const law = (numbers: number[], pages: number[], startWord: number, endWord: number) => {
      // Far apart, so that no two pieces overlap.
      const pieces = numbers.map((number, n): [number, number] => [number * 2 ** 20, (pages[n] as number) * PAGE]);
      const first = pieces[0] as [number, number];
      first[0] += startWord * 4;
      first[1] -= startWord * 4;
      const last = pieces[pieces.length - 1] as [number, number];
      if (last[1] > endWord * 4) last[1] -= endWord * 4;
      const built = build(pieces);
      expect(built.outcome).toBe(PRP_OK);
      const expected = pagesOf(pieces);
      expect(walk(built.prp1, built.prp2, total(pieces), built.lists)).toEqual(expected);
      const entries = expected.length - 1;
      const needed = entries < 2 ? 0 : entries <= 32 ? 1 : Math.max(1, Math.ceil((entries - 1) / 511));
      expect(built.lists.kinds.length).toBe(needed);
    };
    fc.assert(fc.property(pageNumbers, runs, words, words, law), { numRuns: 300 });
  });

  it('are the same however the same pages are cut into pieces', () => {
    const law = (pages: number, cuts: number[]) => {
      const pieces: Piece[] = [];
      let from = 0;
      for (const cut of [...new Set(cuts.map((n) => n % pages)), pages].sort((a, b) => a - b)) {
        if (cut > from) pieces.push([0x100000 + from * PAGE, (cut - from) * PAGE]);
        from = cut;
      }
      const whole = build([[0x100000, pages * PAGE]]);
      const cut = build(pieces);
      expect([cut.outcome, cut.prp1, cut.prp2]).toEqual([whole.outcome, whole.prp1, whole.prp2]);
      expect([...cut.lists.blocks]).toEqual([...whole.lists.blocks]);
    };
    const cuts = fc.array(fc.nat(2000), { maxLength: 20 });
    fc.assert(fc.property(fc.integer({ min: 1, max: 1100 }), cuts, law), { numRuns: 100 });
  });
});
