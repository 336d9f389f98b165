// The memory stores keep the contract; the sparse one gives memory back.
import { describe, expect, it } from 'vitest';
import { blockStoreContract } from '../testing.js';
import { MemoryBlockStore } from './memory-block-store.js';
import { SparseBlockStore } from './sparse-block-store.js';

const runner = { describe, it, expect };
blockStoreContract('memory', () => new MemoryBlockStore(new Uint8Array(1 << 20), 4096, 1 << 19), runner);
blockStoreContract('sparse memory', () => new SparseBlockStore(2 ** 40), runner);

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
