/** Media that take the host's time: a run does not see how much. */
import { testHostLoop } from '@nvme-stack/kernel/testing';
import {
  BLOCK_STORE_ABORTED,
  BLOCK_STORE_OK,
  type BlockStore,
  type BlockStoreClient,
} from '@nvme-stack/nvme-controller';
import { blockStoreContract } from '@nvme-stack/nvme-controller/testing';
import { describe, expect, it } from 'vitest';
import { HeldStore } from './held-store.js';
import { createMachine, type Machine } from './index.js';

/** Calls `work` later; each store has its own idea of when. */
type Later = (work: () => void) => void;

const PIECE_BYTES = 1536;

/** A store whose every request is worked on later, in small pieces; `early` bytes move before the call returns. */
class LateStore implements BlockStore {
  readonly readOnly = false;
  readonly sizeBytes: number;
  outstanding = 0;
  mostOutstanding = 0;
  private readonly bytes: Uint8Array;
  private readonly later: Later;
  private readonly early: number;

  constructor(sizeBytes: number, later: Later, early = 0) {
    this.sizeBytes = sizeBytes;
    this.bytes = new Uint8Array(sizeBytes);
    this.later = later;
    this.early = early;
  }

  read(offset: number, length: number, client: BlockStoreClient): void {
    this.move(offset, length, client, (at, count, stage) => {
      stage.set(this.bytes.subarray(at, at + count));
      return client.piece(stage, 0, count);
    });
  }

  write(offset: number, length: number, client: BlockStoreClient): void {
    this.move(offset, length, client, (at, count, stage) => {
      const refusal = client.piece(stage, 0, count);
      if (refusal === 0) this.bytes.set(stage.subarray(0, count), at);
      return refusal;
    });
  }

  flush(client: BlockStoreClient): void {
    this.work(() => client.done(BLOCK_STORE_OK));
  }

  discard(offset: number, length: number, client: BlockStoreClient): void {
    this.work(() => {
      this.bytes.fill(0, offset, offset + length);
      client.done(BLOCK_STORE_OK);
    });
  }

  writeZeroes(offset: number, length: number, client: BlockStoreClient): void {
    this.discard(offset, length, client);
  }

  private move(
    offset: number,
    length: number,
    client: BlockStoreClient,
    piece: (at: number, count: number, stage: Uint8Array) => number,
  ): void {
    const stage = new Uint8Array(PIECE_BYTES);
    const moveTo = (from: number, end: number): number => {
      let refusal = 0;
      for (let at = from; at < end && refusal === 0; at += PIECE_BYTES) {
        refusal = piece(offset + at, Math.min(PIECE_BYTES, end - at), stage);
      }
      return refusal;
    };
    const early = Math.min(this.early, length);
    const refusal = moveTo(0, early);
    this.work(() => client.done((refusal || moveTo(early, length)) === 0 ? BLOCK_STORE_OK : BLOCK_STORE_ABORTED));
  }

  private work(then: () => void): void {
    this.outstanding++;
    this.mostOutstanding = Math.max(this.mostOutstanding, this.outstanding);
    this.later(() => {
      this.outstanding--;
      then();
    });
  }
}

const soon: Later = (work) => void Promise.resolve().then(work);
const turn: Later = (work) => testHostLoop.macrotask(work);
/** The second of two is done first. */
function crossed(): Later {
  let waiting: (() => void) | null = null;
  return (work) => {
    if (waiting === null) {
      waiting = work;
      testHostLoop.after(2e6, () => {
        const alone = waiting;
        waiting = null;
        alone?.();
      });
      return;
    }
    const first = waiting;
    waiting = null;
    testHostLoop.macrotask(() => {
      work();
      testHostLoop.macrotask(first);
    });
  };
}

const atOnce = {
  hostHold:
    <A>(fn: (arg: A) => void, arg: A) =>
    (): void =>
      fn(arg),
};

