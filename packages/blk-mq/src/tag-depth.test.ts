/** How many requests a queue holds, how many the driver gets, and how disks of one set share tags. */
import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, liveDisk, TEST_LIMITS, type TestDisk, type TestMachine } from './fixtures/test-machine.js';
import { type Gendisk, REQ_FUA, REQ_OP_READ, REQ_OP_WRITE, REQ_PREFLUSH } from './ports.js';
import { makeBio } from './testing/bios.js';

const QUEUE = '/sys/block/nvme0n1/queue';

/** Submits bios of one block each; counts those that end. */
function submitAll(m: TestMachine, disk: Gendisk, sectors: readonly number[], opf = REQ_OP_WRITE): { ended: number } {
  const count = { ended: 0 };
  for (const sector of sectors) {
    const bio = makeBio(m.blkMq, disk, opf, sector, 8);
    bio.endIo = () => {
      count.ended++;
    };
    m.blkMq.submitBio(bio);
  }
  return count;
}

/** A live disk whose driver from now on completes when it is told to. */
async function heldDisk(...args: Parameters<typeof liveDisk>): Promise<TestDisk> {
  const made = await liveDisk(...args);
  made.driver.manual = true;
  return made;
}

/** Sectors far apart, so that nothing merges. */
const spread = (count: number): number[] => Array.from({ length: count }, (_, i) => ((i * 37) % count) * 64);

async function finishAll(m: TestMachine, { driver }: TestDisk): Promise<void> {
  while (driver.outstanding.length > 0) {
    driver.completeOne(0);
    await sleepNs(m.kernel, 20_000);
  }
}

describe('nr_requests without a scheduler', () => {
  it('is what the driver gets at most, and may change under I/O', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await heldDisk(m, { sectors: 8192 });
      const { sysfs } = m.deviceCore;
      const { driver, disk } = made;
      expect(sysfs.read(`${QUEUE}/nr_requests`)).toBe('32\n');
      await sysfs.write(`${QUEUE}/nr_requests`, '5');
      const count = submitAll(m, disk, spread(12));
      expect(driver.outstanding.length).toBe(5);
      let written = false;
      m.kernel.ex.spawn('writer', async () => {
        await sysfs.write(`${QUEUE}/nr_requests`, '8');
        written = true;
      });
      await sleepNs(m.kernel, 1000);
      // What is under way, or waits for a tag, ends first.
      expect(written).toBe(false);
      await finishAll(m, made);
      expect(written).toBe(true);
      expect([count.ended, sysfs.read(`${QUEUE}/nr_requests`)]).toEqual([12, '8\n']);
      const more = submitAll(m, disk, spread(12));
      expect(driver.outstanding.length).toBe(8);
      await finishAll(m, made);
      expect(more.ended).toBe(12);
    });
  });

  it('is at least 4, and at most what the driver has', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      await liveDisk(m, { sectors: 64 });
      const { sysfs } = m.deviceCore;
      await sysfs.write(`${QUEUE}/nr_requests`, '1');
      expect(sysfs.read(`${QUEUE}/nr_requests`)).toBe('4\n');
      for (const value of ['33', '0', 'x'])
        await expect(sysfs.write(`${QUEUE}/nr_requests`, value)).rejects.toMatchObject({ code: 'EINVAL' });
      await sysfs.write(`${QUEUE}/nr_requests`, '32');
    });
  });
});

