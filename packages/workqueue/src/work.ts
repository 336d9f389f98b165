/**
 * Work items: a function to call later in task context, and the same behind a timer.
 * Kernel counterpart: include/linux/workqueue_types.h, include/linux/workqueue.h (work_struct, delayed_work).
 */
import { type HasKernel, type Item, type Kernel, WaitQueue } from '@nvme-stack/kernel';
import type { DelayedWork, WorkStruct } from './ports.js';
import type { WorkqueueSystem } from './system.js';
import type { WorkList } from './work-list.js';
import type { Worker } from './worker.js';
import type { FlushColor, PoolWorkqueue, Workqueue } from './workqueue.js';

/** A handler as the workers call it. */
export type WorkFunction = (owner: unknown) => Promise<void> | void;

/** @kernel include/linux/workqueue_types.h work_struct */
export class Work implements WorkStruct, HasKernel {
  readonly kernel: Kernel;
  readonly system: WorkqueueSystem;
  /** Tells items apart in trace events. */
  readonly id: number;
  readonly name: string;
  readonly owner: unknown;
  readonly fn: WorkFunction;
  pending = false;
  /** Counts towards its queue's max_active; else it waits among the inactive ones. */
  active = false;
  /** Where it is queued at present. */
  pwq: PoolWorkqueue | null = null;
  color: FlushColor | null = null;
  runningOn: Worker | null = null;
  /** Each queueing has a number, so that a flush waits for what was queued before it and no more. */
  pendingSeq = 0;
  runningSeq = 0;
  /** Above zero while somebody cancels it: queueing then fails. */
  canceling = 0;
  /** The timer that will queue it, for a delayed work. */
  timer: Item | null = null;
  list: WorkList | null = null;
  next: Work | null = null;
  previous: Work | null = null;
  /** Tasks that flush it. */
  readonly waiters: WaitQueue;

  constructor(system: WorkqueueSystem, name: string, owner: unknown, fn: WorkFunction) {
    this.kernel = system.kernel;
    this.system = system;
    this.id = system.nextWorkId++;
    this.name = name;
    this.owner = owner;
    this.fn = fn;
    this.waiters = new WaitQueue(system.kernel, `flush_work ${name}`);
  }

  get running(): boolean {
    return this.runningOn !== null;
  }

  /** The queue it is queued on or was last taken from; null when it is idle. */
  get workqueue(): Workqueue | null {
    return this.pwq?.wq ?? this.runningOn?.currentPwq?.wq ?? null;
  }
}

/** @kernel include/linux/workqueue.h delayed_work */
export class DelayedWorkItem implements DelayedWork {
  readonly work: Work;
  /** The queue and the CPU the timer will queue it on. */
  wq: Workqueue | null = null;

  constructor(work: Work) {
    this.work = work;
  }

  get pending(): boolean {
    return this.work.pending;
  }
}
