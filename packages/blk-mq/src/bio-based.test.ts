import { describe, expect, it } from 'vitest';
import { createTestMachine, TEST_LIMITS, type TestMachine } from './fixtures/test-machine.js';
import {
  type Bio,
  BLK_STS_IOERR,
  BLK_STS_OK,
  type Gendisk,
  type QueueLimits,
  REQ_DRV,
  REQ_OP_READ,
  REQ_OP_WRITE,
} from './ports.js';
import { makeBio, refill } from './testing/bios.js';
import { RamDriver } from './testing/ram-driver.js';

const SECTORS = 8192;

interface Stack {
  readonly top: Gendisk;
  readonly below: readonly Gendisk[];
  readonly drivers: readonly RamDriver[];
}

/** A disk that takes bios, and sends them to two others in turn. Task context. */
async function stacked(m: TestMachine, limits: Partial<QueueLimits> = TEST_LIMITS): Promise<Stack> {
  const { blkMq, deviceCore } = m;
  const parent = deviceCore.deviceInitialize({ name: 'ctrl0', parent: null, container: null });
  await deviceCore.deviceAdd(parent);
  const drivers = [new RamDriver(blkMq, { sectors: SECTORS }), new RamDriver(blkMq, { sectors: SECTORS })];
  const below: Gendisk[] = [];
  for (const [index, driver] of drivers.entries()) {
    const set = blkMq.blkMqAllocTagSet({
      name: `ram${index}`,
      ops: driver,
      nrHwQueues: 2,
      nrMaps: 1,
      queueDepth: 8,
      reservedTags: 0,
      numaNode: 0,
      timeoutNs: 30e9,
      flags: 0,
      driverData: driver,
    });
    const disk = blkMq.blkMqAllocDisk(set, TEST_LIMITS, driver);
    blkMq.setDiskName(disk, `below${index}`, {}, null);
    blkMq.setDiskFlags(disk, { hidden: true });
    blkMq.setCapacityAndNotify(disk, SECTORS);
    await blkMq.deviceAddDisk(parent, disk, []);
    below.push(disk);
  }
  const stacking = blkMq.blkStackLimits(blkMq.blkSetStackingLimits(), { ...below[0].queue.limits, ...limits });
  const top = blkMq.blkAllocDisk(stacking, 0);
  let turn = 0;
  const submitBio = (whole: Bio): void => {
    const bio = blkMq.bioSplitToLimits(whole);
    if (bio === null) return;
    const from = bio.disk as Gendisk;
    bio.disk = below[turn++ % 2];
    bio.opf |= REQ_DRV;
    blkMq.traceBlockBioRemap(bio, from);
    blkMq.submitBioNoacct(bio);
  };
  blkMq.setDiskName(top, 'top', { submitBio }, null);
  blkMq.setDiskFlags(top, { suppressPartScan: true });
  blkMq.setCapacityAndNotify(top, SECTORS);
  await blkMq.deviceAddDisk(parent, top, []);
  return { top, below, drivers };
}

