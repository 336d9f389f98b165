// I/O commands as the host sees them: data, ranges, limits, latency, faults, shadow doorbells.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import {
  type BlockStore,
  type BlockStoreClient,
  createNvmeController,
  type NvmeControllerDeps,
  type NvmeControllerDescription,
  SparseBlockStore,
} from './index.js';
import { RegisterDriver } from './testing.js';

const DATA = 0x40000;
const OTHER = 0xc0000;
const { read: READ, write: WRITE, flush: FLUSH, compare: COMPARE, writeZeroes: WRITE_ZEROES } = nvme.NvmeNvmOpcode;
const { dsm: DSM, verify: VERIFY, copy: COPY } = nvme.NvmeNvmOpcode;

function started(options: Partial<NvmeControllerDescription> = {}, deps: NvmeControllerDeps = {}) {
  const fn = createNvmeController({ namespaces: [{ sizeBytes: 1 << 20 }], ...options }, deps);
  const driver = new RegisterDriver(fn, { ramBytes: 1 << 21 });
  driver.enable();
  driver.createQueuePair(1, 16);
  const io = (
    opcode: number,
    slba: number,
    blocks: number,
    prp1 = DATA,
    prp2 = prp1 + 4096,
    nsid = 1,
    flags = 0,
  ): number =>
    driver.submit(1, {
      opcode,
      nsid,
      flags,
      prp1,
      prp2,
      cdw10: slba % 2 ** 32,
      cdw11: Math.floor(slba / 2 ** 32),
      cdw12: blocks - 1,
    }).status;
  return { fn, driver, io };
}

function fill(driver: RegisterDriver, at: number, length: number, seed: number): Uint8Array {
  const bytes = driver.host.ram.subarray(at, at + length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 7 + seed + (i >> 8)) & 0xff;
  return bytes.slice();
}

describe('data', () => {
  it('comes back as it was written, through PRP entries and lists', () => {
    const { driver, io } = started();
    for (const blocks of [1, 8, 16]) {
      const written = fill(driver, DATA, blocks * 512, blocks);
      expect(io(WRITE, 100, blocks)).toBe(0);
      expect(io(READ, 100, blocks, OTHER)).toBe(0);
      expect(driver.host.ram.subarray(OTHER, OTHER + blocks * 512)).toEqual(written);
    }
    const written = fill(driver, DATA, 65536, 99);
    for (let i = 0; i < 15; i++) {
      driver.view.setUint32(0x3f000 + 8 * i, DATA + 4096 * (i + 1), true);
      driver.view.setUint32(0x3e000 + 8 * i, OTHER + 4096 * (15 - i), true);
    }
    expect(io(WRITE, 0, 128, DATA, 0x3f000)).toBe(0);
    expect(io(READ, 0, 128, OTHER, 0x3e000)).toBe(0);
    expect(driver.host.ram.subarray(OTHER, OTHER + 4096)).toEqual(written.subarray(0, 4096));
    expect(driver.host.ram.subarray(OTHER + 15 * 4096, OTHER + 16 * 4096)).toEqual(written.subarray(4096, 8192));
  });
  it('goes through SGLs, and not where the description leaves them out', () => {
    const run = (sgl: boolean): number => {
      const { driver } = started({ sgl });
      return driver.submit(1, { opcode: READ, nsid: 1, flags: 0x40, prp1: DATA, prp2: 512 }).status;
    };
    expect([run(true), run(false)]).toEqual([0, 0x4002]);
  });
  it('is refused beyond the namespace, without wrapping', () => {
    const { io } = started();
    expect(io(READ, 2047, 1)).toBe(0);
    for (const slba of [2048, 2 ** 32, 2 ** 53, 2 ** 64 - 2048]) expect(io(READ, slba, 1)).toBe(0x4080);
    for (const opcode of [READ, WRITE, COMPARE, WRITE_ZEROES, VERIFY]) expect(io(opcode, 2047, 2)).toBe(0x4080);
  });
  it('is refused above MDTS', () => {
    const { io } = started({ mdts: 1 });
    expect(io(READ, 0, 16)).toBe(0);
    for (const opcode of [READ, WRITE, COMPARE]) expect(io(opcode, 0, 17)).toBe(0x4002);
    expect(io(WRITE_ZEROES, 0, 1000)).toBe(0);
  });
  it('is refused for namespaces that are not there', () => {
    const { io } = started();
    expect([0, 2, 257, 0xffffffff].map((nsid) => io(READ, 0, 1, DATA, 0, nsid))).toEqual([
      0x400b, 0x4002, 0x400b, 0x4002,
    ]);
    expect([0, 2, 0xffffffff].map((nsid) => io(FLUSH, 0, 1, DATA, 0, nsid))).toEqual([0x400b, 0x4002, 0]);
  });
  it('is refused for fused commands and the reserved data pointer', () => {
    const { io } = started();
    expect([1, 2, 3, 0xc0].map((flags) => io(READ, 0, 1, DATA, 0, 1, flags))).toEqual([2, 2, 2, 0x4002]);
  });
  it('never throws, whatever the host points at', () => {
    const { driver, io } = started();
    for (const prp of [2 ** 40, 2 ** 63, 2 ** 64 - 4096, 1 << 21]) expect(io(READ, 0, 1, prp)).toBe(0x4004);
    expect(io(READ, 0, 24, DATA, 2 ** 40)).toBe(0x4004);
    driver.host.faultRanges.push({ start: DATA, length: 4096 });
    expect([io(READ, 0, 1), io(WRITE, 0, 1)]).toEqual([0x4004, 0x4004]);
    expect(driver.read32(0x1c)).toBe(1);
  });
  it('in 4096-byte blocks counts those', () => {
    const { driver, io } = started({ namespaces: [{ sizeBytes: 1 << 20, logicalBlockSize: 4096 }] });
    const written = fill(driver, DATA, 8192, 1);
    expect(io(WRITE, 254, 2)).toBe(0);
    expect(io(READ, 254, 2, OTHER)).toBe(0);
    expect(driver.host.ram.subarray(OTHER, OTHER + 8192)).toEqual(written);
    expect(io(READ, 255, 2)).toBe(0x4080);
  });
  it('of a read-only namespace stays', () => {
    const { io } = started({ namespaces: [{ sizeBytes: 1 << 20, readOnly: true }] });
    expect([io(READ, 0, 1), io(WRITE, 0, 1), io(WRITE_ZEROES, 0, 1)]).toEqual([0, 0x4020, 0x4020]);
  });
});

