import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, functionTree, liveDisk, setInit, TEST_LIMITS } from './fixtures/test-machine.js';
import {
  BLK_EH_DONE,
  BLK_STS_MEDIUM,
  BLK_STS_OK,
  HCTX_TYPE_DEFAULT,
  HCTX_TYPE_POLL,
  HCTX_TYPE_READ,
  REQ_FUA,
  REQ_OP_DISCARD,
  REQ_OP_DRV_IN,
  REQ_OP_FLUSH,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  REQ_POLLED,
  REQ_PREFLUSH,
  REQ_SYNC,
  RQ_END_IO_FREE,
} from './ports.js';
import { allocBytes, makeBio } from './testing/bios.js';
import { RamDriver } from './testing/ram-driver.js';

describe('driver-private requests', () => {
  it('run through the dispatch list, as deep as on Linux', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const driver = new RamDriver(m.blkMq, { sectors: 64 });
      const set = m.blkMq.blkMqAllocTagSet(setInit(driver, { nrHwQueues: 1, queueDepth: 30, reservedTags: 2 }));
      const q = m.blkMq.blkMqAllocQueue(set, null, 'admin');
      const rq = await m.blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, {});
      expect(rq.tag).toBeGreaterThanOrEqual(2);
      m.blkMq.blkRqMapKern(rq, allocBytes(m.kernel, 4096), 4096);
      expect([rq.nrPhysSegments, rq.dataLengthBytes]).toEqual([1, 4096]);
      const from = m.kernel.trace.entries.length;
      expect(await m.blkMq.blkExecuteRq(rq, false)).toBe(BLK_STS_OK);
      const lines = functionTree(m.kernel, from);
      expect(lines.slice(0, 8).map((line) => line.trim())).toEqual([
        'blk_execute_rq',
        'blk_mq_insert_request',
        'blk_mq_run_hw_queue',
        'blk_mq_sched_dispatch_requests',
        '__blk_mq_sched_dispatch_requests',
        'blk_mq_dispatch_rq_list',
        'blk_mq_start_request',
        'blk_add_timer',
      ]);
      expect(lines[6]).toMatch(/^ {10}\S/);
      m.blkMq.blkMqFreeRequest(rq);
      const reserved = await m.blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, { reserved: true, nowait: true });
      expect(reserved.tag).toBeLessThan(2);
      m.blkMq.blkMqFreeRequest(reserved);
      await m.blkMq.blkMqDestroyQueue(q);
      await expect(m.blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, {})).rejects.toMatchObject({ code: 'ENODEV' });
      m.blkMq.blkMqFreeTagSet(set);
    });
  });

  it('tell their end without anybody waiting', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, set } = await liveDisk(m, { sectors: 64 });
      const rq = await m.blkMq.blkMqAllocRequest(disk.queue, REQ_OP_DRV_IN, {});
      let ended = 0;
      rq.endIo = () => {
        ended++;
        return RQ_END_IO_FREE;
      };
      const { queueNum } = rq.mqHctx;
      expect([set.tagToRq(queueNum, rq.tag), set.inFlightRq(queueNum, rq.tag)]).toEqual([rq, null]);
      m.blkMq.blkExecuteRqNowait(rq, false);
      expect([set.tagToRq(queueNum, rq.tag), set.inFlightRq(queueNum, rq.tag)]).toEqual([rq, rq]);
      expect([set.inFlightRq(queueNum, set.queueDepth), set.inFlightRq(99, rq.tag)]).toEqual([null, null]);
      await sleepNs(m.kernel, 1e6);
      expect(ended).toBe(1);
      expect([set.tagToRq(queueNum, rq.tag), set.inFlightRq(queueNum, rq.tag)]).toEqual([null, null]);
    });
  });
});

describe('time-outs', () => {
  it('ask the driver once per expiry, and again after RESET_TIMER', async () => {
    const n = createTestMachine();
    await n.run(async () => {
      const driver = new RamDriver(n.blkMq, { sectors: 64, manual: true });
      const set = n.blkMq.blkMqAllocTagSet(setInit(driver, { timeoutNs: 2e9 }));
      const q = n.blkMq.blkMqAllocQueue(set, null, null);
      const rq = await n.blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, {});
      rq.endIo = () => RQ_END_IO_FREE;
      n.blkMq.blkExecuteRqNowait(rq, false);
      await sleepNs(n.kernel, 1.9e9);
      expect(driver.timedOut).toHaveLength(0);
      await sleepNs(n.kernel, 1.2e9);
      expect(driver.timedOut).toHaveLength(1);
      driver.verdict = BLK_EH_DONE;
      await sleepNs(n.kernel, 4e9);
      expect(driver.timedOut).toHaveLength(2);
      await sleepNs(n.kernel, 10e9);
      expect(driver.timedOut).toHaveLength(2);
      driver.completeOne(0);
      await sleepNs(n.kernel, 1e6);
      expect(set.tagToRq(0, rq.tag)).toBeNull();
    });
  });
});

