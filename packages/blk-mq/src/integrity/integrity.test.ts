import type { KernelProfile } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, type TestDisk, type TestMachine } from '../fixtures/test-machine.js';
import {
  type Bio,
  BLK_INTEGRITY_CSUM_CRC,
  BLK_INTEGRITY_CSUM_CRC64,
  BLK_INTEGRITY_CSUM_NONE,
  BLK_INTEGRITY_DEVICE_CAPABLE,
  BLK_INTEGRITY_REF_TAG,
  BLK_STS_IOERR,
  BLK_STS_OK,
  BLK_STS_PROTECTION,
  BLK_STS_RESOURCE,
  type BlkIntegrity,
  type Gendisk,
  REQ_INTEGRITY,
  REQ_OP_DISCARD,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  type Request,
} from '../ports.js';
import { RamDriver } from '../testing/ram-driver.js';
import { crcT10dif } from './crc-t10dif.js';
import { Crc64 } from './crc64.js';

const PROFILES: readonly KernelProfile[] = ['6.12', '6.1', '4.13', '4.10'];

const TYPE1: BlkIntegrity = {
  csumType: BLK_INTEGRITY_CSUM_CRC,
  flags: BLK_INTEGRITY_DEVICE_CAPABLE | BLK_INTEGRITY_REF_TAG,
  tupleSizeBytes: 8,
  piOffsetBytes: 0,
  intervalExp: 0,
  tagSizeBytes: 2,
};
const TYPE3: BlkIntegrity = { ...TYPE1, flags: BLK_INTEGRITY_DEVICE_CAPABLE, tagSizeBytes: 6 };
const NOP: BlkIntegrity = { ...TYPE1, csumType: BLK_INTEGRITY_CSUM_NONE, flags: 0, tagSizeBytes: 0 };
const EXT1: BlkIntegrity = { ...TYPE1, csumType: BLK_INTEGRITY_CSUM_CRC64, tupleSizeBytes: 16 };

/** What the device keeps beside the blocks: it stores metadata of writes and gives it to reads, and checks nothing. */
class IntegrityDriver extends RamDriver {
  /** By block. */
  readonly metadata = new Map<number, Uint8Array>();
  readonly flagged: boolean[] = [];
  bios = 0;
  blockBytes = 512;

  protected override transfer(rq: Request): void {
    super.transfer(rq);
    this.flagged.push((rq.cmdFlags & REQ_INTEGRITY) !== 0);
    for (let bio = rq.bio; bio !== null; bio = bio.next) this.bios++;
    const vec = this.blkMq.rqIntegrityVec(rq);
    const profile = rq.q.limits.integrity;
    if (vec === null || profile === null) return;
    const { bytes } = this.kernel.memory;
    const writes = (rq.cmdFlags & REQ_OP_MASK) === REQ_OP_WRITE;
    let block = (rq.sector * 512) / this.blockBytes;
    for (let at = vec.addr; at < vec.addr + vec.lengthBytes; at += profile.tupleSizeBytes, block++) {
      const place = bytes.subarray(at, at + profile.tupleSizeBytes);
      if (writes) this.metadata.set(block, place.slice());
      else place.set(this.metadata.get(block) ?? new Uint8Array(profile.tupleSizeBytes).fill(0xff));
    }
  }
}

interface Made extends TestDisk {
  readonly driver: IntegrityDriver;
}

async function disk(m: TestMachine, integrity: BlkIntegrity | null, blockBytes = 512, segments = 1): Promise<Made> {
  const driver = new IntegrityDriver(m.blkMq, { sectors: 4096 });
  const { blkMq } = m;
  driver.blockBytes = blockBytes;
  const set = blkMq.blkMqAllocTagSet({
    name: 'ram',
    ops: driver,
    nrHwQueues: 4,
    nrMaps: 1,
    queueDepth: 8,
    reservedTags: 0,
    numaNode: 0,
    timeoutNs: 30e9,
    flags: 0,
    driverData: driver,
  });
  const limits = { maxHwSectors: 64, maxSegments: 64, logicalBlockSizeBytes: blockBytes };
  const made = blkMq.blkMqAllocDisk(set, limits, driver);
  blkMq.queueLimitsCommitUpdate(made.queue, { integrity, maxIntegritySegments: segments });
  blkMq.setDiskName(made, 'nvme0n1', {}, null);
  blkMq.setCapacityAndNotify(made, 4096);
  const parent = m.deviceCore.deviceInitialize({ name: 'ctrl0', parent: null, container: null });
  await m.deviceCore.deviceAdd(parent);
  await blkMq.deviceAddDisk(parent, made, []);
  driver.seen.length = 0;
  driver.flagged.length = 0;
  driver.bios = 0;
  return { driver, set, disk: made, parent };
}

