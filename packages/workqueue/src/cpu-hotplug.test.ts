import { type KernelOptions, sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import { describe, expect, it } from 'vitest';
import { createWorkqueues, type WorkStruct, WQ_ORDERED, WQ_UNBOUND } from './index.js';

function setUp(options: Partial<KernelOptions> = {}) {
  const { kernel, door } = createTestKernel(options);
  return { kernel, door, workqueues: createWorkqueues({ kernel }), cpus: kernel.cpus, ex: kernel.ex };
}

describe('works of a CPU that goes off', () => {
  it('run elsewhere while it is off, and there again when it is back', async () => {
    const { kernel, door, workqueues, cpus, ex } = setUp();
    const at: string[] = [];
    const work = workqueues.initWork('f', null, async () => {
      at.push(`${ex.current.name} on ${ex.cpu}`);
      await sleepNs(kernel, 100);
      at.push(`${ex.cpu}`);
    });
    const round = async (): Promise<string[]> => {
      workqueues.queueWorkOn(3, workqueues.systemWq, work);
      await workqueues.flushWork(work);
      return at.splice(0);
    };
    await door.call('test', async () => {
      expect(await round()).toEqual(['kworker/3:0 on 3', '3']);
      await cpus.cpuDown(3);
      const [first, second] = await round();
      expect(first).toMatch(/^kworker\/3:0 on [0-2]$/);
      expect(second).toMatch(/^[0-2]$/);
      await cpus.cpuUp(3);
      expect(await round()).toEqual(['kworker/3:0 on 3', '3']);
    });
  });

  it('that wait in its pool do not wait for each other any more', async () => {
    const { kernel, door, workqueues, cpus, ex } = setUp();
    const log: string[] = [];
    const works = [1, 2, 3].map((n) =>
      workqueues.initWork('f', n, async (id) => {
        log.push(`+${id}`);
        // Busy: of a bound pool one work runs at a time.
        for (let i = 0; i < 10; i++) ex.udelay(1000);
        await sleepNs(kernel, 1000);
        log.push(`${id} on ${ex.cpu}`);
      }),
    );
    await door.call('test', async () => {
      for (const work of works) workqueues.queueWorkOn(2, workqueues.systemWq, work);
      await cpus.cpuDown(2);
      await workqueues.flushWorkqueue(workqueues.systemWq);
    });
    expect(log.slice(0, 3).sort()).toEqual(['+1', '+2', '+3']);
    expect(
      log
        .slice(3)
        .map((text) => text.slice(0, 4))
        .sort(),
    ).toEqual(['1 on', '2 on', '3 on']);
    expect(log.slice(3).some((text) => text.endsWith(' 2'))).toBe(false);
  });

  it('that run go on elsewhere, and return with it', async () => {
    const { kernel, door, workqueues, cpus, ex } = setUp();
    const at: number[] = [];
    const work = workqueues.initWork('f', null, async () => {
      for (let n = 0; n < 3; n++) {
        at.push(ex.cpu);
        await sleepNs(kernel, 10_000);
      }
    });
    await door.call('test', async () => {
      workqueues.queueWorkOn(1, workqueues.systemHighpriWq, work);
      await sleepNs(kernel, 5000);
      await cpus.cpuDown(1);
      await sleepNs(kernel, 10_000);
      await cpus.cpuUp(1);
      await workqueues.flushWork(work);
    });
    expect(at).toEqual([1, 0, 1]);
  });

  it('that a timer queues there run elsewhere', async () => {
    const { door, workqueues, cpus, ex } = setUp();
    let at = -1;
    const delayed = workqueues.initDelayedWork('f', null, () => {
      at = ex.cpu;
    });
    await door.call('arm', async () => void workqueues.queueDelayedWork(workqueues.systemWq, delayed, 1e6), 3);
    await door.call('test', async () => {
      await cpus.cpuDown(3);
      await workqueues.flushDelayedWork(delayed);
    });
    expect([0, 1, 2]).toContain(at);
  });

  it('of work_on_cpu come to their end', async () => {
    const { door, workqueues, cpus, ex } = setUp();
    const at = await door.call('test', async () => {
      await cpus.cpuDown(3);
      return await workqueues.workOnCpu(3, async () => ex.cpu);
    });
    expect([0, 1, 2]).toContain(at);
  });

  it('unbound ones are put on CPUs that are on', async () => {
    const { kernel, door, workqueues, cpus, ex } = setUp({ nrNodes: 2 });
    const at = new Set<number>();
    await door.call('test', async () => {
      await cpus.cpuDown(3);
      await cpus.cpuDown(1);
      for (let n = 0; n < 16; n++) {
        const work = workqueues.initWork('f', null, async () => {
          at.add(ex.cpu);
          await sleepNs(kernel, 100);
        });
        workqueues.queueWorkOn(n % 4, workqueues.systemUnboundWq, work);
      }
      await workqueues.flushWorkqueue(workqueues.systemUnboundWq);
    });
    expect([...at].sort()).toEqual([0, 2]);
  });

  it.each(Array.from({ length: 20 }, (_, n) => n + 1))(
    'each run once while CPUs come and go (seed %i)',
    async (seed) => {
      const { kernel, door, workqueues, cpus } = setUp({ seed, interleave: true });
      const ordered = await door.call('alloc', async () => workqueues.allocWorkqueue('o', WQ_UNBOUND | WQ_ORDERED, 0));
      const runs = new Map<WorkStruct, number>();
      const order: number[] = [];
      let queued = 0;
      const hammer = door.call('hammer', async () => {
        for (let n = 0; n < 60; n++) {
          const work = workqueues.initWork('f', n, async () => {
            runs.set(work, (runs.get(work) ?? 0) + 1);
            await sleepNs(kernel, 500 * (n % 5));
          });
          const queue = [workqueues.systemWq, workqueues.systemHighpriWq, workqueues.systemUnboundWq][n % 3];
          expect(workqueues.queueWorkOn(n % 4, queue, work)).toBe(true);
          queued++;
          workqueues.queueWork(
            ordered,
            workqueues.initWork('o', n, async (id) => {
              await sleepNs(kernel, 300);
              order.push(id);
            }),
          );
          await sleepNs(kernel, 700);
        }
        for (const wq of workqueues.list()) await workqueues.flushWorkqueue(wq);
        await workqueues.destroyWorkqueue(ordered);
      });
      await door.call('plug', async () => {
        for (let n = 0; n < 12; n++) {
          await cpus.cpuDown(1 + (n % 3));
          await sleepNs(kernel, 1500);
          if (n % 4 !== 3) await cpus.cpuUp(1 + ((n + 1) % 3));
          await sleepNs(kernel, 900);
        }
        for (let cpu = 1; cpu < 4; cpu++) await cpus.cpuUp(cpu);
      });
      await hammer;
      expect([...runs.values()]).toEqual(new Array(queued).fill(1));
      expect(order).toEqual(Array.from({ length: 60 }, (_, n) => n));
      expect(kernel.live.leaks()).toEqual([]);
    },
  );
});
