import { sleepNs } from '@nvme-stack/kernel';
import { describe, expect, it } from 'vitest';
import { createTestMachine, liveDisk } from '../fixtures/test-machine.js';
import { type IoSchedulerType, REQ_OP_READ, REQ_OP_WRITE } from '../ports.js';
import { makeBio } from '../testing/bios.js';
import { ioSchedulerContract } from '../testing/scheduler-contract.js';
import { schedulerFixture } from '../testing/scheduler-fixture.js';
import { mqDeadlineType } from './mq-deadline.js';
import { noneSchedulerType } from './none.js';

const TYPES: readonly IoSchedulerType[] = [noneSchedulerType, mqDeadlineType];

for (const type of TYPES) {
  describe(`the contract, kept by ${type.name}`, () => {
    for (const { name, run } of ioSchedulerContract) {
      it(name, async () => {
        const m = createTestMachine();
        await m.run(async () => {
          const { disk } = await liveDisk(m, { sectors: 64 });
          await run(schedulerFixture(type, disk.queue));
        });
      });
    }
  });
}

describe('mq-deadline', () => {
  it('is the default for one hardware queue, and orders by sector', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192 }, { nrHwQueues: 1 });
      expect(disk.queue.scheduler).toBe('mq-deadline');
      expect(m.deviceCore.sysfs.read('/sys/block/nvme0n1/queue/scheduler')).toBe('none [mq-deadline] \n');
      const plug = m.blkMq.blkStartPlug();
      for (const sector of [3000, 1000, 2000, 4000]) m.blkMq.submitBio(makeBio(m.blkMq, disk, REQ_OP_READ, sector, 8));
      m.blkMq.blkFinishPlug(plug);
      await sleepNs(m.kernel, 1e6);
      expect(driver.seen.map(({ sector }) => sector)).toEqual([1000, 2000, 3000, 4000]);
      expect(driver.outstanding).toHaveLength(0);
    });
  });

  it('gives way to none through sysfs, under I/O', async () => {
    const m = createTestMachine();
    await m.run(async () => {
      const { disk, driver } = await liveDisk(m, { sectors: 8192, latencyNs: 50_000 }, { nrHwQueues: 1 });
      const { sysfs } = m.deviceCore;
      let ended = 0;
      for (let i = 0; i < 10; i++) {
        const bio = makeBio(m.blkMq, disk, REQ_OP_WRITE, i * 64, 8);
        bio.endIo = () => {
          ended++;
        };
        m.blkMq.submitBio(bio);
      }
      await sysfs.write('/sys/block/nvme0n1/queue/scheduler', 'none\n');
      expect(ended).toBe(10);
      expect(disk.queue.scheduler).toBe('none');
      await expect(sysfs.write('/sys/block/nvme0n1/queue/scheduler', 'bfq')).rejects.toMatchObject({ code: 'EINVAL' });
      expect(driver.outstanding).toHaveLength(0);
    });
  });
});