describe('a disk that takes bios itself', () => {
  it('has its bios cut to its limits and sent on, each part once', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { top, drivers } = await stacked(m, { ...TEST_LIMITS, maxHwSectors: 16 });
      const ends: number[] = [];
      const bio = makeBio(m.blkMq, top, REQ_OP_WRITE, 8, 64);
      bio.endIo = ({ sector }) => ends.push(sector);
      m.blkMq.submitBio(bio);
      // It is behind the other in each queue below.
      await m.blkMq.submitBioWait(makeBio(m.blkMq, top, REQ_OP_READ, 0, 8));
      await m.blkMq.submitBioWait(makeBio(m.blkMq, top, REQ_OP_READ, 0, 8));
      const seen = drivers.flatMap(({ seen: requests }) => requests).filter(({ op }) => op === REQ_OP_WRITE);
      expect(seen.map(({ sector }) => sector).sort((one, other) => one - other)).toEqual([8, 24, 40, 56]);
      expect(drivers.map(({ seen: requests }) => requests.length)).toEqual([3, 3]);
      expect(ends).toEqual([8]);
    });
  });

  it('is seen; the disks below are not', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      await stacked(m);
      expect(m.deviceCore.listNodes()).toEqual(['top']);
      expect(m.blkMq.lookup('below0')).toBeNull();
      expect(m.blkMq.lookup('top')).not.toBeNull();
      expect(m.deviceCore.sysfs.exists('/sys/block/top/mq')).toBe(false);
      expect(m.deviceCore.sysfs.read('/sys/block/below1/hidden')).toBe('1\n');
      expect(m.deviceCore.uevents.some(({ env }) => String(env.DEVPATH).includes('below'))).toBe(false);
    });
  });

  it('keeps bios while it is frozen, and fails them when it is dead', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { top } = await stacked(m);
      const ended: number[] = [];
      const submit = (sector: number): void => {
        const bio = makeBio(m.blkMq, top, REQ_OP_READ, sector, 8);
        bio.endIo = ({ status }) => ended.push(status);
        m.blkMq.submitBio(bio);
      };
      await m.blkMq.blkMqFreezeQueue(top.queue);
      submit(0);
      expect(ended).toEqual([]);
      m.blkMq.blkMqUnfreezeQueue(top.queue);
      await m.blkMq.submitBioWait(makeBio(m.blkMq, top, REQ_OP_READ, 8, 8));
      expect(ended).toEqual([BLK_STS_OK]);
      m.blkMq.blkMarkDiskDead(top);
      submit(0);
      expect(ended).toEqual([BLK_STS_OK, BLK_STS_IOERR]);
    });
  });

  it('does the same whether or not it is traced', async () => {
    const runs: string[] = [];
    for (const trace of ['off', 'full'] as const) {
      const m = createTestMachine({ trace });
      const story = await m.run(async () => {
        const { top, drivers } = await stacked(m, { ...TEST_LIMITS, maxHwSectors: 16 });
        const ends: string[] = [];
        const plug = m.blkMq.blkStartPlug();
        for (let i = 0; i < 40; i++) {
          const bio = makeBio(m.blkMq, top, i % 3 === 0 ? REQ_OP_READ : REQ_OP_WRITE, i * 24, 8 + (i % 5) * 8);
          bio.endIo = () => {
            ends.push(`${i}`);
            // Whoever hears of an end may submit at once.
            if (i !== 7) return;
            refill(bio, top, REQ_OP_READ, 4096, 8);
            bio.endIo = () => ends.push('again');
            m.blkMq.submitBio(bio);
          };
          m.blkMq.submitBio(bio);
        }
        m.blkMq.blkFinishPlug(plug);
        await m.blkMq.submitBioWait(makeBio(m.blkMq, top, REQ_OP_READ, 0, 8));
        await m.blkMq.blkMqFreezeQueue(top.queue);
        m.blkMq.blkMqUnfreezeQueue(top.queue);
        const seen = drivers.map(({ seen: requests }) => requests.map(({ sector }) => sector).join());
        return JSON.stringify({ ends, seen, now: m.kernel.ex.now() });
      });
      runs.push(story);
    }
    expect(runs[1]).toBe(runs[0]);
  });

  it('can do what all disks below can', () => {
    const { blkMq } = createTestMachine();
    const none = blkMq.blkSetStackingLimits();
    const small = blkMq.blkStackLimits(none, { ...none, ...TEST_LIMITS, logicalBlockSizeBytes: 512, chunkSectors: 64 });
    const both = blkMq.blkStackLimits(small, {
      ...none,
      ...TEST_LIMITS,
      maxHwSectors: 256,
      maxSegments: 33,
      logicalBlockSizeBytes: 4096,
      ioOptBytes: 8192,
      chunkSectors: 48,
      maxDiscardSectors: 0,
      fua: false,
    });
    expect(both).toMatchObject({
      maxHwSectors: 256,
      maxSegments: 33,
      logicalBlockSizeBytes: 4096,
      ioOptBytes: 8192,
      chunkSectors: 16,
      maxDiscardSectors: 4194303,
      virtBoundaryMask: 4095,
      writeCache: true,
      fua: true,
    });
  });
});
