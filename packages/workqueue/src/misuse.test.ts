import { KernelError, sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { describe, expect, it } from 'vitest';
import { createWorkqueues, WQ_MEM_RECLAIM } from './index.js';
import type { WorkqueueOptions } from './system.js';

function setUp(options: WorkqueueOptions = {}) {
  const { kernel, door } = createTestKernel();
  return { kernel, door, workqueues: createWorkqueues({ kernel, ...options }) };
}

describe('misuse', () => {
  const bug = (body: (fixture: ReturnType<typeof setUp>) => Promise<void>) => {
    const fixture = setUp();
    return expect(fixture.door.call('test', () => body(fixture)));
  };

  it('is a BUG: a handler that throws', async () => {
    await bug(async ({ workqueues }) => {
      const work = workqueues.initWork('bad_work', null, async () => {
        throw new KernelError('EIO', 'oops');
      });
      workqueues.scheduleWork(work);
      await workqueues.flushWork(work);
    }).rejects.toThrow(/BUG: work bad_work threw .*oops/s);
  });

  it('is a BUG: a work that waits for itself', async () => {
    await bug(async ({ workqueues }) => {
      const work = workqueues.initWork('self', null, async () => {
        await workqueues.cancelWorkSync(work);
      });
      workqueues.scheduleWork(work);
      await workqueues.flushWork(work);
    }).rejects.toThrow(/BUG: work self waits for itself/);
  });

  it('is a BUG: a delayed work whose queue is gone', async () => {
    await bug(async ({ kernel, workqueues }) => {
      const wq = workqueues.allocWorkqueue('gone', 0, 0);
      workqueues.queueDelayedWork(
        wq,
        workqueues.initDelayedWork('late', null, () => {}),
        1000,
      );
      await workqueues.destroyWorkqueue(wq);
      await sleepNs(kernel, 10_000);
    }).rejects.toThrow(/work late queued on workqueue gone, which has been destroyed/);
  });

  it('is refused: queueing from outside while a queue drains; its own works may', async () => {
    const { kernel, door, workqueues } = setUp();
    let chained = 0;
    await door.call('test', async () => {
      const wq = workqueues.allocWorkqueue('drain', 0, 0);
      const other = workqueues.initWork('other', null, () => {});
      const own = workqueues.initWork('own', null, async () => {
        await sleepNs(kernel, 10_000);
        if (++chained < 3) workqueues.queueWork(wq, own);
      });
      workqueues.queueWork(wq, own);
      kernel.ex.spawn('outside', async () => {
        await sleepNs(kernel, 5000);
        workqueues.queueWork(wq, other);
      });
      await workqueues.destroyWorkqueue(wq);
      expect(other.pending).toBe(false);
    });
    expect(chained).toBe(3);
    expect(kernel.printk.lines.map(({ text }) => text)).toContain('workqueue: cannot queue other on wq drain');
    expect(kernel.live.leaks()).toEqual([]);
  });

  it('is warned of: waiting for a queue without rescuer from one with', async () => {
    const { kernel, door, workqueues } = setUp();
    await door.call('test', async () => {
      const wq = workqueues.allocWorkqueue('nvme-wq', WQ_MEM_RECLAIM, 0);
      const plain = workqueues.initWork('plain', null, () => sleepNs(kernel, 10));
      const work = workqueues.initWork('nvme_reset_work', null, async () => {
        workqueues.scheduleWork(plain);
        await workqueues.flushWork(plain);
      });
      workqueues.queueWork(wq, work);
      await workqueues.destroyWorkqueue(wq);
    });
    expect(kernel.printk.lines[0].text).toBe(
      'workqueue: WQ_MEM_RECLAIM nvme-wq:nvme_reset_work is flushing !WQ_MEM_RECLAIM events:plain',
    );
  });

  it('fails with ENOMEM where it is told to', async () => {
    const { door, workqueues } = setUp({ allocWorkqueueFails: (name) => name === 'nvme-wq' });
    await expect(door.call('test', async () => workqueues.allocWorkqueue('nvme-wq', 0, 0))).rejects.toThrow(/ENOMEM/);
    expect(workqueues.list().map(({ name }) => name)).toEqual(['events', 'events_highpri', 'events_unbound']);
  });

  it('gives what work_on_cpu throws to its caller', async () => {
    const { door, workqueues } = setUp();
    const failing = async () => {
      throw new KernelError('ENODEV', 'probe');
    };
    await expect(door.call('test', () => workqueues.workOnCpu(1, failing))).rejects.toThrow(/ENODEV/);
    await expect(door.call('test', () => workqueues.workOnCpu(9, failing))).rejects.toThrow(/EINVAL/);
  });
});
