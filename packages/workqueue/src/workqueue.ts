/**
 * A workqueue: what it may run at a time, and its share of each worker pool.
 * Kernel counterpart: kernel/workqueue.c (workqueue_struct, pool_workqueue).
 */
import { type HasKernel, type Kernel, WaitQueue } from '@nvme-stack/kernel';
import type { WorkerPool } from './pool.js';
import { type WorkqueueStruct, WQ_MEM_RECLAIM, WQ_ORDERED, WQ_UNBOUND } from './ports.js';
import type { Rescuer } from './rescuer.js';
import { WorkList } from './work-list.js';

/** Works queued between two flushes of a queue, counted until they have run. */
export class FlushColor {
  count = 0;
}

/** What a workqueue has in one pool. @kernel kernel/workqueue.c pool_workqueue */
export class PoolWorkqueue {
  readonly wq: Workqueue;
  readonly pool: WorkerPool;
  nrActive = 0;
  /** Works above max_active. */
  readonly inactive = new WorkList();

  constructor(wq: Workqueue, pool: WorkerPool) {
    this.wq = wq;
    this.pool = pool;
  }

  get idle(): boolean {
    return this.nrActive === 0 && this.inactive.size === 0;
  }
}

/** @kernel kernel/workqueue.c workqueue_struct */
export class Workqueue implements WorkqueueStruct, HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  readonly flags: number;
  readonly maxActive: number;
  /** By CPU when bound, by node when not; an ordered queue has one. */
  readonly pwqs: readonly PoolWorkqueue[];
  /** Made with the machine: no leak, and never destroyed. */
  readonly boot: boolean;
  rescuer: Rescuer | null = null;
  draining = false;
  destroyed = false;
  /** Oldest first; the last one is given to what is queued now. */
  readonly colors: FlushColor[] = [new FlushColor()];
  /** Tasks that flush or drain it. */
  readonly waiters: WaitQueue;

  constructor(kernel: Kernel, name: string, flags: number, maxActive: number, pools: WorkerPool[], boot: boolean) {
    this.kernel = kernel;
    this.name = name;
    this.flags = flags;
    this.maxActive = maxActive;
    this.boot = boot;
    this.pwqs = pools.map((pool) => new PoolWorkqueue(this, pool));
    this.waiters = new WaitQueue(kernel, `flush_workqueue ${name}`);
  }

  get hasRescuer(): boolean {
    return this.rescuer !== null;
  }
  get unbound(): boolean {
    return (this.flags & WQ_UNBOUND) !== 0;
  }
  get ordered(): boolean {
    return (this.flags & WQ_ORDERED) !== 0;
  }
  get memReclaim(): boolean {
    return (this.flags & WQ_MEM_RECLAIM) !== 0;
  }
  get color(): FlushColor {
    return this.colors[this.colors.length - 1];
  }
  get idle(): boolean {
    return this.pwqs.every((pwq) => pwq.idle);
  }
}

/** Forgets colours nothing waits for any more. */
export function dropFinishedColors(wq: Workqueue): void {
  const { colors } = wq;
  while (colors.length > 1 && colors[0].count === 0) colors.shift();
}