describe('other NVM commands', () => {
  it('compare', () => {
    const { driver, io } = started();
    fill(driver, DATA, 4096, 5);
    io(WRITE, 0, 8);
    expect(io(COMPARE, 0, 8)).toBe(0);
    driver.host.ram[DATA + 4095] = (driver.host.ram[DATA + 4095] as number) ^ 1;
    expect(io(COMPARE, 0, 8)).toBe(0x285);
    expect(io(COMPARE, 0, 7)).toBe(0);
  });
  it('write zeroes to exactly their range', () => {
    const { driver, io } = started();
    const written = fill(driver, DATA, 4096, 5);
    io(WRITE, 0, 8);
    expect(io(WRITE_ZEROES, 2, 3)).toBe(0);
    io(READ, 0, 8, OTHER);
    written.fill(0, 1024, 2560);
    expect(driver.host.ram.subarray(OTHER, OTHER + 4096)).toEqual(written);
  });
  it('deallocate the ranges given, and only with the attribute', () => {
    const { driver, io } = started();
    const written = fill(driver, DATA, 4096, 5);
    io(WRITE, 0, 8);
    const ranges = [
      [1, 2],
      [6, 1],
      [5000, 1],
    ];
    ranges.forEach(([slba, nlb], i) => {
      driver.view.setUint32(OTHER + 16 * i + 4, nlb as number, true);
      driver.view.setUint32(OTHER + 16 * i + 8, slba as number, true);
    });
    const dsm = (cdw11: number): number =>
      driver.submit(1, { opcode: DSM, nsid: 1, prp1: OTHER, cdw10: 2, cdw11 }).status;
    expect(dsm(0)).toBe(0);
    io(READ, 0, 8, DATA + 8192);
    expect(driver.host.ram.subarray(DATA + 8192, DATA + 12288)).toEqual(written);
    expect(dsm(4)).toBe(0);
    io(READ, 0, 8, DATA + 8192);
    written.fill(0, 512, 1536).fill(0, 3072, 3584);
    expect(driver.host.ram.subarray(DATA + 8192, DATA + 12288)).toEqual(written);
  });
  it('copy ranges one after the other, and within their limits', () => {
    const { driver, io } = started();
    const written = fill(driver, DATA, 4096, 5);
    io(WRITE, 0, 8);
    const range = (i: number, slba: number, blocks: number): void => {
      driver.view.setUint32(OTHER + 32 * i + 8, slba, true);
      driver.view.setUint16(OTHER + 32 * i + 16, blocks - 1, true);
    };
    const copy = (ranges: number, target: number, format = 0): number =>
      driver.submit(1, { opcode: COPY, nsid: 1, prp1: OTHER, cdw10: target, cdw12: (ranges - 1) | (format << 8) })
        .status;
    range(0, 6, 2);
    range(1, 0, 3);
    expect(copy(2, 100)).toBe(0);
    io(READ, 100, 5, DATA + 8192);
    expect(driver.host.ram.subarray(DATA + 8192, DATA + 9216)).toEqual(written.subarray(3072, 4096));
    expect(driver.host.ram.subarray(DATA + 9216, DATA + 10752)).toEqual(written.subarray(0, 1536));
    expect(copy(2, 2046)).toBe(0x4080);
    // Format 1 is for wide guards, as QEMU 7.2 answers; format 2 is not known.
    expect(copy(2, 100, 1)).toBe(0x410a);
    expect(copy(2, 100, 2)).toBe(0x4002);
    range(0, 0, 129);
    expect(copy(1, 300)).toBe(0x4183);
    range(0, 2040, 9);
    expect(copy(1, 300)).toBe(0x4080);
  });
  it('flush a write with FUA, and every write while the cache is off', () => {
    let flushes = 0;
    class CountingStore extends SparseBlockStore {
      override flush(client: BlockStoreClient): void {
        flushes++;
        super.flush(client);
      }
    }
    const { driver, io, fn } = started({}, { createStore: (_nsid, sizeBytes) => new CountingStore(sizeBytes) });
    io(WRITE, 0, 1);
    expect(flushes).toBe(0);
    driver.submit(1, { opcode: WRITE, nsid: 1, prp1: DATA, cdw12: 0x40000000 });
    expect(flushes).toBe(1);
    driver.admin({ opcode: 9, cdw10: 6, cdw11: 0 });
    expect(flushes).toBe(2);
    io(WRITE, 0, 1);
    expect(flushes).toBe(3);
    expect([fn.counters.hostWriteCommands, fn.counters.bytesWritten]).toEqual([3, 1536]);
  });
});

