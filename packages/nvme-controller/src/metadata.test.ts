// Blocks with metadata and blocks that are deallocated, as the host sees them: formats, both places of metadata, errors.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import { DATA, formatOf, META, MetadataBench, NAMESPACE_BYTES, pattern } from './fixtures/metadata-bench.js';
import { type BlockStore, type BlockStoreClient, MemoryBlockStore } from './index.js';

const { read: READ, write: WRITE, compare: COMPARE, writeZeroes: WRITE_ZEROES } = nvme.NvmeNvmOpcode;
const { dsm: DSM, verify: VERIFY, copy: COPY } = nvme.NvmeNvmOpcode;
const DULBE = 0x10000;
const LENGTHS = [
  [1, 512, 8],
  [2, 512, 16],
  [3, 512, 64],
  [5, 4096, 8],
  [6, 4096, 16],
  [7, 4096, 64],
] as const;

describe('a format with metadata', () => {
  it.each(LENGTHS)('%i has room for %i + %i bytes of each block, and Identify says how', (index, data, metadata) => {
    const bench = new MetadataBench(formatOf(index, { mset: 1, pi: 2, pil: 1 }));
    const { nsze, ncap, flbas, dps, mc, dpc, lbaf } = bench.identify();
    expect([nsze, ncap]).toEqual(new Array(2).fill(Math.floor(NAMESPACE_BYTES / (data + metadata))));
    expect([flbas, dps, mc, dpc]).toEqual([index | 0x10, 0x0a, 0x3, 0x1f]);
    expect(lbaf[index]).toMatchObject({ ms: metadata, ds: data === 512 ? 9 : 12 });
  });

  it('keeps what was asked of metadata where the format has none, as QEMU does', () => {
    const bench = new MetadataBench(formatOf(4, { mset: 1, pil: 1 }));
    expect(bench.identify()).toMatchObject({ nsze: 256, flbas: 0x14, dps: 0x08 });
    bench.put(DATA, pattern(4096, 1));
    expect([bench.io(WRITE, 3, 1), bench.io(READ, 3, 1)]).toEqual([0, 0]);
  });

  it.each([
    ['an index that is not listed', formatOf(8), 0x410a],
    ['protection without metadata', formatOf(0, { pi: 1 }), 0x410a],
    ['a type that does not exist', formatOf(1, { pi: 4 }), 0x4002],
  ])('is refused for %s, and nothing changes', (_what, cdw10, status) => {
    const bench = new MetadataBench(formatOf(2, { pi: 3 }));
    expect(bench.format(cdw10)).toBe(status);
    expect(bench.identify()).toMatchObject({ flbas: 2, dps: 3 });
  });

  it.each([0, 1, 2])('empties the medium with erase setting %i', (ses) => {
    const bench = new MetadataBench(formatOf(1));
    bench.put(DATA, pattern(4096, 3));
    bench.put(META, pattern(64, 4));
    expect(bench.io(WRITE, 0, 8, { mptr: META })).toBe(0);
    expect(bench.medium.some((byte) => byte !== 0)).toBe(true);
    expect(bench.format(formatOf(5, { ses }))).toBe(0);
    expect(bench.medium.every((byte) => byte === 0)).toBe(true);
  });

  it('tells the host of the change, and refuses commands meanwhile', () => {
    let finish: (() => void) | null = null;
    let isSlow = false;
    const createStore = (): BlockStore => {
      const store = new MemoryBlockStore(new Uint8Array(NAMESPACE_BYTES), 0, NAMESPACE_BYTES);
      const discard = store.discard.bind(store);
      store.discard = (offset, length, client: BlockStoreClient) => {
        if (isSlow) finish = () => discard(offset, length, client);
        else discard(offset, length, client);
      };
      return store;
    };
    const bench = new MetadataBench(undefined, { createStore });
    const { driver } = bench;
    driver.admin({ opcode: nvme.NvmeAdminOpcode.setFeatures, cdw10: nvme.NVME_FEAT_ASYNC_EVENT, cdw11: 0x100 });
    driver.put(0, { opcode: nvme.NvmeAdminOpcode.asyncEvent });
    isSlow = true;
    driver.put(0, { opcode: nvme.NvmeAdminOpcode.formatNvm, nsid: 1, cdw10: formatOf(1) });
    driver.ring(0);
    driver.host.pump();
    expect([bench.io(READ, 0, 1), bench.io(WRITE_ZEROES, 0, 1)]).toEqual([0x84, 0x84]);
    (finish as unknown as () => void)();
    driver.host.pump();
    expect(driver.takeAll(0).map(({ status, dw0 }) => [status, dw0])).toEqual([
      [0, 0x40002],
      [0, 0],
    ]);
    expect(bench.io(READ, 0, 1, { mptr: META })).toBe(0);
  });
});

