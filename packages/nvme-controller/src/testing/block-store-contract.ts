// The contract every BlockStore keeps, as a suite for any test runner with describe, it and expect.
// Kernel counterpart: none.
import { BLOCK_STORE_ABORTED, BLOCK_STORE_OK, type BlockStore, type BlockStoreClient } from '../ports.js';

/** The runner's functions; vitest's fit. Tests may be asynchronous, so that asynchronous stores fit. */
export interface BlockStoreContractRunner {
  describe(name: string, body: () => void): void;
  it(name: string, body: () => Promise<void>): void;
  expect(value: unknown): { toBe(expected: unknown): void; toEqual(expected: unknown): void };
}

/** Declares the suite; createStore makes a fresh writable store of at least 256 KiB that reads as zeroes. */
export function blockStoreContract(
  runner: BlockStoreContractRunner,
  name: string,
  createStore: () => BlockStore,
): void {
  const { describe, it, expect } = runner;
  describe(`BlockStore contract: ${name}`, () => {
    it('reads zeroes at first', async () => {
      const store = createStore();
      expect((await read(store, 12345, 70000)).every((byte) => byte === 0)).toBe(true);
    });
    it('reads back what was written, at any alignment and across pieces', async () => {
      const store = createStore();
      const data = pattern(150001, 3);
      expect(await write(store, 511, data)).toBe(BLOCK_STORE_OK);
      expect(same(await read(store, 511, data.length), data)).toBe(true);
      expect((await read(store, 0, 511)).every((byte) => byte === 0)).toBe(true);
      expect((await read(store, 511 + data.length, 512)).every((byte) => byte === 0)).toBe(true);
    });
    it('reaches its last byte', async () => {
      const store = createStore();
      const data = pattern(512, 9);
      await write(store, store.sizeBytes - 512, data);
      expect(same(await read(store, store.sizeBytes - 512, 512), data)).toBe(true);
    });
    it('zeroes exactly the range of writeZeroes and discard', async () => {
      for (const operation of ['writeZeroes', 'discard'] as const) {
        const store = createStore();
        const data = pattern(200000, 5);
        await write(store, 0, data);
        expect(await over((client) => store[operation](1000, 140000, client))).toBe(BLOCK_STORE_OK);
        data.fill(0, 1000, 141000);
        expect(same(await read(store, 0, data.length), data)).toBe(true);
      }
    });
    it('changes nothing when it is told of a read', async () => {
      const store = createStore();
      const data = pattern(8192, 7);
      await write(store, 4096, data);
      for (const [offset, length] of [
        [0, 512],
        [4096, 8192],
        [store.sizeBytes - 512, 512],
      ] as const) {
        store.willRead?.(offset, length);
      }
      expect(same(await read(store, 4096, data.length), data)).toBe(true);
    });
    it('stops when a piece is refused and says so', async () => {
      const store = createStore();
      let pieces = 0;
      const status = await over((client) =>
        store.read(0, 4096, {
          piece: () => {
            pieces++;
            return 1;
          },
          done: (result) => client.done(result),
        }),
      );
      expect([status, pieces]).toEqual([BLOCK_STORE_ABORTED, 1]);
    });
    it('knows which sectors hold data, if it knows it at all', async () => {
      const store = createStore();
      if (store.isAllocated === undefined) return;
      const allocated = (sectors: readonly number[]): number[] =>
        sectors.map((sector) =>
          (store.isAllocated as (at: number, length: number) => boolean)(512 * sector, 512) ? 1 : 0,
        );
      expect(allocated([0, 7, 8, 200])).toEqual([0, 0, 0, 0]);
      await write(store, 512 * 7, new Uint8Array(512 * 132));
      expect(allocated([6, 7, 8, 138, 139])).toEqual([0, 1, 1, 1, 0]);
      await over((client) => store.discard(512 * 9, 512, client));
      await over((client) => store.writeZeroes(512 * 100 + 1, 1024, client));
      expect(allocated([8, 9, 10, 99, 100, 101, 102, 103])).toEqual([1, 0, 1, 1, 1, 0, 1, 1]);
      expect([store.isAllocated(512 * 10, 512 * 90), store.isAllocated(512 * 8, 1024)]).toEqual([true, false]);
      await write(store, 512 * 9 + 8, pattern(8, 1));
      expect(allocated([8, 9])).toEqual([1, 1]);
    });
    it('flushes', async () => {
      const store = createStore();
      expect(await over((client) => store.flush(client))).toBe(BLOCK_STORE_OK);
    });
  });
}

function over(start: (client: BlockStoreClient) => void): Promise<number> {
  return new Promise((resolve) => start({ piece: () => 0, done: resolve }));
}

async function read(store: BlockStore, offset: number, length: number): Promise<Uint8Array> {
  const data = new Uint8Array(length);
  let at = 0;
  await new Promise<void>((resolve) =>
    store.read(offset, length, {
      piece: (bytes, start, count) => {
        data.set(bytes.subarray(start, start + count), at);
        at += count;
        return 0;
      },
      done: () => resolve(),
    }),
  );
  return data;
}

function write(store: BlockStore, offset: number, data: Uint8Array): Promise<number> {
  let at = 0;
  return new Promise((resolve) =>
    store.write(offset, data.length, {
      piece: (bytes, start, count) => {
        bytes.set(data.subarray(at, at + count), start);
        at += count;
        return 0;
      },
      done: resolve,
    }),
  );
}

function pattern(length: number, seed: number): Uint8Array {
  const data = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    data[i] = state >>> 16;
  }
  return data;
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
