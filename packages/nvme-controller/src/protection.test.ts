// Protection information of the three types: inserted, stripped, checked, and what is refused.
import * as nvme from '@nvme-stack/nvme-protocol';
import { describe, expect, it } from 'vitest';
import {
  APP,
  type BlockFields,
  DATA,
  formatOf,
  GUARD,
  META,
  MetadataBench,
  PRACT,
  pattern,
  REF,
} from './fixtures/metadata-bench.js';
import { crcT10Dif } from './t10-crc.js';

const { read: READ, write: WRITE, compare: COMPARE, writeZeroes: WRITE_ZEROES } = nvme.NvmeNvmOpcode;
const { verify: VERIFY, copy: COPY } = nvme.NvmeNvmOpcode;
const INVALID = 0x4181;
const [GUARD_ERROR, APP_ERROR, REF_ERROR] = [0x282, 0x283, 0x284];

const tuple = (guard: number, app: number, ref: number): Uint8Array => {
  const bytes = new Uint8Array(8);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, guard);
  view.setUint16(2, app);
  view.setUint32(4, ref);
  return bytes;
};
const guardOf = (bytes: Uint8Array): number => crcT10Dif(0, bytes, 0, bytes.length);

/** Type, format, place of the information: every combination that differs. */
const SHAPES = [1, 2, 3].flatMap((pi) =>
  [1, 2, 7].flatMap((index) => [0, 1].flatMap((mset) => [0, 1].map((pil) => ({ pi, index, mset, pil })))),
);

