// The memory stores keep the contract; the sparse one gives memory back.
import { describe, expect, it } from 'vitest';
import { blockStoreContract } from '../testing.js';
import { MemoryBlockStore } from './memory-block-store.js';
import { SparseBlockStore } from './sparse-block-store.js';

const runner = { describe, it, expect };
blockStoreContract(runner, 'memory', () => new MemoryBlockStore(new Uint8Array(1 << 20), 4096, 1 << 19));
blockStoreContract(runner, 'sparse memory', () => new SparseBlockStore(2 ** 40));

describe('a memory store over memory that holds something', () => {
  it('takes what is there for written, and zeroes for never written', () => {
    const bytes = new Uint8Array(1 << 16);
    bytes[4096 + 512 * 3 + 5] = 1;
    const store = new MemoryBlockStore(bytes, 4096, 1 << 15);
    expect([2, 3, 4].map((sector) => store.isAllocated(512 * sector, 512))).toEqual([false, true, false]);
  });
});

describe('a sparse store', () => {
  it('frees chunks that are wholly discarded', () => {
    const store = new SparseBlockStore(2 ** 44);
    const nothing = { piece: () => 0, done: () => {} };
    store.write(2 ** 43, 1 << 17, nothing);
    expect(store.allocatedBytes).toBe(1 << 17);
    store.discard(2 ** 43, 1 << 17, nothing);
    expect(store.allocatedBytes).toBe(0);
  });
});
