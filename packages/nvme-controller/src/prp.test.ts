// PRP entries and SGL descriptors as segments: tables, and the law that a list covers the buffer exactly once.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mapPrp } from './prp.js';
import { SegmentList } from './segment-list.js';
import { mapSgl } from './sgl.js';

const PAGE = 4096;

/** Host memory of list pages only, by address of a qword or descriptor. */
class Memory {
  readonly listView = new DataView(new ArrayBuffer(0x8000));
  readonly words = new Map<number, number>();
  reads = 0;
  readList(busAddr: number, lengthBytes: number): number {
    this.reads++;
    for (let i = 0; i < lengthBytes; i += 4) {
      const word = this.words.get(busAddr + i);
      if (word === undefined) return 1;
      this.listView.setUint32(i, word, true);
    }
    return 0;
  }
  put64(address: number, value: number): void {
    this.words.set(address, value % 0x100000000);
    this.words.set(address + 4, Math.floor(value / 0x100000000));
  }
}

function map(memory: Memory, prp1: number, prp2: number, length: number): { status: number; segments: number[][] } {
  const list = new SegmentList();
  const hi = (value: number): number => Math.floor(value / 0x100000000);
  const lo = (value: number): number => value % 0x100000000;
  const status = mapPrp(list, memory, lo(prp1), hi(prp1), lo(prp2), hi(prp2), length, PAGE);
  const segments: number[][] = [];
  for (let i = 0; i < list.count; i++) segments.push([list.addresses[i] as number, list.lengths[i] as number]);
  return { status, segments };
}