describe('protection information', () => {
  it.each(SHAPES)('is inserted by a write with PRACT and checked by reads: %o', ({ pi, index, mset, pil }) => {
    const bench = new MetadataBench(formatOf(index, { pi, mset, pil }));
    const [size, metadata] = index === 7 ? [4096, 64] : [512, index * 8];
    const [count, slba] = [2, 11];
    const data = [pattern(size, 1), pattern(size, 2)];
    const rest = [pattern(metadata - 8, 3), pattern(metadata - 8, 4)];
    // What the host sends: with 8 bytes of metadata the data alone, otherwise room for the tuple as well.
    const whole = (i: number): number[] => {
      const gap = new Array<number>(8).fill(0xaa);
      return pil === 1 ? [...gap, ...(rest[i] as Uint8Array)] : [...(rest[i] as Uint8Array), ...gap];
    };
    const isStripped = metadata === 8;
    const sent = [0, 1].flatMap((i) => [...(data[i] as Uint8Array), ...(mset === 1 && !isStripped ? whole(i) : [])]);
    bench.put(DATA, sent);
    bench.put(META, [...whole(0), ...whole(1)]);
    const fields = { mptr: META, control: PRACT, appTag: 0x1234, prp2: 0x41000, refTag: pi === 1 ? slba : 0xfffffffe };
    const list = sent.length > 8192 ? { ...fields, prp2: 0xf0000 } : fields;
    for (let i = 0; i < 4; i++) bench.driver.view.setUint32(0xf0000 + 8 * i, DATA + 0x1000 * (i + 1), true);
    expect(bench.io(WRITE, slba, count, list)).toBe(0);

    const reads = { mptr: META, appTag: 0x1204, appMask: 0xff0f, refTag: list.refTag, prp2: 0xf0000 };
    const control = GUARD | APP | (pi === 3 ? 0 : REF);
    const { blocks, at } = {
      blocks: Math.floor(bench.medium.length / (size + metadata)),
      at: pil === 1 ? 0 : metadata - 8,
    };
    for (let i = 0; i < count; i++) {
      const start = blocks * size + (slba + i) * metadata;
      const before = pil === 1 ? new Uint8Array(0) : (rest[i] as Uint8Array);
      const guard = crcT10Dif(guardOf(data[i] as Uint8Array), before, 0, before.length);
      const ref = pi === 3 ? list.refTag : (list.refTag + i) % 2 ** 32;
      expect(bench.medium.slice(start + at, start + at + 8)).toEqual(tuple(guard, 0x1234, ref));
    }
    bench.clear(DATA, 0x4000);
    bench.clear(META, 256);
    // A read of more than two pages goes through a list, one of two through PRP2.
    const total = count * (size + (mset === 1 ? metadata : 0));
    const prp2 = total > 8192 ? 0xf0000 : 0x41000;
    expect(bench.io(READ, slba, count, { ...reads, control, prp2 })).toBe(0);
    const second = DATA + size + (mset === 1 ? metadata : 0);
    expect(bench.bytes(second, size)).toEqual(data[1]);
    const tags = mset === 1 ? second + size : META + metadata;
    expect(bench.bytes(tags + at + 2, 2)).toEqual(Uint8Array.of(0x12, 0x34));
    // With PRACT only the data of 8-byte formats come.
    bench.clear(DATA, 0x4000);
    bench.clear(META, 256);
    const shorter = isStripped ? count * size : total;
    const prp = shorter > 8192 ? 0xf0000 : 0x41000;
    expect(bench.io(READ, slba, count, { ...reads, control: control | PRACT, prp2: prp })).toBe(0);
    if (isStripped) {
      expect(bench.bytes(DATA + size, size)).toEqual(data[1]);
      expect(bench.bytes(META, 8)).toEqual(new Uint8Array(8).fill(0xee));
    } else {
      expect(bench.bytes(tags + at + 2, 2)).toEqual(Uint8Array.of(0x12, 0x34));
    }
  });

  it('of the host is stored if it is right, and refused by what is wrong with it', () => {
    const bench = new MetadataBench(formatOf(1, { pi: 1 }));
    const data = pattern(512, 9);
    const right = tuple(guardOf(data), 0x5a5a, 33);
    const write = (bytes: Uint8Array, fields: BlockFields = {}): number => {
      bench.put(DATA, data);
      bench.put(META, bytes);
      const tags = { appTag: 0x5a00, appMask: 0xff00, control: GUARD | APP | REF };
      return bench.io(WRITE, 33, 1, { mptr: META, ...tags, ...fields });
    };
    expect(write(right)).toBe(0);
    expect(write(tuple(guardOf(data) ^ 1, 0x5a5a, 33))).toBe(GUARD_ERROR);
    expect(write(tuple(guardOf(data), 0x5b5a, 33))).toBe(APP_ERROR);
    expect(write(tuple(guardOf(data), 0x5a5a, 34))).toBe(REF_ERROR);
    // Each check can be left out.
    expect(write(tuple(0, 0x5b5a, 34), { control: 0 })).toBe(0);
    expect(write(tuple(0, 0x5a5b, 33), { control: APP | REF })).toBe(0);
    expect(write(right)).toBe(0);
    expect(bench.io(READ, 33, 1, { mptr: META, control: GUARD | REF })).toBe(0);
    expect(bench.bytes(META, 8)).toEqual(right);
  });

  it('is found wrong when a bit of the medium is, before anything is sent', () => {
    for (const mset of [0, 1]) {
      const bench = new MetadataBench(formatOf(5, { pi: 2, mset }));
      bench.put(DATA, pattern(4096, 1));
      expect(bench.io(WRITE, 3, 1, { control: PRACT, refTag: 77 })).toBe(0);
      bench.medium[3 * 4096 + 100] = (bench.medium[3 * 4096 + 100] as number) ^ 4;
      bench.clear(DATA, 4104);
      const check = { mptr: META, refTag: 77, control: GUARD };
      expect(bench.io(READ, 3, 1, check)).toBe(GUARD_ERROR);
      expect(bench.io(VERIFY, 3, 1, check)).toBe(GUARD_ERROR);
      expect(bench.bytes(DATA, 4096)).toEqual(new Uint8Array(4096).fill(0xee));
      expect(bench.io(VERIFY, 3, 1, { ...check, refTag: 78, control: REF })).toBe(REF_ERROR);
      expect(bench.io(VERIFY, 3, 1, { ...check, control: REF })).toBe(0);
    }
  });

  it('finds what happens to data and metadata between host and controller', () => {
    const bench = new MetadataBench(formatOf(1, { pi: 1 }));
    bench.put(DATA, pattern(512, 1));
    bench.fn.faults.add({ kind: 'corrupt', command: 'write', nth: 2, offsetBytes: 300, xor: 1 });
    bench.fn.faults.add({ kind: 'corrupt', command: 'write', nth: 3, offsetBytes: 512 + 7, xor: 1 });
    expect(bench.io(WRITE, 5, 1, { control: PRACT })).toBe(0);
    expect(bench.io(READ, 5, 1, { mptr: META })).toBe(0);
    const write = (): number => bench.io(WRITE, 5, 1, { mptr: META, control: GUARD | REF });
    expect([write(), write(), write()]).toEqual([GUARD_ERROR, REF_ERROR, 0]);
  });

  it('is not checked where the tags say so: the application tag, and for type 3 the reference tag too', () => {
    for (const pi of [1, 2, 3]) {
      const bench = new MetadataBench(formatOf(1, { pi }));
      const put = (ref: number): number => {
        bench.put(META, tuple(0xbad, 0xffff, ref));
        return bench.io(WRITE, 5, 1, { mptr: META });
      };
      bench.put(DATA, pattern(512, 1));
      const check = (): number => bench.io(VERIFY, 5, 1, { control: GUARD | APP, appTag: 1, appMask: 0xffff });
      expect([put(5), check()]).toEqual([0, pi === 3 ? GUARD_ERROR : 0]);
      expect([put(0xffffffff), check()]).toEqual([0, 0]);
    }
  });

  it('of a deallocated block is all ones, so that reads of it succeed', () => {
    const bench = new MetadataBench(formatOf(2, { pi: 1 }));
    expect(bench.io(READ, 8, 1, { mptr: META, control: GUARD | APP | REF, appTag: 7, appMask: 0xffff })).toBe(0);
    expect(bench.bytes(META, 16)).toEqual(Uint8Array.of(...new Uint8Array(8), ...new Uint8Array(8).fill(0xff)));
    bench.put(DATA, new Uint8Array(512));
    expect(bench.io(COMPARE, 8, 1, { mptr: META, control: GUARD | REF })).toBe(0);
  });

  it('makes fields impossible: PRACT and checks where they have no meaning, reference tags that cannot be', () => {
    const one = new MetadataBench(formatOf(1, { pi: 1 }));
    const control = REF;
    for (const opcode of [READ, WRITE, VERIFY]) {
      expect(one.io(opcode, 6, 1, { mptr: META, control, refTag: 7 })).toBe(INVALID);
    }
    for (const opcode of [COMPARE, VERIFY]) expect(one.io(opcode, 6, 1, { mptr: META, control: PRACT })).toBe(INVALID);
    expect(one.io(WRITE_ZEROES, 6, 1, { control: GUARD })).toBe(INVALID);
    // The lower half of an address is exact, however large the upper one.
    const far = { opcode: VERIFY, nsid: 1, cdw10: 0x1b, cdw11: 0x42c557d7, cdw12: REF * 0x10000, cdw14: 0x1b };
    expect(one.driver.submit(1, far).status).toBe(0x4080);
    const three = new MetadataBench(formatOf(1, { pi: 3 }));
    expect(three.io(VERIFY, 6, 1, { control })).toBe(INVALID & ~0x4000);
    // Without protection nobody looks at them.
    const none = new MetadataBench(formatOf(1));
    expect(none.io(VERIFY, 6, 1, { control: PRACT | REF, refTag: 7 })).toBe(0);
  });

  it('compares with what is stored, which must be right', () => {
    const bench = new MetadataBench(formatOf(2, { pi: 1, mset: 1 }));
    bench.put(DATA, pattern(528, 1));
    expect(bench.io(WRITE, 4, 1, { control: PRACT })).toBe(0);
    expect(bench.io(READ, 4, 1)).toBe(0);
    const control = GUARD | REF;
    expect(bench.io(COMPARE, 4, 1, { control })).toBe(0);
    bench.put(DATA + 515, [0xee]);
    expect(bench.io(COMPARE, 4, 1, { control })).toBe(0x285);
    bench.put(DATA + 515, pattern(528, 1).slice(515, 516));
    bench.put(DATA, [0xee]);
    expect(bench.io(COMPARE, 4, 1, { control })).toBe(0x285);
  });

  it('is there after Write Zeroes with PRACT, and not looked at without', () => {
    const bench = new MetadataBench(formatOf(2, { pi: 1, pil: 1 }));
    bench.put(DATA, pattern(1024, 1));
    bench.put(META, pattern(32, 1));
    expect(bench.io(WRITE, 50, 2, { mptr: META, control: PRACT })).toBe(0);
    expect(bench.io(WRITE_ZEROES, 50, 1, { control: PRACT, appTag: 0xabc })).toBe(0);
    expect(bench.io(WRITE_ZEROES, 51, 1)).toBe(0);
    expect(bench.io(READ, 50, 2, { mptr: META, control: GUARD | REF })).toBe(0);
    expect(bench.bytes(META, 16)).toEqual(Uint8Array.of(...tuple(0, 0xabc, 50), ...new Uint8Array(8)));
    expect(bench.bytes(META + 16, 16)).toEqual(Uint8Array.of(...new Uint8Array(8).fill(0xff), ...new Uint8Array(8)));
  });
});