describe('metadata', () => {
  it.each(LENGTHS)('of format %i come back from a buffer of their own', (index, data, metadata) => {
    const bench = new MetadataBench(formatOf(index));
    const [bytes, tags] = [pattern(data * 2, 1), pattern(metadata * 2, 2)];
    bench.put(DATA, bytes);
    bench.put(META, tags);
    expect(bench.io(WRITE, 7, 2, { mptr: META })).toBe(0);
    bench.clear(DATA, 8192);
    bench.clear(META, 256);
    expect(bench.io(READ, 7, 2, { mptr: META })).toBe(0);
    expect(bench.bytes(DATA, data * 2)).toEqual(bytes);
    expect(bench.bytes(META, metadata * 2)).toEqual(tags);
    expect(bench.bytes(META + metadata * 2, 8)).toEqual(new Uint8Array(8).fill(0xee));
  });

  it.each(LENGTHS)('of format %i come back behind the data of their block', (index, data, metadata) => {
    const bench = new MetadataBench(formatOf(index, { mset: 1 }));
    const bytes = pattern(data + metadata, 5);
    bench.put(DATA, bytes);
    expect(bench.io(WRITE, 9, 1)).toBe(0);
    bench.clear(DATA, 8192);
    expect(bench.io(READ, 9, 1)).toBe(0);
    expect(bench.bytes(DATA, data + metadata)).toEqual(bytes);
    // On the medium they lie behind the data of all blocks.
    const blocks = Math.floor(NAMESPACE_BYTES / (data + metadata));
    const at = blocks * data + 9 * metadata;
    expect(bench.medium.slice(at, at + metadata)).toEqual(bytes.slice(data));
  });

  it('stay what they were without a metadata pointer, and are not sent', () => {
    const bench = new MetadataBench(formatOf(1));
    bench.put(META, pattern(8, 2));
    expect([bench.io(WRITE, 0, 1, { mptr: META }), bench.io(WRITE, 0, 1)]).toEqual([0, 0]);
    bench.clear(META, 8);
    expect(bench.io(READ, 0, 1, { mptr: META })).toBe(0);
    expect(bench.bytes(META, 8)).toEqual(pattern(8, 2));
    bench.clear(META, 8);
    expect(bench.io(READ, 0, 1)).toBe(0);
    expect(bench.bytes(META, 8)).toEqual(new Uint8Array(8).fill(0xee));
  });

  it('may be named by an SGL descriptor, whose length must be theirs', () => {
    const bench = new MetadataBench(formatOf(2));
    const descriptor = 0xb0000;
    const view = bench.driver.view;
    view.setUint32(descriptor, META, true);
    view.setUint32(descriptor + 8, 16, true);
    bench.put(META, pattern(16, 6));
    // The data by a descriptor in the command: address, length.
    const sgl = { flags: 0x80, mptr: descriptor, prp1: DATA, prp2: 512 };
    expect(bench.io(WRITE, 0, 1, sgl)).toBe(0);
    bench.clear(META, 16);
    expect(bench.io(READ, 0, 1, sgl)).toBe(0);
    expect(bench.bytes(META, 16)).toEqual(pattern(16, 6));
    view.setUint32(descriptor + 8, 15, true);
    expect(bench.io(READ, 0, 1, sgl)).toBe(0x4010);
  });

  it('are compared behind the data', () => {
    for (const mset of [0, 1]) {
      const bench = new MetadataBench(formatOf(1, { mset }));
      const fields = mset === 0 ? { mptr: META } : {};
      const at = mset === 0 ? META : DATA + 512;
      bench.put(DATA, pattern(520, 1));
      bench.put(META, pattern(8, 2));
      expect(bench.io(WRITE, 4, 1, fields)).toBe(0);
      expect(bench.io(COMPARE, 4, 1, fields)).toBe(0);
      bench.put(at + 7, [0xee]);
      expect(bench.io(COMPARE, 4, 1, fields)).toBe(0x285);
    }
  });

  it('are zeroed with their blocks, deallocated with them, and copied with them', () => {
    const bench = new MetadataBench(formatOf(1, { mset: 1 }));
    const [one, other] = [pattern(520, 1), pattern(520, 2)];
    bench.put(DATA, [...one, ...other]);
    expect(bench.io(WRITE, 10, 2)).toBe(0);
    const range = new Uint8Array(32);
    new DataView(range.buffer).setUint32(8, 10, true);
    new DataView(range.buffer).setUint16(16, 1, true);
    bench.put(DATA, range);
    expect(bench.io(COPY, 20, 1)).toBe(0);
    expect(bench.io(WRITE_ZEROES, 10, 1)).toBe(0);
    bench.put(DATA, nvme.NvmeDsmRange.encode({ cattr: 0, nlb: 1, slba: 11 }));
    const discarded = bench.driver.submit(1, { opcode: DSM, nsid: 1, prp1: DATA, cdw10: 0, cdw11: 4 });
    expect(discarded.status).toBe(0);
    bench.io(READ, 10, 2);
    expect(bench.bytes(DATA, 1040)).toEqual(new Uint8Array(1040));
    bench.io(READ, 20, 2);
    expect([bench.bytes(DATA, 520), bench.bytes(DATA + 520, 520)]).toEqual([one, other]);
  });

  it('count to the length of a transfer where they are a part of it', () => {
    const bench = new MetadataBench(formatOf(3, { mset: 1 }));
    const { nsze } = bench.identify();
    expect(nsze).toBe(1820);
    // 910 × 576 bytes are within 512 KiB, 911 are not.
    expect([bench.io(VERIFY, 0, 910), bench.io(VERIFY, 0, 911)]).toEqual([0, 0x4002]);
    expect([bench.io(VERIFY, 1819, 1), bench.io(VERIFY, 1819, 2)]).toEqual([0, 0x4080]);
  });

  it('wait for a store that takes its time, and end with a format that came between', () => {
    const waiting: (() => void)[] = [];
    let isSlow = false;
    const createStore = (): BlockStore => {
      const store = new MemoryBlockStore(new Uint8Array(NAMESPACE_BYTES), 0, NAMESPACE_BYTES);
      const read = store.read.bind(store);
      store.read = (offset, length, client) => {
        if (isSlow) waiting.push(() => read(offset, length, client));
        else read(offset, length, client);
      };
      return store;
    };
    const bench = new MetadataBench(formatOf(1), { createStore });
    const { driver } = bench;
    bench.put(META, pattern(8, 3));
    bench.io(WRITE, 5, 1, { mptr: META });
    bench.clear(META, 8);
    isSlow = true;
    const read = { opcode: READ, nsid: 1, mptr: META, prp1: DATA, cdw10: 5 };
    driver.put(1, read);
    driver.ring(1);
    driver.host.pump();
    expect(driver.take(1)).toBeNull();
    waiting.shift()?.();
    waiting.shift()?.();
    driver.host.pump();
    expect(driver.takeAll(1).map(({ status }) => status)).toEqual([0]);
    expect(bench.bytes(META, 8)).toEqual(pattern(8, 3));
    driver.put(1, read);
    driver.ring(1);
    driver.host.pump();
    expect(bench.format(formatOf(7, { pi: 1 }))).toBe(0);
    waiting.shift()?.();
    driver.host.pump();
    expect(driver.takeAll(1).map(({ status }) => status)).toEqual([0x84]);
  });

  it('survive a snapshot with their namespace’s format', () => {
    const bench = new MetadataBench(formatOf(6, { mset: 1, pi: 1 }));
    const snapshot = JSON.parse(JSON.stringify(bench.fn.snapshot()));
    const other = new MetadataBench();
    other.medium.set(bench.medium);
    other.fn.restore(snapshot);
    other.driver.queues.set(1, { ...bench.driver.queue(1) });
    expect(other.fn.snapshot().namespaces).toEqual(snapshot.namespaces);
  });

  it('come with a Format NVM that a snapshot finds under way', () => {
    let isSlow = false;
    const createStore = (): BlockStore => {
      const store = new MemoryBlockStore(new Uint8Array(NAMESPACE_BYTES), 0, NAMESPACE_BYTES);
      const discard = store.discard.bind(store);
      store.discard = (offset, length, client) => {
        if (!isSlow) discard(offset, length, client);
      };
      return store;
    };
    const bench = new MetadataBench(undefined, { createStore });
    isSlow = true;
    bench.driver.put(0, { opcode: nvme.NvmeAdminOpcode.formatNvm, nsid: 1, cdw10: formatOf(1, { pi: 1 }) });
    bench.driver.ring(0);
    bench.driver.host.pump();
    const snapshot = JSON.parse(JSON.stringify(bench.fn.snapshot()));
    isSlow = false;
    bench.fn.restore(snapshot);
    bench.driver.host.advance(1);
    bench.driver.host.pump();
    expect(bench.driver.takeAll(0).map(({ status }) => status)).toEqual([0]);
    expect(bench.identify()).toMatchObject({ flbas: 1, dps: 1 });
    expect(bench.io(READ, 0, 1, { mptr: META })).toBe(0);
  });
});

