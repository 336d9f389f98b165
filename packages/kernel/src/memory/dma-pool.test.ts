import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDirectFixture, createMirroredFixture } from '../testing/test-dma.js';
import {
  type DmaPoolBlock,
  dmaPoolAlloc,
  dmaPoolCreate,
  dmaPoolDestroy,
  dmaPoolFree,
  dmaPoolsShow,
} from './dma-pool.js';

describe('a DMA pool', () => {
  it('grows by a page when no block is free, inside dma_pool_alloc', () => {
    const { dev } = createDirectFixture();
    const pool = dmaPoolCreate('prp list 256', dev, 256, 256);
    for (let i = 0; i < 17; i++) dmaPoolAlloc(pool);
    expect([pool.pages.length, pool.nrBlocks, pool.nrActive]).toEqual([2, 32, 17]);
    const calls = dev.kernel.trace.entries.map((entry) => `${entry.depth} ${entry.symbol}`);
    expect(calls.slice(0, 5)).toEqual([
      '0 dma_pool_create',
      '0 dma_pool_alloc',
      '1 dma_alloc_attrs',
      '2 dma_direct_alloc',
      '0 dma_pool_alloc',
    ]);
    expect(calls.slice(-3)).toEqual(['0 dma_pool_alloc', '1 dma_alloc_attrs', '2 dma_direct_alloc']);
  });

  it('hands the block freed last out next, as the same object', () => {
    const { dev } = createDirectFixture();
    const pool = dmaPoolCreate('p', dev, 64, 64);
    const a = dmaPoolAlloc(pool) as DmaPoolBlock;
    const b = dmaPoolAlloc(pool) as DmaPoolBlock;
    expect(b.busAddr - a.busAddr).toBe(64);
    dmaPoolFree(pool, a);
    expect(dmaPoolAlloc(pool)).toBe(a);
  });

  it('leaves the rest before a boundary unused rather than cross it', () => {
    const { dev } = createDirectFixture();
    const pool = dmaPoolCreate('p', dev, 100, 4, 256);
    const offsets = Array.from({ length: 5 }, () => (dmaPoolAlloc(pool) as DmaPoolBlock).offset);
    expect(offsets).toEqual([0, 100, 256, 356, 512]);
    expect(pool.nrBlocks).toBe(32);
  });

  it('cuts blocks that are aligned, within a boundary and never shared', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 1, max: 9000 })),
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 0, max: 3 }),
        (size, alignShift, boundaryShift) => {
          const { dev } = createDirectFixture();
          const align = alignShift === 0 ? 0 : 2 ** alignShift;
          let boundary = 1;
          while (boundary < size + align + 16) boundary *= 2;
          boundary = boundaryShift === 0 ? 0 : boundary * 2 ** (boundaryShift - 1);
          const pool = dmaPoolCreate('p', dev, size, align, boundary);
          const blocks: DmaPoolBlock[] = [];
          for (let i = 0; i < 20; i++) blocks.push(dmaPoolAlloc(pool) as DmaPoolBlock);
          blocks.sort((a, b) => a.busAddr - b.busAddr);
          blocks.forEach((block, i) => {
            expect(block.bytes.length).toBeGreaterThanOrEqual(size);
            if (align !== 0) expect(block.offset % align).toBe(0);
            if (boundary !== 0 && boundary < pool.allocationBytes) {
              const last = block.offset + pool.sizeBytes - 1;
              expect(Math.floor(last / boundary)).toBe(Math.floor(block.offset / boundary));
            }
            const next = blocks[i + 1];
            if (next !== undefined) expect(next.busAddr).toBeGreaterThanOrEqual(block.busAddr + pool.sizeBytes);
          });
        },
      ),
      { numRuns: 40 },
    );
  });

  it('shows a block as bytes, words and view of the same memory, which publish carries to the device', () => {
    const { dev, deviceRead } = createMirroredFixture();
    const pool = dmaPoolCreate('p', dev, 256, 256);
    dmaPoolAlloc(pool);
    const block = dmaPoolAlloc(pool) as DmaPoolBlock;
    block.u32[1] = 0x04030201;
    expect([block.bytes[4], block.view.getUint8(7)]).toEqual([1, 4]);
    expect([...deviceRead(block.busAddr + 4, 4)]).toEqual([0, 0, 0, 0]);
    block.publish(8);
    expect([...deviceRead(block.busAddr + 4, 4)]).toEqual([1, 2, 3, 4]);
  });

  it('returns null when memory is short', () => {
    const { dev } = createMirroredFixture(null, 1);
    const pool = dmaPoolCreate('p', dev, 4096, 4096);
    expect(dmaPoolAlloc(pool)).not.toBe(null);
    expect(dmaPoolAlloc(pool)).toBe(null);
    expect(pool.nrActive).toBe(1);
  });

  it('gives everything back when it is destroyed, and is a leak until then', () => {
    const { dev, live } = createDirectFixture();
    live.baseline();
    const pool = dmaPoolCreate('p', dev, 64, 64);
    dmaPoolFree(pool, dmaPoolAlloc(pool) as DmaPoolBlock);
    expect(live.leaks()).toEqual([
      { kind: 'pages', name: dev.name, count: 1 },
      { kind: 'pools', name: '0000:00:04.0 p', count: 1 },
    ]);
    dmaPoolDestroy(pool);
    expect(live.leaks()).toEqual([]);
    expect(() => dmaPoolDestroy(pool)).toThrow('which is destroyed');
  });

  it('logs that it is busy, and stays a leak with its pages, when blocks are in use', () => {
    const { dev, live } = createDirectFixture();
    live.baseline();
    const pool = dmaPoolCreate('prp list page', dev, 4096, 4096);
    dmaPoolAlloc(pool);
    dmaPoolDestroy(pool);
    const [line] = dev.kernel.printk.lines;
    expect([line?.level, line?.text]).toEqual(['err', '0000:00:04.0: dma_pool_destroy prp list page busy']);
    expect(live.leaks().map((leak) => leak.kind)).toEqual(['pages', 'pools']);
  });

  it('takes a double free, and a block of another pool, for a defect', () => {
    const { dev } = createDirectFixture();
    const pool = dmaPoolCreate('p', dev, 64, 64);
    const block = dmaPoolAlloc(pool) as DmaPoolBlock;
    dmaPoolFree(pool, block);
    expect(() => dmaPoolFree(pool, block)).toThrow('already free');
    const second = createDirectFixture();
    const a = dmaPoolCreate('a', second.dev, 64, 64);
    const b = dmaPoolCreate('b', second.dev, 64, 64);
    const foreign = dmaPoolAlloc(a) as DmaPoolBlock;
    expect(() => dmaPoolFree(b, foreign)).toThrow('bad dma');
  });

  it('refuses sizes, alignments and boundaries that Linux refuses', () => {
    const { dev } = createDirectFixture();
    expect(() => dmaPoolCreate('p', dev, 0, 64)).toThrow('EINVAL');
    expect(() => dmaPoolCreate('p', dev, 64, 48)).toThrow('EINVAL');
    expect(() => dmaPoolCreate('p', dev, 64, 64, 32)).toThrow('EINVAL');
    expect(() => dmaPoolCreate('p', dev, 64, 64, 96)).toThrow('EINVAL');
  });
});

describe('the sysfs file pools', () => {
  it('has Linux’s columns, newest pool first', () => {
    const { dev } = createDirectFixture();
    const page = dmaPoolCreate('prp list page', dev, 4096, 4096);
    dmaPoolCreate('prp list 256', dev, 256, 256);
    expect(dmaPoolsShow(dev)).toBe(
      'poolinfo - 0.1\nprp list 256        0    0  256  0\nprp list page       0    0 4096  0\n',
    );
    dmaPoolAlloc(page);
    expect(dmaPoolsShow(dev)).toContain('prp list page       1    1 4096  1\n');
    expect(dmaPoolsShow(createDirectFixture().dev)).toBe('poolinfo - 0.1\n');
  });
});