describe('mapPrp', () => {
  const cases: [string, number, number, number, number[][]][] = [
    ['one page', 0x10000, 0, 4096, [[0x10000, 4096]]],
    ['part of a page', 0x10e00, 0, 512, [[0x10e00, 512]]],
    [
      'two entries',
      0x10000,
      0x30000,
      8192,
      [
        [0x10000, 4096],
        [0x30000, 4096],
      ],
    ],
    [
      'an offset that makes it two pages',
      0x10200,
      0x30000,
      4096,
      [
        [0x10200, 3584],
        [0x30000, 512],
      ],
    ],
    ['neighbours are one segment', 0x10000, 0x11000, 8192, [[0x10000, 8192]]],
    [
      'above 4 GiB',
      0x12345678000,
      0x2345678a000,
      8192,
      [
        [0x12345678000, 4096],
        [0x2345678a000, 4096],
      ],
    ],
  ];
  for (const [name, prp1, prp2, length, expected] of cases) {
    it(`maps ${name}`, () => expect(map(new Memory(), prp1, prp2, length)).toEqual({ status: 0, segments: expected }));
  }
  const refusals: [string, number, number, number][] = [
    ['PRP1 offset not dword aligned', 0x10002, 0, 512],
    ['PRP2 with an offset', 0x10000, 0x30004, 8192],
    ['list not qword aligned', 0x10000, 0x30004, 12288],
    ['list entry with an offset', 0x10000, 0x40000, 12288],
  ];
  for (const [name, prp1, prp2, length] of refusals) {
    it(`refuses a ${name}`, () => {
      const memory = new Memory();
      memory.put64(0x40000, 0x50200);
      memory.put64(0x40008, 0x60000);
      expect(map(memory, prp1, prp2, length).status).toBe(0x4013);
    });
  }
  it('takes the last slot of a list page as an entry when the transfer ends there', () => {
    const memory = new Memory();
    memory.put64(0x40ff0, 0x50000);
    memory.put64(0x40ff8, 0x60000);
    const expected = [0x10000, 0x50000, 0x60000].map((address) => [address, 4096]);
    expect(map(memory, 0x10000, 0x40ff0, 12288)).toEqual({ status: 0, segments: expected });
  });
  it('refuses a chain pointer with an offset', () => {
    const memory = new Memory();
    memory.put64(0x40ff8, 0x50008);
    expect(map(memory, 0x10000, 0x40ff8, 12288).status).toBe(0x4013);
  });
  it('reports a list that cannot be read', () => {
    expect(map(new Memory(), 0x10000, 0x40000, 12288).status).toBe(0x4004);
  });
  it('covers the buffer exactly once, in order, whatever the offsets and wherever the list starts', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1 << 20 }).map((dwords) => dwords * 4),
        fc.integer({ min: 0, max: PAGE / 4 - 1 }).map((dwords) => dwords * 4),
        fc.integer({ min: 0, max: PAGE / 8 - 1 }).map((qwords) => qwords * 8),
        (length, offset, listOffset) => {
          const memory = new Memory();
          const pageAddress = (page: number): number => 0x100000000 + page * 2 * PAGE;
          const pages = Math.floor((offset + length + PAGE - 1) / PAGE);
          let prp2 = 0;
          if (pages === 2) prp2 = pageAddress(1);
          if (pages > 2) {
            let at = 0x8000 + listOffset;
            prp2 = at;
            for (let page = 1, lists = 1; page < pages; ) {
              if (at % PAGE === PAGE - 8 && page < pages - 1) {
                const next = 0x8000 + lists++ * 2 * PAGE;
                memory.put64(at, next);
                at = next;
              }
              memory.put64(at, pageAddress(page++));
              at += 8;
            }
          }
          const { status, segments } = map(memory, pageAddress(0) + offset, prp2, length);
          expect(status).toBe(0);
          let covered = 0;
          for (const [address, bytes] of segments as [number, number][]) {
            const within = covered === 0 ? offset : 0;
            expect(address).toBe(pageAddress(Math.floor((offset + covered) / PAGE)) + within);
            covered += bytes;
          }
          expect(covered).toBe(length);
          expect(memory.reads).toBeLessThanOrEqual(Math.floor(pages / 511) + 2);
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe('mapSgl', () => {
  const sgl = (memory: Memory, address: number, length: number, type: number, bytes: number) => {
    const list = new SegmentList();
    const status = mapSgl(list, memory, address % 0x100000000, Math.floor(address / 0x100000000), length, type, bytes);
    return { status, segments: Array.from({ length: list.count }, (_, i) => [list.addresses[i], list.lengths[i]]) };
  };
  const put = (memory: Memory, at: number, address: number, length: number, type: number): void => {
    memory.put64(at, address);
    memory.words.set(at + 8, length);
    memory.words.set(at + 12, type * 0x1000000);
  };
  it('maps a data block, a longer one too, at any byte', () => {
    expect(sgl(new Memory(), 0x10001, 512, 0, 512)).toEqual({ status: 0, segments: [[0x10001, 512]] });
    expect(sgl(new Memory(), 0x10000, 4096, 0, 512)).toEqual({ status: 0, segments: [[0x10000, 512]] });
  });
  it('maps a chain of segments that ends in a last segment', () => {
    const memory = new Memory();
    put(memory, 0x1000, 0x10000, 100, 0);
    put(memory, 0x1010, 0x2000, 32, 0x30);
    put(memory, 0x2000, 0x20000, 300, 0);
    put(memory, 0x2010, 0x30000, 112, 0);
    expect(sgl(memory, 0x1000, 32, 0x20, 512)).toEqual({
      status: 0,
      segments: [
        [0x10000, 100],
        [0x20000, 300],
        [0x30000, 112],
      ],
    });
  });
  it('skips data blocks of no length, behind the last byte too', () => {
    const memory = new Memory();
    for (const at of [0x1000, 0x1020, 0x1030]) put(memory, at, 0x7000, 0, 0);
    put(memory, 0x1010, 0x10000, 512, 0);
    expect(sgl(memory, 0x1000, 64, 0x30, 512)).toEqual({ status: 0, segments: [[0x10000, 512]] });
  });
  it('reads a segment behind the last byte: it may hold too much', () => {
    const memory = new Memory();
    put(memory, 0x1000, 0x10000, 512, 0);
    put(memory, 0x1010, 0x2000, 16, 0x30);
    put(memory, 0x2000, 0x20000, 0, 0);
    expect(sgl(memory, 0x1000, 32, 0x20, 512).status).toBe(0);
    put(memory, 0x2000, 0x20000, 4, 0);
    expect(sgl(memory, 0x1000, 32, 0x20, 512).status).toBe(0x400f);
  });
  const statuses: [string, number, (memory: Memory) => { status: number }][] = [
    ['a short data block', 0x400f, (memory) => sgl(memory, 0x1000, 256, 0, 512)],
    ['an unknown inline type', 0x400d, (memory) => sgl(memory, 0x1000, 512, 0x70, 512)],
    ['a segment length that is no multiple of 16', 0x400d, (memory) => sgl(memory, 0x1000, 24, 0x30, 512)],
    ['a bit bucket in a list', 0x4011, (memory) => sgl(memory, 0x4000, 16, 0x30, 512)],
    ['a segment inside a last segment', 0x400d, (memory) => sgl(memory, 0x5000, 16, 0x30, 512)],
    ['that before it looks at the rest', 0x400d, (memory) => sgl(memory, 0x7000, 32, 0x30, 512)],
    ['a segment before the end', 0x400e, (memory) => sgl(memory, 0x7000, 32, 0x20, 512)],
    ['a chain without end', 0x400e, (memory) => sgl(memory, 0x6000, 16, 0x20, 512)],
    ['a list that cannot be read', 0x4004, (memory) => sgl(memory, 0x9000, 16, 0x30, 512)],
  ];
  for (const [name, status, run] of statuses) {
    it(`refuses ${name}`, () => {
      const memory = new Memory();
      put(memory, 0x4000, 0, 512, 0x10);
      put(memory, 0x5000, 0x1000, 16, 0x30);
      put(memory, 0x6000, 0x6000, 16, 0x20);
      put(memory, 0x7000, 0x1000, 16, 0x20);
      put(memory, 0x7010, 0x1000, 16, 0x30);
      expect(run(memory).status).toBe(status);
    });
  }
});
