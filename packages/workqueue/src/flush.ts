/**
 * Waiting for works: flush, cancel and drain.
 * Kernel counterpart: kernel/workqueue.c (flush_work, cancel_work_sync, __flush_workqueue, drain_workqueue).
 */
import { traced, waitEvent } from '@nvme-stack/kernel';
import { expireNow } from './delayed.js';
import { grabPending } from './queue.js';
import type { WorkqueueSystem } from './system.js';
import type { DelayedWorkItem, Work } from './work.js';
import { dropFinishedColors, FlushColor, type Workqueue } from './workqueue.js';

/** @kernel kernel/workqueue.c flush_work */
export const flushWork = traced(
  'flush_work',
  (system: WorkqueueSystem, work: Work): Promise<boolean> => waitForWork(system, work),
);

/** @kernel kernel/workqueue.c flush_delayed_work */
export const flushDelayedWork = traced(
  'flush_delayed_work',
  async (system: WorkqueueSystem, dwork: DelayedWorkItem): Promise<boolean> => {
    expireNow(dwork);
    return await flushWork(system, dwork.work);
  },
);

/** Waits for the last queueing so far; false when there is none. */
async function waitForWork(system: WorkqueueSystem, work: Work): Promise<boolean> {
  const { ex } = system.kernel;
  ex.mightSleep('flush_work');
  const queued = work.pending && work.pwq !== null;
  if (!queued && !work.running) return false;
  if (work.runningOn?.task === ex.current) ex.bug(`work ${work.name} waits for itself`);
  if (work.workqueue !== null) checkDependency(system, work.workqueue, work.name);
  const target = queued ? work.pendingSeq : work.runningSeq;
  await waitEvent(
    work.waiters,
    () =>
      !(work.running && work.runningSeq <= target) && !(work.pending && work.pwq !== null && work.pendingSeq <= target),
  );
  return true;
}

/** Takes a work back and waits for its end; it cannot be queued meanwhile. @kernel kernel/workqueue.c cancel_work_sync */
export const cancelWorkSync = traced(
  'cancel_work_sync',
  (system: WorkqueueSystem, work: Work): Promise<boolean> => cancelAndWait(system, work),
);

/** @kernel kernel/workqueue.c cancel_delayed_work_sync */
export const cancelDelayedWorkSync = traced(
  'cancel_delayed_work_sync',
  (system: WorkqueueSystem, dwork: DelayedWorkItem): Promise<boolean> => cancelAndWait(system, dwork.work),
);

async function cancelAndWait(system: WorkqueueSystem, work: Work): Promise<boolean> {
  system.kernel.ex.mightSleep('cancel_work_sync');
  work.canceling++;
  const wasPending = grabPending(work);
  await waitForWork(system, work);
  work.canceling--;
  return wasPending;
}

/** Waits for every work queued before the call. @kernel kernel/workqueue.c __flush_workqueue */
export const flushWorkqueue = traced('__flush_workqueue', async (system: WorkqueueSystem, wq: Workqueue) => {
  const { ex } = system.kernel;
  ex.mightSleep('__flush_workqueue');
  dropFinishedColors(wq);
  if (wq.colors.length === 1 && wq.color.count === 0) return;
  if (system.workerOfTask.get(ex.current)?.currentPwq?.wq === wq) {
    ex.bug(`a work of workqueue ${wq.name} waits for all works of ${wq.name}`);
  }
  checkDependency(system, wq, '');
  const before = wq.colors.slice();
  wq.colors.push(new FlushColor());
  await waitEvent(wq.waiters, () => before.every(({ count }) => count === 0));
  dropFinishedColors(wq);
});

/** Flushes until nothing is left; only the queue's own works may queue meanwhile. @kernel kernel/workqueue.c drain_workqueue */
export const drainWorkqueue = traced('drain_workqueue', async (system: WorkqueueSystem, wq: Workqueue) => {
  wq.draining = true;
  do {
    await flushWorkqueue(system, wq);
  } while (!wq.idle);
  wq.draining = false;
});

/** Works that free memory must not wait for works that may need some. @kernel kernel/workqueue.c check_flush_dependency */
function checkDependency(system: WorkqueueSystem, target: Workqueue, name: string): void {
  const worker = system.workerOfTask.get(system.kernel.ex.current);
  const from = worker?.currentPwq?.wq;
  if (from === undefined || target.memReclaim || !from.memReclaim) return;
  system.kernel.printk.print(
    'warn',
    `workqueue: WQ_MEM_RECLAIM ${from.name}:${worker?.current?.name ?? ''} is flushing !WQ_MEM_RECLAIM ${target.name}:${name}`,
  );
}