describe('defects', () => {
  it('reports ending a request twice', async () => {
    const m = createTestMachine();
    const call = m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 64 });
      m.blkMq.submitBio(makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8));
      const rq = driver.outstanding[0];
      m.blkMq.blkMqEndRequest(rq, BLK_STS_OK);
      m.blkMq.blkMqEndRequest(rq, BLK_STS_OK);
    });
    await expect(call).rejects.toThrow(/ended twice/);
  });

  it('counts tags in use when their set is freed', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      m.blkMq.blkDevInit();
      const driver = new RamDriver(m.blkMq, { sectors: 64, manual: true });
      const set = m.blkMq.blkMqAllocTagSet(setInit(driver));
      const q = m.blkMq.blkMqAllocQueue(set, null, null);
      await m.blkMq.blkMqAllocRequest(q, REQ_OP_DRV_IN, {});
      (set as unknown as { queues: unknown[] }).queues.length = 0;
      m.kernel.live.baseline();
      m.blkMq.blkMqFreeTagSet(set);
    });
    expect(m.kernel.live.leaks()).toEqual([{ kind: 'tags', name: 'ram/0', count: 1 }]);
  });

  it('prints what Linux prints for a failed request', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 });
      driver.failures.set(128, BLK_STS_MEDIUM);
      const bio = makeBio(m.blkMq, disk, REQ_OP_READ | REQ_SYNC, 128, 8);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_MEDIUM);
    });
    expect(m.kernel.printk.lines.at(-1)).toMatchObject({
      level: 'err',
      text: 'critical medium error, dev nvme0n1, sector 128 op 0x0:(READ) flags 0x800 phys_seg 1 prio class 2',
    });
  });
});

describe('completion on the submitting CPU', () => {
  const finish = async (interruptCpu: number): Promise<{ cpu: number; context: string }> => {
    const m = createTestMachine();
    let where = { cpu: -1, context: '' };
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 64 });
      driver.interruptCpu = interruptCpu;
      const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8);
      bio.endIo = () => {
        where = { cpu: m.kernel.ex.cpu, context: m.kernel.ex.context };
      };
      m.blkMq.submitBio(bio);
      await sleepNs(m.kernel, 1e6);
    }, 1);
    return where;
  };

  it('goes there by an interrupt and a softirq', async () => {
    expect(await finish(3)).toEqual({ cpu: 1, context: 'softirq' });
  });

  it('stays in the interrupt when it came to that CPU', async () => {
    expect(await finish(1)).toEqual({ cpu: 1, context: 'hardirq' });
  });
});

describe('flushes', () => {
  it('one flush serves all that wait for it', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192, latencyNs: 50000 }, { nrHwQueues: 1, flags: 1 << 4 });
      let ended = 0;
      for (let i = 0; i < 5; i++) {
        const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE | REQ_PREFLUSH, 0, 0, false);
        bio.endIo = (b) => {
          expect(b.status).toBe(BLK_STS_OK);
          ended++;
        };
        m.blkMq.submitBio(bio);
      }
      await sleepNs(m.kernel, 1e6);
      expect(ended).toBe(5);
      // The first starts at once; the other four share the next.
      expect(driver.seen.map(({ op }) => op)).toEqual([REQ_OP_FLUSH, REQ_OP_FLUSH]);
      expect(disk.stats.ios[3]).toBe(2);
    });
  });

  it('makes FUA from a flush where the device has none', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 }, {}, { ...TEST_LIMITS, fua: false });
      const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE | REQ_PREFLUSH | REQ_FUA, 16, 8);
      m.kernel.memory.bytes.fill(7, bio.vecAddr[0], bio.vecAddr[0] + 4096);
      expect(await m.blkMq.submitBioWait(bio)).toBe(BLK_STS_OK);
      expect(driver.seen.map(({ op, sector }) => [op, sector])).toEqual([
        [REQ_OP_FLUSH, 0],
        [REQ_OP_WRITE, 16],
        [REQ_OP_FLUSH, 0],
      ]);
      expect(driver.media[16 * 512]).toBe(7);
      expect([disk.stats.ios[1], disk.stats.sectors[1]]).toEqual([1, 8]);
    });
  });

  it('sends nothing to a device without a write cache', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 64 }, {}, { ...TEST_LIMITS, writeCache: false });
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_FLUSH, 0, 0, false))).toBe(BLK_STS_OK);
      expect(driver.seen).toHaveLength(0);
    });
  });
});