describe('Copy with protection information', () => {
  const started = (pi = 1): MetadataBench => {
    const bench = new MetadataBench(formatOf(1, { pi }));
    bench.put(DATA, pattern(2048, 1));
    expect(bench.io(WRITE, 10, 4, { control: PRACT, appTag: 0x11 })).toBe(0);
    return bench;
  };
  const copy = (
    bench: MetadataBench,
    read: number,
    write: number,
    fields: BlockFields = {},
    refs = [10, 12],
  ): number => {
    const range = (slba: number, ref: number): Uint8Array =>
      nvme.NvmeCopyRange.encode({ slba, nlb: 1, reftag: ref, apptag: 0x11, appmask: 0xffff });
    bench.put(DATA, [...range(10, refs[0] as number), ...range(12, refs[1] as number)]);
    const { refTag = 100, appTag = 0x22 } = fields;
    const cdw12 = (1 | (read << 2) | (write << 16)) >>> 0;
    const command = { opcode: COPY, nsid: 1, prp1: DATA, cdw10: 100, cdw12, cdw14: refTag, cdw15: appTag };
    return bench.driver.submit(1, command).status;
  };

  it('inserts tags of its own', () => {
    const bench = started();
    expect(copy(bench, PRACT | GUARD | APP | REF, PRACT)).toBe(0);
    const check = { mptr: META, control: GUARD | APP | REF, appTag: 0x22, appMask: 0xffff };
    expect(bench.io(READ, 100, 4, check)).toBe(0);
    expect(bench.bytes(DATA, 2048)).toEqual(pattern(2048, 1));
  });

  it('keeps those of the source, if they fit the target', () => {
    expect(copy(started(), GUARD, GUARD | REF)).toBe(REF_ERROR);
    const bench = started(2);
    expect(copy(bench, GUARD | APP | REF, REF, { refTag: 10 })).toBe(0);
    expect(bench.io(VERIFY, 100, 4, { control: GUARD | REF, refTag: 10 })).toBe(0);
  });

  it('ends at the range that is wrong, and says which', () => {
    const bench = started(2);
    expect(copy(bench, GUARD | REF | PRACT, PRACT, {}, [10, 13])).toBe(REF_ERROR);
    expect(bench.io(VERIFY, 100, 2, { control: GUARD | REF })).toBe(0);
    expect(copy(bench, PRACT, 0)).toBe(0x4002);
  });
});