describe('a deallocated block', () => {
  it('reads as zeroes unless the host asks for the error', () => {
    const bench = new MetadataBench();
    expect(bench.io(READ, 0, 1)).toBe(0);
    expect(bench.setErrorRecovery(DULBE | 7)).toBe(0);
    const feature = { opcode: nvme.NvmeAdminOpcode.getFeatures, nsid: 1, cdw10: nvme.NVME_FEAT_ERR_RECOVERY };
    expect(bench.driver.admin(feature).dw0).toBe(DULBE | 7);
    expect(bench.io(READ, 0, 1)).toBe(0x4287);
    expect([bench.io(COMPARE, 0, 1), bench.io(VERIFY, 0, 1)]).toEqual([0x287, 0x287]);
    expect(bench.setErrorRecovery(0)).toBe(0);
    expect(bench.io(READ, 0, 1)).toBe(0);
  });

  it.each([0, 4, formatOf(1), formatOf(7, { mset: 1, pi: 1 })])(
    'is each that was not written, discarded or zeroed since, in format %i',
    (format) => {
      const bench = new MetadataBench(format);
      bench.setErrorRecovery(DULBE);
      const readable = (slba: number): boolean => bench.io(READ, slba, 1, { mptr: META }) === 0;
      const state = (): string => [9, 10, 11, 12, 13, 14].map((slba) => (readable(slba) ? 'x' : '-')).join('');
      expect(state()).toBe('------');
      const control = nvme.NVME_RW_PRINFO_PRACT;
      for (let slba = 10; slba < 14; slba++) expect(bench.io(WRITE, slba, 1, { mptr: META, control })).toBe(0);
      expect(state()).toBe('-xxxx-');
      bench.put(DATA, nvme.NvmeDsmRange.encode({ cattr: 0, nlb: 1, slba: 11 }));
      bench.driver.submit(1, { opcode: DSM, nsid: 1, prp1: DATA, cdw10: 0, cdw11: 4 });
      expect(bench.io(WRITE_ZEROES, 13, 1)).toBe(0);
      expect(state()).toBe('-x-x--');
      expect(bench.io(VERIFY, 10, 3)).toBe(0x287);
    },
  );

  it('is no source of a Copy, of which nothing is done', () => {
    const bench = new MetadataBench();
    bench.io(WRITE, 0, 1);
    bench.setErrorRecovery(DULBE);
    const ranges = new Uint8Array(64);
    new DataView(ranges.buffer).setUint32(40, 5, true);
    bench.put(DATA, ranges);
    const copied = bench.driver.submit(1, { opcode: COPY, nsid: 1, prp1: DATA, cdw10: 100, cdw12: 1 });
    expect(copied.status).toBe(0x287);
    expect(bench.io(READ, 100, 1)).toBe(0x4287);
  });

  it('can be read again after a controller reset', () => {
    const bench = new MetadataBench();
    bench.setErrorRecovery(DULBE);
    bench.driver.write32(nvme.NVME_REG_CC, 0);
    bench.driver.enable();
    bench.driver.createQueuePair(1, 16);
    expect(bench.io(READ, 0, 1)).toBe(0);
  });
});
