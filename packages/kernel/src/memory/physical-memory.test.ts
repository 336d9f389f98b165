import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { createLiveObjects } from '../live-objects.js';
import { NO_PAGE, PAGE_SIZE } from '../ports.js';
import { type PhysicalMemoryFixture, physicalMemoryContract } from '../testing/memory-contracts.js';
import { createPlainMemory } from '../testing/plain-memory.js';
import { createPhysicalMemory } from './physical-memory.js';

const onBug = (message: string): never => {
  throw new Error(`BUG: ${message}`);
};

function make(pages: number, nrNodes: number, bytes?: Uint8Array): PhysicalMemoryFixture {
  const live = createLiveObjects();
  return { live, memory: createPhysicalMemory({ sizeBytes: pages * PAGE_SIZE, nrNodes, live, onBug, bytes }) };
}

physicalMemoryContract({ describe, it, beforeEach, expect }, 'own array', make);
physicalMemoryContract({ describe, it, beforeEach, expect }, 'an arena', (pages, nrNodes) =>
  make(pages, nrNodes, new Uint8Array((pages + 10) * PAGE_SIZE)),
);

physicalMemoryContract({ describe, it, beforeEach, expect }, 'plain memory', (pages, nrNodes) => {
  const live = createLiveObjects();
  return { live, memory: createPlainMemory({ sizeBytes: pages * PAGE_SIZE, nrNodes, live, onBug }) };
});

describe('physical memory', () => {
  it('never hands out a page twice, counts what is out, and gets all back', () => {
    const step = fc.record({
      action: fc.constantFrom('one', 'run', 'scattered', 'free'),
      count: fc.integer({ min: 1, max: 9 }),
      node: fc.integer({ min: -1, max: 2 }),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 60 }), (nrNodes, steps) => {
        const { memory, live } = make(40, nrNodes);
        const held: number[][] = [];
        const out = new Set<number>([0]);
        const hold = (pages: number[]): void => {
          for (const page of pages) {
            expect(out.has(page)).toBe(false);
            expect(page).toBeLessThan(memory.sizeBytes);
            out.add(page);
            expect(memory.bytes[page + 100]).toBe(0);
            memory.bytes[page + 100] = 1;
          }
          held.push(pages);
        };
        for (const { action, count, node, pick } of steps) {
          if (action === 'free') {
            const [pages] = held.splice(pick % Math.max(held.length, 1), 1);
            for (const page of pages ?? []) {
              memory.freePages(page, 1);
              out.delete(page);
            }
          } else if (action === 'scattered') {
            const pages = memory.allocScattered(count, 'law');
            if (pages !== null) {
              expect(pages.length).toBe(count);
              hold(pages);
            }
          } else {
            const wanted = action === 'one' ? 1 : count;
            const address = memory.allocPages(wanted, 'law', node);
            if (address !== NO_PAGE) hold(Array.from({ length: wanted }, (_, i) => address + i * PAGE_SIZE));
          }
          expect(memory.freePageCount).toBe(40 - out.size);
          expect(live.leaks()).toEqual(out.size === 1 ? [] : [{ kind: 'pages', name: 'law', count: out.size - 1 }]);
        }
        for (const pages of held) for (const page of pages) memory.freePages(page, 1);
        expect(memory.freePageCount).toBe(39);
        expect(live.leaks()).toEqual([]);
      }),
    );
  });

  it('serves one page whenever one is free', () => {
    const { memory } = make(8, 2);
    const pages = Array.from({ length: 7 }, () => memory.allocPages(1, 'a'));
    expect(memory.allocPages(1, 'a')).toBe(NO_PAGE);
    for (const page of [...pages].reverse()) {
      memory.freePages(page, 1);
      expect(memory.allocPages(1, 'a')).toBe(page);
    }
  });

  it('reuses the page freed last', () => {
    const { memory } = make(32, 1);
    const run = memory.allocPages(8, 'a');
    memory.freePages(run + 3 * PAGE_SIZE, 1);
    memory.freePages(run + 1 * PAGE_SIZE, 1);
    expect(memory.allocPages(1, 'b')).toBe(run + 1 * PAGE_SIZE);
    expect(memory.allocPages(1, 'b')).toBe(run + 3 * PAGE_SIZE);
  });

  it('says which page was freed wrongly', () => {
    const { memory } = make(8, 1);
    expect(() => memory.freePages(PAGE_SIZE, 1)).toThrow('BUG: free_pages of page 0x1000: it is not allocated');
    expect(() => memory.freePages(0, 1)).toThrow('reserved');
    expect(() => memory.allocPages(0, 'a')).toThrow('alloc_pages of 0 pages');
  });

  it('names the option that does not fit', () => {
    const live = createLiveObjects();
    expect(() => createPhysicalMemory({ sizeBytes: 5000, nrNodes: 1, live, onBug })).toThrow(
      'sizeBytes of RAM is 5000',
    );
    expect(() => createPhysicalMemory({ sizeBytes: PAGE_SIZE, nrNodes: 2, live, onBug })).toThrow('sizeBytes');
    expect(() => createPhysicalMemory({ sizeBytes: PAGE_SIZE, nrNodes: 0, live, onBug })).toThrow('nrNodes is 0');
    const bytes = new Uint8Array(100);
    expect(() => createPhysicalMemory({ sizeBytes: PAGE_SIZE, nrNodes: 1, live, onBug, bytes })).toThrow('100 bytes');
  });
});