/** A bio over fresh pieces of memory, filled with a pattern. */
function bioOver(m: TestMachine, on: Gendisk, op: number, sector: number, pieces: readonly number[]): Bio {
  const bio = m.blkMq.allocBio(pieces.length);
  bio.disk = on;
  bio.opf = op;
  bio.sector = sector;
  let n = 0;
  for (const length of pieces) {
    const addr = m.kernel.memory.allocPages(Math.max(1, Math.ceil(length / 4096)), 'test');
    for (let i = 0; i < length; i++) m.kernel.memory.bytes[addr + i] = (n++ * 13 + sector) & 0xff;
    bio.vecAddr[bio.vcnt] = addr;
    bio.vecLengthBytes[bio.vcnt++] = length;
    bio.sizeBytes += length;
  }
  return bio;
}

function tupleOf({ driver }: Made, block: number): number[] {
  return [...(driver.metadata.get(block) ?? [])];
}

function log(m: TestMachine): string[] {
  return m.kernel.printk.lines.map(({ text }) => text);
}

describe('checksums', () => {
  const text = Uint8Array.from('123456789', (digit) => digit.charCodeAt(0));

  it('are those of T10 and of NVMe', () => {
    expect(crcT10dif(0, text, 0, 9)).toBe(0xd0db);
    const crc = new Crc64();
    crc.begin();
    crc.update(new Uint8Array(4096), 0, 4096);
    expect([crc.high, crc.low]).toEqual([0x6482d367, 0xeb22b64e]);
    crc.begin();
    crc.update(text, 0, 9);
    expect([crc.high, crc.low]).toEqual([0xae8b1486, 0x0a799888]);
  });

  it('go on where a piece ends', () => {
    expect(crcT10dif(crcT10dif(0, text, 0, 4), text, 4, 5)).toBe(0xd0db);
    const crc = new Crc64();
    crc.begin();
    crc.update(text, 0, 3);
    crc.update(text, 3, 6);
    expect([crc.high, crc.low]).toEqual([0xae8b1486, 0x0a799888]);
  });
});

const RUNS = PROFILES.flatMap((profile) => (['full', 'off'] as const).map((trace) => ({ profile, trace })));