describe('discard and write zeroes', () => {
  it('are split at their limits', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const limits = {
        ...TEST_LIMITS,
        maxDiscardSectors: 1000,
        discardGranularityBytes: 4096,
        maxWriteZeroesSectors: 512,
      };
      const { disk, driver } = await liveDisk(m, { sectors: 8192 }, {}, limits);
      await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_DISCARD, 4, 2500, false));
      expect(driver.seen.map(({ sector, lengthBytes }) => [sector, lengthBytes / 512])).toEqual([
        [4, 996],
        [1000, 1000],
        [2000, 504],
      ]);
      driver.seen.length = 0;
      await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_WRITE_ZEROES, 0, 1025, false));
      expect(driver.seen.map(({ lengthBytes }) => lengthBytes / 512)).toEqual([512, 512, 1]);
    });
  });

  it('several ranges make one request', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 });
      const plug = m.blkMq.blkStartPlug();
      for (const sector of [0, 800, 64]) m.blkMq.submitBio(makeBio(m.blkMq, disk, REQ_OP_DISCARD, sector, 8, false));
      m.blkMq.blkFinishPlug(plug);
      expect(driver.outstanding.map((rq) => rq.nrPhysSegments)).toEqual([3]);
      await sleepNs(m.kernel, 1e6);
    });
  });
});

describe('polling', () => {
  it('uses the polled queues, which have no interrupt', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const driver = new RamDriver(m.blkMq, { sectors: 8192, poll: true });
      const withMaps = Object.assign(driver, {
        mapQueues: (set: { map: readonly { nrQueues: number; queueOffset: number }[] }) => {
          const counts = [2, 1, 1];
          let offset = 0;
          set.map.forEach((map, type) => {
            map.nrQueues = counts[type];
            map.queueOffset = offset;
            offset += counts[type];
            m.blkMq.blkMqMapQueues(map as Parameters<typeof m.blkMq.blkMqMapQueues>[0]);
          });
        },
      });
      const set = m.blkMq.blkMqAllocTagSet(setInit(withMaps, { nrMaps: 3 }));
      const disk = m.blkMq.blkMqAllocDisk(set, TEST_LIMITS, null);
      m.blkMq.setDiskName(disk, 'nvme0n1', {}, null);
      m.blkMq.setCapacityAndNotify(disk, 8192);
      expect(disk.queue.hctxs.map(({ type }) => type)).toEqual([
        HCTX_TYPE_DEFAULT,
        HCTX_TYPE_DEFAULT,
        HCTX_TYPE_READ,
        HCTX_TYPE_POLL,
      ]);
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_READ | REQ_POLLED, 0, 8))).toBe(BLK_STS_OK);
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_READ, 0, 8))).toBe(BLK_STS_OK);
      expect(await m.blkMq.submitBioWait(makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8))).toBe(BLK_STS_OK);
      expect(driver.seen.map(({ hctx }) => hctx)).toEqual([3, 2, 0]);
      const rq = await m.blkMq.blkMqAllocRequest(disk.queue, REQ_OP_DRV_IN | REQ_POLLED, {});
      expect(await m.blkMq.blkExecuteRq(rq, false)).toBe(BLK_STS_OK);
      m.blkMq.blkMqFreeRequest(rq);
    });
  });
});

describe('requeueing', () => {
  it('sends the request again after the delay', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192, latencyNs: 1000 });
      const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, 0, 8);
      let endedNs = 0;
      bio.endIo = () => {
        endedNs = m.kernel.ex.now();
      };
      m.blkMq.submitBio(bio);
      const rq = driver.outstanding.shift() as (typeof driver.outstanding)[0];
      m.blkMq.blkMqRequeueRequest(rq, false);
      m.blkMq.blkMqDelayKickRequeueList(disk.queue, 5e6);
      const from = m.kernel.ex.now();
      await sleepNs(m.kernel, 1e7);
      expect(driver.seen).toHaveLength(2);
      expect(endedNs - from).toBeGreaterThan(5e6);
    });
  });
});
