import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, liveDisk } from './fixtures/test-machine.js';
import {
  type Bio,
  BLK_STS_AGAIN,
  BLK_STS_IOERR,
  BLK_STS_OK,
  REQ_NOWAIT,
  REQ_OP_DRV_IN,
  REQ_OP_READ,
  REQ_OP_WRITE,
} from './ports.js';
import { makeBio } from './testing/bios.js';

describe('waiting for a tag', () => {
  it('parks bios first in, first out, and counts every one exactly once', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 }, { queueDepth: 4, nrHwQueues: 4 });
      const ended: number[] = [];
      for (let i = 0; i < 20; i++) {
        const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, i * 8, 8);
        bio.endIo = (b) => ended.push(b.sector / 8);
        m.blkMq.submitBio(bio);
      }
      expect(driver.outstanding).toHaveLength(4);
      await sleepNs(m.kernel, 1e6);
      expect(ended).toEqual(Array.from({ length: 20 }, (_, i) => i));
      expect(driver.seen.map(({ sector }) => sector / 8)).toEqual(ended);
    });
  });

  it('answers BLK_STS_AGAIN to NOWAIT', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 8192 }, { queueDepth: 1 });
      const first = makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8);
      m.blkMq.submitBio(first);
      const second = makeBio(m.blkMq, disk, REQ_OP_WRITE | REQ_NOWAIT, 8, 8);
      expect(await m.blkMq.submitBioWait(second)).toBe(BLK_STS_AGAIN);
    });
  });

  it('hands a tag to a waiting task', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 8192 }, { queueDepth: 1 });
      m.blkMq.submitBio(makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8));
      expect(m.blkMq.blkMqTryAllocRequest(disk.queue, REQ_OP_DRV_IN, {})).toBeNull();
      await expect(m.blkMq.blkMqAllocRequest(disk.queue, REQ_OP_DRV_IN, { nowait: true })).rejects.toMatchObject({
        code: 'EAGAIN',
      });
      const rq = await m.blkMq.blkMqAllocRequest(disk.queue, REQ_OP_DRV_IN, {});
      m.blkMq.blkMqFreeRequest(rq);
    });
  });
});

describe('freezing', () => {
  it('waits for what is under way and holds back what comes', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192, latencyNs: 5000 });
      const q = disk.queue;
      const ended: number[] = [];
      const send = (sector: number): void => {
        const bio = makeBio(m.blkMq, disk, REQ_OP_READ, sector, 8);
        bio.endIo = (b: Bio) => ended.push(b.sector);
        m.blkMq.submitBio(bio);
      };
      send(0);
      m.blkMq.blkFreezeQueueStart(q);
      send(8);
      send(16);
      expect(driver.outstanding).toHaveLength(1);
      expect(await m.blkMq.blkMqFreezeQueueWaitTimeout(q, 100)).toBe(false);
      await m.blkMq.blkMqFreezeQueueWait(q);
      expect(ended).toEqual([0]);
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_READ | REQ_NOWAIT, 24, 8))).toBe(BLK_STS_AGAIN);
      m.blkMq.blkMqUnfreezeQueue(q);
      await sleepNs(m.kernel, 1e5);
      expect(ended).toEqual([0, 8, 16]);
    });
  });

  it('fails what waits when the disk dies', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 8192 });
      m.blkMq.blkFreezeQueueStart(disk.queue);
      const bio = makeBio(m.blkMq, disk, REQ_OP_READ, 0, 8);
      let status = -1;
      bio.endIo = (b) => {
        status = b.status;
      };
      m.blkMq.submitBio(bio);
      expect(status).toBe(-1);
      m.blkMq.blkMarkDiskDead(disk);
      expect(status).toBe(BLK_STS_IOERR);
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_READ, 0, 8))).toBe(BLK_STS_IOERR);
    });
  });

  it('is a BUG to thaw what is not frozen', async () => {
    const m = createTestMachine();
    const call = m.run(async () => {
      const { disk } = await liveDisk(m, { sectors: 64 });
      m.blkMq.blkMqUnfreezeQueue(disk.queue);
    });
    await expect(call).rejects.toThrow(/not frozen/);
  });
});

describe('quiescing', () => {
  it('keeps requests back until unquiesced, then sends them', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 });
      m.blkMq.blkMqQuiesceQueueNowait(disk.queue);
      const bios = [0, 1000, 2000].map((sector) => makeBio(m.blkMq, disk, REQ_OP_WRITE, sector, 8));
      let ended = 0;
      for (const bio of bios) {
        bio.endIo = () => {
          ended++;
        };
        m.blkMq.submitBio(bio);
      }
      await sleepNs(m.kernel, 1e6);
      expect(driver.seen).toHaveLength(0);
      m.blkMq.blkMqUnquiesceQueue(disk.queue);
      await sleepNs(m.kernel, 1e6);
      expect(driver.seen.map(({ sector }) => sector)).toEqual([0, 1000, 2000]);
      expect(ended).toBe(3);
    });
  });
});

describe('a driver without resources', () => {
  it('gets the request again, in order', async () => {
    for (const queueRqs of [true, false]) {
      const m = createTestMachine();
      await m.run(async () => {
        const { disk, driver } = await liveDisk(m, { sectors: 8192, queueRqs });
        driver.refuse.push(9, 13);
        const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8);
        expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
        expect(driver.seen).toHaveLength(1);
      });
    }
  });
});

describe('the number of hardware queues', () => {
  it('changes under I/O without losing any', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver, set } = await liveDisk(m, { sectors: 8192, latencyNs: 20000 });
      let ended = 0;
      for (let i = 0; i < 8; i++) {
        const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, i * 100, 8);
        bio.endIo = () => {
          ended++;
        };
        m.blkMq.submitBio(bio);
      }
      await m.blkMq.blkMqUpdateNrHwQueues(set, 2);
      expect(ended).toBe(8);
      expect(disk.queue.hctxs.map(({ cpus }) => cpus)).toEqual([
        [0, 1],
        [2, 3],
      ]);
      await m.blkMq.blkMqUpdateNrHwQueues(set, 4);
      expect(disk.queue.hctxs).toHaveLength(4);
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8))).toBe(BLK_STS_OK);
      expect(driver.outstanding).toHaveLength(0);
    });
  });
});