describe.each(RUNS)('metadata of bios on $profile, trace $trace', ({ profile, trace }) => {
  it('is made for writes and read back with reads', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1);
      const write = bioOver(m, made.disk, REQ_OP_WRITE, 100, [1024]);
      expect(await m.blkMq.submitBioWait(write)).toBe(BLK_STS_OK);
      const { bytes } = m.kernel.memory;
      const guard = crcT10dif(0, bytes, write.vecAddr[0], 512);
      expect(tupleOf(made, 100)).toEqual([guard >> 8, guard & 0xff, 0, 0, 0, 0, 0, 100]);
      expect(tupleOf(made, 101).slice(4)).toEqual([0, 0, 0, 101]);
      const read = bioOver(m, made.disk, REQ_OP_READ, 100, [1024]);
      expect(await m.blkMq.submitBioWait(read)).toBe(BLK_STS_OK);
      expect(bytes.slice(read.vecAddr[0], read.vecAddr[0] + 1024)).toEqual(
        bytes.slice(write.vecAddr[0], write.vecAddr[0] + 1024),
      );
      expect([read.integrity, read.opf & REQ_INTEGRITY]).toEqual([null, 0]);
    });
  });

  it('tells of a guard and of a reference tag that are wrong', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1);
      await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_WRITE, 8, [2048]));
      const guard = tupleOf(made, 9).slice(0, 2);
      made.driver.media[9 * 512 + 7] ^= 1;
      const read = bioOver(m, made.disk, REQ_OP_READ, 8, [2048]);
      expect(await m.blkMq.submitBioWait(read)).toBe(BLK_STS_PROTECTION);
      const want = crcT10dif(0, made.driver.media, 9 * 512, 512);
      const hex = (n: number): string => n.toString(16).padStart(4, '0');
      expect(log(m).at(-1)).toBe(
        `nvme0n1: guard tag error at sector 9 (rcvd ${hex(guard[0] * 256 + guard[1])}, want ${hex(want)})`,
      );
      (made.driver.metadata.get(8) as Uint8Array)[7] = 77;
      expect(await m.blkMq.submitBioWait(read)).toBe(BLK_STS_PROTECTION);
      expect(log(m).at(-1)).toBe('nvme0n1: ref tag error at location 8 (rcvd 77)');
    });
  });

  it('is numbered by blocks on the device, and by sectors of the bio here', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1, 4096);
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_WRITE, 800, [8192]))).toBe(BLK_STS_OK);
      expect([tupleOf(made, 100).slice(4), tupleOf(made, 101).slice(4)]).toEqual([
        [0, 0, 0, 100],
        [0, 0, 0, 101],
      ]);
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 800, [8192]))).toBe(BLK_STS_OK);
    });
  });

  it('goes with each part of a bio that is split, and leaves no memory behind', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1);
      const pieces = new Array<number>(20).fill(4096);
      const write = bioOver(m, made.disk, REQ_OP_WRITE, 0, pieces);
      const read = bioOver(m, made.disk, REQ_OP_READ, 0, pieces);
      const free = m.kernel.memory.freePageCount;
      expect(await m.blkMq.submitBioWait(write)).toBe(BLK_STS_OK);
      expect(made.driver.seen.map(({ lengthBytes }) => lengthBytes)).toEqual([32768, 32768, 16384]);
      expect(tupleOf(made, 159).slice(4)).toEqual([0, 0, 0, 159]);
      expect(await m.blkMq.submitBioWait(read)).toBe(BLK_STS_OK);
      made.driver.media[130 * 512] ^= 0x80;
      expect(await m.blkMq.submitBioWait(read)).toBe(BLK_STS_PROTECTION);
      expect(m.kernel.memory.freePageCount).toBe(free);
    });
  });

  it('keeps bios apart where one piece of it is all that a request may have', async () => {
    const m = createTestMachine({ profile, trace });
    const requests = async (segments: number): Promise<number> => {
      const made = await disk(m, TYPE1, 512, segments);
      const plug = m.blkMq.blkStartPlug();
      for (let i = 0; i < 4; i++) m.blkMq.submitBio(bioOver(m, made.disk, REQ_OP_WRITE, 8 * i, [4096]));
      m.blkMq.blkFinishPlug(plug);
      await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 1000, [512]));
      await m.blkMq.delGendisk(made.disk);
      await m.deviceCore.deviceDel(made.parent);
      return made.driver.seen.length - 1;
    };
    await m.run(async () => {
      expect(await requests(1)).toBe(4);
      expect(await requests(4)).toBe(1);
    });
  });

  it('is not looked at where the switches are off', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1);
      const store = (name: string, text: string) =>
        m.deviceCore.sysfs.write(`/sys/block/nvme0n1/integrity/${name}`, text);
      const show = (name: string) => m.deviceCore.sysfs.read(`/sys/block/nvme0n1/integrity/${name}`);
      expect([show('read_verify'), show('write_generate')]).toEqual(['1\n', '1\n']);
      await store('write_generate', '0');
      await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_WRITE, 0, [512]));
      expect([made.driver.flagged, made.driver.metadata.size]).toEqual([[false], 0]);
      await store('read_verify', '0\n');
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 0, [512]))).toBe(BLK_STS_OK);
      expect(made.driver.flagged).toEqual([false, false]);
      await store('read_verify', '1');
      // The device has nothing for this block, and says so by the application tag.
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 0, [512]))).toBe(BLK_STS_OK);
      expect(made.driver.flagged).toEqual([false, false, true]);
      expect([show('read_verify'), show('write_generate')]).toEqual(['1\n', '0\n']);
    });
  });

  it('leaves alone what needs none, and what its submitter brings', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1);
      const discard = m.blkMq.allocBio(0);
      discard.disk = made.disk;
      discard.opf = REQ_OP_DISCARD;
      discard.sizeBytes = 512;
      await m.blkMq.submitBioWait(discard);
      const bio = bioOver(m, made.disk, REQ_OP_WRITE, 5, [512]);
      const addr = m.kernel.memory.allocPages(1, 'test');
      m.kernel.memory.bytes.set([1, 2, 3, 4, 0, 0, 0, 40], addr);
      m.blkMq.bioIntegrityAttach(bio, { addr, lengthBytes: 8, seed: 40 });
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      // The seed's tag becomes the block's.
      expect(tupleOf(made, 5)).toEqual([1, 2, 3, 4, 0, 0, 0, 5]);
      m.kernel.memory.bytes.set([5, 6, 7, 8, 0, 0, 0, 40], addr);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      expect(tupleOf(made, 5)).toEqual([5, 6, 7, 8, 0, 0, 0, 5]);
      bio.opf = REQ_OP_READ;
      m.kernel.memory.bytes.fill(0, addr, addr + 8);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      expect([...m.kernel.memory.bytes.subarray(addr, addr + 8)]).toEqual([5, 6, 7, 8, 0, 0, 0, 40]);
      m.blkMq.bioIntegrityAttach(bio, null);
      expect(bio.integrity).toBeNull();
    });
  });

  it('fails the bio when memory is short', async () => {
    const m = createTestMachine({ profile, trace });
    await m.run(async () => {
      const made = await disk(m, TYPE1);
      const bio = bioOver(m, made.disk, REQ_OP_WRITE, 5, [512]);
      while (m.kernel.memory.freePageCount > 0) m.kernel.memory.allocPages(1, 'test');
      expect(await m.blkMq.submitBioWait(bio)).toBe(profile === '4.10' ? BLK_STS_IOERR : BLK_STS_RESOURCE);
      expect(log(m).includes('could not allocate integrity buffer')).toBe(profile !== '6.12');
    });
  });
});

