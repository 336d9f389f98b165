/**
 * Rescuers: a queue with WQ_MEM_RECLAIM has a worker of its own in reserve, which comes to a pool that cannot make
 * workers and runs that queue's works there.
 * Kernel counterpart: kernel/workqueue.c (rescuer_thread, send_mayday).
 */
import { Completion, complete, cpuRelax, waitForCompletion } from '@nvme-stack/kernel';
import type { WorkerPool } from './pool.js';
import type { WorkqueueSystem } from './system.js';
import type { Work } from './work.js';
import { processScheduled, Worker } from './worker.js';
import type { PoolWorkqueue, Workqueue } from './workqueue.js';

export class Rescuer extends Worker {
  /** Shares of pools that asked for help, in order. */
  readonly maydays: PoolWorkqueue[] = [];
  stopping = false;
  readonly stopped: Completion;

  constructor(system: WorkqueueSystem, wq: Workqueue) {
    super(system, null, system.era.rescuerPrefix + wq.name);
    this.stopped = new Completion(system.kernel, `the end of ${this.name}`);
    this.task = system.kernel.ex.spawn(this.name, () => rescuerThread(this), 0);
    system.workerOfTask.set(this.task, this);
  }

  /** Any context. @kernel kernel/workqueue.c send_mayday */
  sendMayday(pwq: PoolWorkqueue): void {
    if (!this.maydays.includes(pwq)) this.maydays.push(pwq);
    if (this.task !== null) this.kernel.ex.wake(this.task, 0);
  }

  /** Ends the task. Task context. */
  async stop(): Promise<void> {
    this.stopping = true;
    if (this.task !== null) this.kernel.ex.wake(this.task, 0);
    await waitForCompletion(this.stopped);
  }
}

/** @kernel kernel/workqueue.c rescuer_thread */
async function rescuerThread(rescuer: Rescuer): Promise<void> {
  const { ex } = rescuer.kernel;
  for (;;) {
    for (let pwq = rescuer.maydays.shift(); pwq !== undefined; pwq = rescuer.maydays.shift()) {
      await rescue(rescuer, pwq);
    }
    if (rescuer.stopping) {
      complete(rescuer.stopped);
      return;
    }
    await ex.park('a pool that needs help', null);
    ex.awake();
  }
}

async function rescue(rescuer: Rescuer, pwq: PoolWorkqueue): Promise<void> {
  const { pool } = pwq;
  const { ex } = rescuer.kernel;
  rescuer.pool = pool;
  if (pool.bound && ex.cpu !== pool.cpu) {
    ex.current.cpu = pool.cpu;
    await cpuRelax(rescuer);
  }
  for (let work = takeWorkOf(pool, pwq); work !== null; work = takeWorkOf(pool, pwq)) {
    await processScheduled(rescuer, work);
  }
  rescuer.pool = null;
}

function takeWorkOf(pool: WorkerPool, pwq: PoolWorkqueue): Work | null {
  for (let work = pool.worklist.head; work !== null; ) {
    const { next } = work as Work;
    if (work.pwq === pwq) {
      pool.worklist.remove(work);
      if (work.runningOn === null) return work;
      work.runningOn.scheduled.push(work);
    }
    work = next;
  }
  return null;
}