describe('a scheduler', () => {
  it('holds twice what the driver takes, or what nr_requests says, and orders what waits', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await heldDisk(m, { sectors: 8192 }, { nrHwQueues: 1, queueDepth: 4 });
      const { driver, disk } = made;
      const { sysfs } = m.deviceCore;
      expect(sysfs.read(`${QUEUE}/scheduler`)).toBe('none [mq-deadline] \n');
      expect(sysfs.read(`${QUEUE}/nr_requests`)).toBe('8\n');
      await sysfs.write(`${QUEUE}/nr_requests`, '64');
      const sectors = spread(24);
      const count = submitAll(m, disk, sectors);
      await sleepNs(m.kernel, 100_000);
      expect(driver.outstanding.length).toBe(4);
      const first = driver.seen.map(({ sector }) => sector);
      await finishAll(m, made);
      expect(count.ended).toBe(24);
      const rest = driver.seen.slice(4).map(({ sector }) => sector);
      // One sweep upwards from where the head stood, then one more from the lowest.
      const descents = rest.filter((sector, i) => i > 0 && sector < (rest[i - 1] as number)).length;
      expect(descents).toBeLessThanOrEqual(2);
      expect([...first, ...rest].sort((a, b) => a - b)).toEqual([...sectors].sort((a, b) => a - b));
    });
  });

  it('merges what waits for the device, and gives each bio its end', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await heldDisk(m, { sectors: 8192 }, { nrHwQueues: 1, queueDepth: 1 });
      const { driver, disk } = made;
      await m.deviceCore.sysfs.write(`${QUEUE}/nr_requests`, '16');
      const count = submitAll(m, disk, [4096, 0, 8, 16]);
      await sleepNs(m.kernel, 100_000);
      expect(driver.outstanding.length).toBe(1);
      await finishAll(m, made);
      expect(driver.seen.map(({ sector, lengthBytes }) => [sector, lengthBytes])).toEqual([
        [4096, 4096],
        // It had left the scheduler to wait for the tag when the next one came.
        [0, 4096],
        [8, 2 * 4096],
      ]);
      expect(count.ended).toBe(4);
    });
  });

  it('never lets those with a tag wait behind those without: flushes and passthrough among writes', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await liveDisk(m, { sectors: 8192, latencyNs: 5000 }, { nrHwQueues: 1, queueDepth: 2 });
      const { disk } = made;
      const counts = [1, 2, 3].map(() => [
        submitAll(m, disk, [0, 64, 128]),
        submitAll(m, disk, [256, 320], REQ_OP_WRITE | REQ_FUA),
        submitAll(m, disk, [512], REQ_OP_WRITE | REQ_PREFLUSH),
        submitAll(m, disk, [640, 704]),
      ]);
      await sleepNs(m.kernel, 10e6);
      expect(counts.map((round) => round.map(({ ended }) => ended))).toEqual(counts.map(() => [3, 2, 1, 2]));
    });
  });

  it('gives a requeued request’s tag to others meanwhile, and another one to it', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const made = await heldDisk(m, { sectors: 8192 }, { nrHwQueues: 1, queueDepth: 2 });
      const { driver, disk } = made;
      const count = submitAll(m, disk, [0, 64, 128], REQ_OP_READ);
      await sleepNs(m.kernel, 100_000);
      const [again] = driver.outstanding.splice(0, 1);
      if (again === undefined) throw new Error('nothing was issued');
      expect(again.tag).toBeGreaterThanOrEqual(0);
      m.blkMq.blkMqRequeueRequest(again, false);
      expect(again.tag).toBe(-1);
      await sleepNs(m.kernel, 100_000);
      expect(driver.outstanding.length).toBe(2);
      m.blkMq.blkMqKickRequeueList(disk.queue);
      await finishAll(m, made);
      expect([count.ended, driver.seen.length]).toEqual([3, 4]);
    });
  });

  it.each([1, 2, 3, 4, 5, 6])(
    'is changed under load without loss, whatever the order of things (seed %i)',
    async (seed) => {
      for (const trace of ['off', 'full'] as const) {
        const m = createTestMachine({ interleave: true, seed, trace });
        await m.run(async () => {
          const made = await liveDisk(m, { sectors: 8192, latencyNs: 30_000 }, { nrHwQueues: 2, queueDepth: 3 });
          const { disk, driver } = made;
          const { sysfs } = m.deviceCore;
          const counts: { ended: number }[] = [];
          const steps = ['mq-deadline', 'none', 'mq-deadline', 'none'];
          for (const [round, name] of steps.entries()) {
            counts.push(submitAll(m, disk, spread(20)));
            await sleepNs(m.kernel, 10_000 * (round + seed));
            await sysfs.write(`${QUEUE}/scheduler`, name);
            expect(disk.queue.scheduler).toBe(name);
            counts.push(submitAll(m, disk, spread(20)));
            await sysfs.write(`${QUEUE}/nr_requests`, name === 'none' ? '3' : `${4 + seed}`).catch(() => {});
          }
          await sleepNs(m.kernel, 10e6);
          expect(counts.map(({ ended }) => ended)).toEqual(counts.map(() => 20));
          expect(driver.outstanding).toEqual([]);
          await m.blkMq.delGendisk(disk);
          m.blkMq.putDisk(disk);
          m.blkMq.blkMqFreeTagSet(made.set);
        });
        expect(m.kernel.live.leaks().filter(({ kind }) => kind === 'tags')).toEqual([]);
      }
    },
  );
});