describe('profiles', () => {
  it.each([
    [TYPE1, 'T10-DIF-TYPE1-CRC'],
    [TYPE3, 'T10-DIF-TYPE3-CRC'],
    [EXT1, 'EXT-DIF-TYPE1-CRC64'],
    [NOP, 'nop'],
    [null, 'none'],
  ])('show themselves in sysfs: %o', async (integrity, format) => {
    const m = createTestMachine();
    await m.run(async () => {
      await disk(m, integrity, 4096);
      const show = (name: string) => m.deviceCore.sysfs.read(`/sys/block/nvme0n1/integrity/${name}`).trim();
      expect(show('format')).toBe(format);
      expect(show('tag_size')).toBe(String(integrity?.tagSizeBytes ?? 0));
      expect(show('protection_interval_bytes')).toBe(integrity === null ? '0' : '4096');
      expect(show('device_is_integrity_capable')).toBe(integrity === null || integrity === NOP ? '0' : '1');
      expect(show('read_verify')).toBe(integrity === null ? '0' : '1');
    });
  });

  it.each([
    [{ ...TYPE1, tupleSizeBytes: 0 }, 'tuple size is 0'],
    [{ ...TYPE1, piOffsetBytes: 1 }, 'offset is 1'],
    [{ ...NOP, flags: BLK_INTEGRITY_REF_TAG }, 'reference tag is set'],
  ])('that no disk can have are refused', async (integrity, what) => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk: made } = await disk(m, null);
      expect(() => m.blkMq.queueLimitsCommitUpdate(made.queue, { integrity })).toThrow(what);
      expect(made.queue.limits.integrity).toBeNull();
    });
  });

  it('have the guard cover the metadata before it, and intervals lie in several pieces', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await disk(m, { ...TYPE1, tupleSizeBytes: 16, piOffsetBytes: 8 });
      const bio = bioOver(m, made.disk, REQ_OP_WRITE, 3, [100, 300, 112]);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      const { media } = made.driver;
      const guard = crcT10dif(crcT10dif(0, media, 3 * 512, 512), new Uint8Array(8), 0, 8);
      expect(tupleOf(made, 3)).toEqual([...new Array(8).fill(0), guard >> 8, guard & 0xff, 0, 0, 0, 0, 0, 3]);
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 3, [512]))).toBe(BLK_STS_OK);
      (made.driver.metadata.get(3) as Uint8Array)[0] = 1;
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 3, [512]))).toBe(BLK_STS_PROTECTION);
    });
  });

  it('with 64-bit guards have 48-bit reference tags', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await disk(m, EXT1);
      await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_WRITE, 300, [512]));
      const crc = new Crc64();
      crc.begin();
      crc.update(made.driver.media, 300 * 512, 512);
      const tuple = made.driver.metadata.get(300) as Uint8Array;
      expect(new DataView(tuple.buffer).getUint32(0)).toBe(crc.high);
      expect([...tuple.subarray(8)]).toEqual([0, 0, 0, 0, 0, 0, 1, 44]);
      tuple[3] ^= 1;
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 300, [512]))).toBe(BLK_STS_PROTECTION);
      expect(log(m).at(-1)).toMatch(
        /^nvme0n1: guard tag error at sector 300 \(rcvd [0-9a-f]{16}, want [0-9a-f]{16}\)$/,
      );
    });
  });

  it('of type 3 and without a checksum check no place', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await disk(m, TYPE3);
      await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_WRITE, 4, [512]));
      expect(tupleOf(made, 4).slice(2)).toEqual([0, 0, 0, 0, 0, 0]);
      (made.driver.metadata.get(4) as Uint8Array)[7] = 9;
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 4, [512]))).toBe(BLK_STS_OK);
      m.blkMq.queueLimitsCommitUpdate(made.disk.queue, { integrity: NOP });
      await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_WRITE, 4, [512]));
      expect(tupleOf(made, 4)).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
      made.driver.media[4 * 512] ^= 1;
      expect(await m.blkMq.submitBioWait(bioOver(m, made.disk, REQ_OP_READ, 4, [512]))).toBe(BLK_STS_OK);
    });
  });
});