describe('time', () => {
  it('passes as the latency model says, and out of order where it says so', () => {
    const { driver } = started({ latency: { kind: 'fixed', readNs: 9000, writeNs: 4000 } });
    const slow = driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
    const quick = driver.put(1, { opcode: WRITE, nsid: 1, prp1: DATA });
    driver.ring(1);
    driver.host.advance(3999);
    expect(driver.take(1)).toBe(null);
    driver.host.advance(1);
    expect(driver.takeAll(1).map((entry) => entry.cid)).toEqual([quick]);
    driver.host.advance(5000);
    expect(driver.takeAll(1).map((entry) => entry.cid)).toEqual([slow]);
  });
  it('lets Abort end a command that waits, and only such a one', () => {
    const { driver } = started({ latency: { kind: 'fixed', readNs: 9000 } });
    const cid = driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
    driver.ring(1);
    driver.host.pump();
    expect(driver.admin({ opcode: 8, cdw10: 1 | (0x1234 << 16) })).toMatchObject({ status: 0, dw0: 1 });
    expect(driver.admin({ opcode: 8, cdw10: 1 | (cid << 16) })).toMatchObject({ status: 0, dw0: 0 });
    expect(driver.takeAll(1)).toMatchObject([{ cid, status: 7 }]);
    driver.host.advance(20000);
    expect(driver.takeAll(1)).toEqual([]);
    expect(driver.admin({ opcode: 8, cdw10: 9 }).status).toBe(0x4002);
  });
  it('of a slow store may run past a reset without harm', () => {
    const waiting: BlockStoreClient[] = [];
    class SlowStore extends SparseBlockStore {
      override read(_offset: number, _length: number, client: BlockStoreClient): void {
        waiting.push(client);
      }
    }
    const { driver, fn } = started({}, { createStore: (_nsid, sizeBytes): BlockStore => new SlowStore(sizeBytes) });
    const cid = driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
    driver.ring(1);
    driver.host.pump();
    expect(driver.take(1)).toBe(null);
    expect((waiting[0] as BlockStoreClient).piece(new Uint8Array(512).fill(7), 0, 512)).toBe(0);
    waiting.shift()?.done(0);
    expect(driver.take(1)).toBe(null);
    driver.host.pump();
    expect(driver.takeAll(1)).toMatchObject([{ cid, status: 0 }]);
    driver.put(1, { opcode: READ, nsid: 1, prp1: DATA });
    driver.ring(1);
    driver.host.pump();
    driver.write32(0x14, 0x460060);
    driver.host.ram.fill(0, DATA, DATA + 512);
    expect((waiting[0] as BlockStoreClient).piece(new Uint8Array(512).fill(7), 0, 512)).toBe(1);
    (waiting[0] as BlockStoreClient).done(0);
    expect([fn.outstandingCommands, driver.host.ram[DATA]]).toEqual([0, 0]);
  });
});