const runner = { describe, it, expect };
blockStoreContract(runner, 'a late store, held', () => new HeldStore(new LateStore(1 << 18, soon), () => atOnce));
blockStoreContract(
  runner,
  'a store half late, held',
  () => new HeldStore(new LateStore(1 << 18, soon, 2000), () => atOnce),
);

interface Outcome {
  readonly hash: string;
  readonly nowNs: number;
  readonly late: readonly string[];
  readonly leaks: number;
  readonly mostOutstanding: number;
}

async function run(later: Later, early = 0): Promise<Outcome> {
  const stores: LateStore[] = [];
  const blockStore = ({ sizeBytes }: { readonly sizeBytes: number }): BlockStore => {
    const store = new LateStore(sizeBytes, later, early);
    stores.push(store);
    return store;
  };
  const machine = await createMachine({ cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 8 }] }] }, { parts: { blockStore } });
  await machine.modprobe('nvme');
  await useDisk(machine);
  await machine.rmmod('nvme');
  await machine.rmmod('nvme_core');
  return {
    hash: machine.trace.hash(),
    nowNs: machine.nowNs,
    late: machine.dmesg().filter((line) => /timeout|error|reset/.test(line)),
    leaks: machine.leaks().length,
    mostOutstanding: stores[0]?.mostOutstanding ?? 0,
  };
}

async function useDisk(machine: Machine): Promise<void> {
  const disk = machine.disk('nvme0n1');
  const blocks = [1, 2, 3, 4, 5, 6];
  await Promise.all(blocks.map((n) => disk.write(n * 65536, new Uint8Array(16384).fill(n))));
  await disk.flush();
  const read = await Promise.all(blocks.map((n) => disk.read(n * 65536, 16384)));
  read.forEach((bytes, i) => {
    expect(bytes.every((byte) => byte === blocks[i])).toBe(true);
  });
  // More than one command may carry: several are in the store at a time.
  const long = new Uint8Array(2 << 20).map((_, i) => i >> 12);
  await disk.write(4 << 20, long);
  const back = await disk.read(4 << 20, long.length);
  expect(long.findIndex((byte, i) => byte !== back[i])).toBe(-1);
  await disk.discard(65536, 65536);
  expect((await disk.read(65536, 4096)).every((byte) => byte === 0)).toBe(true);
}

describe('a medium of one’s own that takes the host’s time', () => {
  it('is waited for while virtual time stands still, however long it takes and in whatever order it is done', async () => {
    const runs = [await run(soon), await run(turn), await run(crossed())];
    for (const { late, leaks, nowNs } of runs) {
      expect(late).toEqual([]);
      expect(leaks).toBe(0);
      expect(nowNs).toBeLessThan(10e6);
    }
    expect(new Set(runs.map(({ hash }) => hash)).size).toBe(1);
    for (const { mostOutstanding } of runs) expect(mostOutstanding).toBeGreaterThan(1);
  });

  it('may move its first bytes at once', async () => {
    const runs = [await run(soon, 4096), await run(crossed(), 4096)];
    expect(runs.map(({ late }) => late)).toEqual([[], []]);
    expect(runs[0]?.hash).toBe(runs[1]?.hash);
  });

  it('may finish after the machine is closed', async () => {
    const works: (() => void)[] = [];
    let slow = false;
    const blockStore = ({ sizeBytes }: { readonly sizeBytes: number }): BlockStore =>
      new LateStore(sizeBytes, (work) => (slow ? void works.push(work) : soon(work)));
    const machine = await createMachine({ nvme: [{ namespaces: [{ sizeMiB: 8 }] }] }, { parts: { blockStore } });
    await machine.modprobe('nvme');
    slow = true;
    const reading = machine.disk('nvme0n1').read(0, 4096);
    for (let i = 0; i < 5 && works.length === 0; i++) await new Promise<void>((resolve) => turn(resolve));
    expect(works).toHaveLength(1);
    machine.close();
    await expect(reading).rejects.toThrow();
    expect(() => works[0]?.()).not.toThrow();
  });
});
