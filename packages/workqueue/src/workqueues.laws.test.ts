import { sleepNs } from '@nvme-stack/kernel';
import { createTestKernel } from '@nvme-stack/kernel/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createWorkqueues, WQ_ORDERED, WQ_UNBOUND } from './index.js';

const step = fc.record({
  action: fc.constantFrom('queue', 'queue', 'queue', 'delay', 'mod', 'cancel', 'cancelSync', 'flush'),
  work: fc.nat(3),
  queue: fc.nat(2),
  cpu: fc.nat(3),
  pauseNs: fc.constantFrom(0, 0, 500, 5000),
});

describe('laws of workqueues', () => {
  it('a successful queueing ends in exactly one run or one cancellation, and no work runs beside itself', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.nat(1000), async (steps, seed) => {
        const { kernel, door } = createTestKernel({ seed, interleave: seed % 2 === 1, trace: 'off' });
        const workqueues = createWorkqueues({ kernel });
        const { systemWq: system } = workqueues;
        const queued = [0, 0, 0, 0];
        const cancelled = [0, 0, 0, 0];
        const runs = [0, 0, 0, 0];
        const inside = [0, 0, 0, 0];
        await door.call('test', async () => {
          const queues = [
            system,
            workqueues.allocWorkqueue('u', WQ_UNBOUND, 2),
            workqueues.allocWorkqueue('o', WQ_ORDERED | WQ_UNBOUND, 1),
          ];
          const works = [0, 1, 2, 3].map((n) =>
            workqueues.initDelayedWork('f', n, async (id) => {
              expect(++inside[id]).toBe(1);
              runs[id]++;
              await sleepNs(kernel, 1000 * (id + 1));
              inside[id]--;
            }),
          );
          for (const { action, work: n, queue, cpu, pauseNs } of steps) {
            const dwork = works[n];
            const wq = queues[queue];
            if (action === 'queue' && workqueues.queueWorkOn(cpu, wq, dwork.work)) queued[n]++;
            if (action === 'delay' && workqueues.queueDelayedWork(wq, dwork, 3000)) queued[n]++;
            if (action === 'mod') {
              if (workqueues.modDelayedWork(wq, dwork, 2000)) cancelled[n]++;
              queued[n]++;
            }
            if (action === 'cancel' && workqueues.cancelDelayedWork(dwork)) cancelled[n]++;
            if (action === 'cancelSync') {
              if (await workqueues.cancelDelayedWorkSync(dwork)) cancelled[n]++;
              expect(inside[n]).toBe(0);
            }
            if (action === 'flush') await workqueues.flushDelayedWork(dwork);
            if (pauseNs > 0) await sleepNs(kernel, pauseNs);
          }
          await sleepNs(kernel, 10_000);
          for (const wq of queues) await workqueues.flushWorkqueue(wq);
          for (const wq of queues.slice(1)) await workqueues.destroyWorkqueue(wq);
        });
        expect(runs).toEqual(queued.map((count, n) => count - cancelled[n]));
        expect(kernel.live.leaks()).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  it('an asynchronous call is done before anybody who waited for it goes on', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(5000), { minLength: 1, maxLength: 10 }), fc.nat(100), async (delays, seed) => {
        const { kernel, door } = createTestKernel({ seed, interleave: true, trace: 'off' });
        const workqueues = createWorkqueues({ kernel });
        await door.call('test', async () => {
          let done = 0;
          for (const ns of delays) {
            workqueues.asyncScheduleNode(
              async () => {
                await sleepNs(kernel, ns);
                done++;
              },
              null,
              -1,
            );
          }
          await workqueues.asyncSynchronizeFull();
          expect(done).toBe(delays.length);
        });
      }),
      { numRuns: 100 },
    );
  });
});