describe('a fault plan', () => {
  it('can fail, drop and delay commands, change completions and lose interrupts', () => {
    const { driver } = started(
      {},
      {
        faults: {
          command: (_sqid, _cid, opcode, _nsid, slba) => {
            if (opcode !== READ) return null;
            if (slba === 1) return { kind: 'status', status: 0x281 };
            if (slba === 2) return { kind: 'drop' };
            return slba === 3 ? { kind: 'delay', delayNs: 500 } : null;
          },
          completion: (_cqid, sqid, cid) => (sqid === 1 && cid === 77 ? { cid: 78 } : null),
        },
      },
    );
    const read = (slba: number, cid: number): void => {
      driver.put(1, { opcode: READ, nsid: 1, prp1: DATA, cdw10: slba, cid });
    };
    read(1, 10);
    read(2, 11);
    read(3, 12);
    read(0, 77);
    driver.ring(1);
    driver.host.pump();
    expect(driver.takeAll(1).map(({ cid, status }) => [cid, status])).toEqual([
      [10, 0x281],
      [78, 0],
    ]);
    driver.host.advance(500);
    expect(driver.takeAll(1).map(({ cid }) => cid)).toEqual([12]);
  });
});

describe('shadow doorbells', () => {
  it('replace the real ones, and the event index tells when to ring', () => {
    const { driver } = started();
    const tail = 0x3000 + 8;
    const head = 0x3000 + 12;
    expect(driver.admin({ opcode: 0x7c, prp1: 0x3000, prp2: 0x4000 }).status).toBe(0);
    driver.put(1, { opcode: FLUSH, nsid: 1 });
    driver.view.setUint32(tail, 1, true);
    driver.ring(1);
    driver.host.pump();
    expect(driver.take(1)?.status).toBe(0);
    expect(driver.view.getUint32(0x4000 + 8, true)).toBe(1);
    expect(driver.view.getUint32(0x4000 + 12, true)).toBe(0);
    driver.view.setUint32(head, 1, true);
    driver.acknowledge(1);
    for (let i = 0; i < 3; i++) driver.put(1, { opcode: FLUSH, nsid: 1 });
    driver.view.setUint32(tail, 4, true);
    driver.write32(0x1008, 2);
    driver.host.pump();
    expect([driver.take(1), driver.take(1), driver.take(1)].map((entry) => entry?.status)).toEqual([0, 0, 0]);
    expect(driver.view.getUint32(0x4000 + 12, true)).toBe(1);
    expect(driver.view.getUint32(0x4000 + 8, true)).toBe(4);
  });
  it('cover the admin queue, whose real doorbell is still rung', () => {
    const { driver } = started();
    driver.admin({ opcode: 0x7c, prp1: 0x3000, prp2: 0x4000 });
    expect(driver.admin({ opcode: 6, cdw10: 1, prp1: DATA }).status).toBe(0);
    expect(driver.view.getUint32(0x3000, true)).toBe(driver.queue(0).tail);
    expect(driver.view.getUint32(0x3004, true)).toBe(driver.queue(0).head);
  });
  it('refuse misaligned buffers, and a tail beyond the queue', () => {
    const { driver } = started();
    expect(driver.admin({ opcode: 0x7c, prp1: 0x3004, prp2: 0x4000 }).status).toBe(0x4002);
    driver.admin({ opcode: 0x7c, prp1: 0x3000, prp2: 0x4000 });
    driver.view.setUint32(0x3008, 0xffff, true);
    driver.ring(1);
    driver.host.pump();
    expect(driver.take(1)).toBe(null);
    expect(driver.read32(0x1c)).toBe(1);
  });
});