describe('disks that share a tag set', () => {
  async function twoDisks(m: TestMachine, changes: { queueDepth: number }) {
    const made = await heldDisk(m, { sectors: 16384 }, { nrHwQueues: 1, nrMaps: 1, flags: 1 << 4, ...changes });
    const other = m.blkMq.blkMqAllocDisk(made.set, TEST_LIMITS, made.driver);
    m.blkMq.setDiskName(other, 'nvme0n2', {}, null);
    m.blkMq.setCapacityAndNotify(other, 16384);
    made.driver.manual = false;
    await m.blkMq.deviceAddDisk(made.parent, other, []);
    made.driver.manual = true;
    const of = (disk: Gendisk): number => made.driver.outstanding.filter(({ q }) => q.disk === disk).length;
    return { ...made, other, of };
  }

  it.each(['full', 'off'] as const)(
    'each get their part of the tags while both are in use (trace %s)',
    async (trace) => {
      const m = createTestMachine({ trace });
      await m.run(async () => {
        const test = await twoDisks(m, { queueDepth: 16 });
        const { disk, other, of, driver } = test;
        // Long after the partition scan neither counts as in use.
        await sleepNs(m.kernel, 70e9);
        const first = submitAll(m, disk, spread(60));
        expect([of(disk), of(other)]).toEqual([16, 0]);
        const second = submitAll(m, other, spread(40));
        expect([of(disk), of(other)]).toEqual([16, 0]);
        const shares: number[][] = [];
        for (let n = 0; n < 40; n++) {
          driver.completeOne(0);
          await sleepNs(m.kernel, 20_000);
          shares.push([of(disk), of(other)]);
        }
        expect(shares.at(-1)).toEqual([8, 8]);
        expect(Math.max(...shares.map(([, share]) => share as number))).toBe(8);
        await finishAll(m, test);
        expect([first.ended, second.ended]).toEqual([60, 40]);
      });
    },
  );

  it('get all of them again when the other has been idle for the time-out', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const test = await twoDisks(m, { queueDepth: 16 });
      const { disk, other, of } = test;
      submitAll(m, other, [0]);
      await finishAll(m, test);
      submitAll(m, disk, spread(40));
      expect(of(disk)).toBe(8);
      await finishAll(m, test);
      await sleepNs(m.kernel, 70e9);
      submitAll(m, disk, spread(40));
      expect(of(disk)).toBe(16);
      await finishAll(m, test);
    });
  });

  it('have never fewer than four', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const test = await twoDisks(m, { queueDepth: 6 });
      const { disk, other, of } = test;
      submitAll(m, other, [0]);
      submitAll(m, disk, spread(20));
      expect([of(disk), of(other)]).toEqual([4, 1]);
      await finishAll(m, test);
    });
  });
});
