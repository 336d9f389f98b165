/**
 * Workers: tasks that take works from their pool and call them.
 * Kernel counterpart: kernel/workqueue.c (worker_thread, process_one_work).
 */
import { BugError, cpuRelax, type HasKernel, type Kernel, type Task, traced, wakeUpAll } from '@nvme-stack/kernel';
import { WORKQUEUE_EXECUTE_END, WORKQUEUE_EXECUTE_START } from './events.js';
import { kickPool, type WorkerPool } from './pool.js';
import { activateNext, countFinished } from './queue.js';
import type { WorkqueueSystem } from './system.js';
import type { Work } from './work.js';
import { WorkList } from './work-list.js';
import type { PoolWorkqueue } from './workqueue.js';

/** @kernel kernel/workqueue_internal.h worker */
export class Worker implements HasKernel {
  readonly kernel: Kernel;
  readonly system: WorkqueueSystem;
  /** The pool it works for; a rescuer's is where it helps. */
  pool: WorkerPool | null;
  readonly name: string;
  task: Task | null = null;
  current: Work | null = null;
  currentPwq: PoolWorkqueue | null = null;
  /** Works that were queued again while this worker runs them: they never run beside themselves. */
  readonly scheduled = new WorkList();

  constructor(system: WorkqueueSystem, pool: WorkerPool | null, name: string) {
    this.kernel = system.kernel;
    this.system = system;
    this.pool = pool;
    this.name = name;
  }
}

/** @kernel kernel/workqueue.c worker_thread */
export async function workerThread(worker: Worker, pool: WorkerPool): Promise<void> {
  const { ex } = pool.kernel;
  for (;;) {
    pool.woken--;
    // A worker between two works of a bound pool goes on with the next one itself.
    if (!pool.bound || pool.yielding === 0) await workOff(worker, pool);
    pool.idle.push(worker);
    await ex.park('work to do', null);
    ex.awake();
  }
}

async function workOff(worker: Worker, pool: WorkerPool): Promise<void> {
  for (;;) {
    const work = takeWork(pool);
    if (work === null) return;
    // Whoever comes finds the CPU free only when this worker sleeps or is done.
    kickPool(pool);
    await processScheduled(worker, work);
    if (pool.worklist.size === 0) return;
    pool.yielding++;
    await cpuRelax(pool);
    pool.yielding--;
  }
}

/** The next work that does not run already; the others wait for the worker that runs them. @kernel kernel/workqueue.c assign_work */
export function takeWork(pool: WorkerPool): Work | null {
  for (;;) {
    const work = pool.worklist.shift();
    if (work === null || work.runningOn === null) return work;
    work.runningOn.scheduled.push(work);
  }
}

/** @kernel kernel/workqueue.c process_scheduled_works */
export async function processScheduled(worker: Worker, first: Work): Promise<void> {
  for (let work: Work | null = first; work !== null; work = worker.scheduled.shift()) {
    await processOneWork(worker, work);
  }
}

const processOneWork = traced('process_one_work', async (worker: Worker, work: Work): Promise<void> => {
  const { kernel } = worker;
  const { ex, trace } = kernel;
  const pwq = work.pwq as PoolWorkqueue;
  const { color } = work;
  work.pending = false;
  work.pwq = null;
  work.runningOn = worker;
  work.runningSeq = work.pendingSeq;
  worker.current = work;
  worker.currentPwq = pwq;
  if (trace.events) trace.event(WORKQUEUE_EXECUTE_START, work.id, 0, 0, 0, work.name);
  try {
    const result = work.fn(work.owner);
    if (result !== undefined) await result;
  } catch (error) {
    if (BugError.is(error)) throw error;
    ex.bug(`work ${work.name} threw ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  if (trace.events) trace.event(WORKQUEUE_EXECUTE_END, work.id, 0, 0, 0, work.name);
  if (ex.current !== worker.task) ex.bug(`work ${work.name} returned in another task than it was called in`);
  if (ex.current.atomic !== 0) ex.bug(`work ${work.name} returned in atomic context (a forgotten unlock)`);
  work.runningOn = null;
  worker.current = null;
  worker.currentPwq = null;
  countFinished(pwq.wq, work.name, color);
  pwq.nrActive--;
  activateNext(pwq);
  wakeUpAll(work.waiters);
});
