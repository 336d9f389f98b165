/**
 * Hardware queues and the per-CPU contexts that lead to them.
 * Kernel counterpart: include/linux/blk-mq.h blk_mq_hw_ctx, block/blk-mq.h blk_mq_ctx.
 */

import type { HasKernel, Kernel } from '@nvme-stack/kernel';
import type { DelayedWork } from '@nvme-stack/workqueue/ports';
import type { CompBatch } from './complete-remote.js';
import type { FlushQueue } from './flush.js';
import type { BlkMqHwCtx, BlkMqQueueData } from './ports.js';
import { HCTX_MAX_TYPES } from './ports.js';
import type { Queue } from './queue.js';
import { type RequestImpl, RequestList } from './request.js';
import type { Tags } from './tags.js';

/** What `queueRq` is given; one per hardware queue, refilled. */
export class QueueData implements BlkMqQueueData {
  rq: RequestImpl;
  last = true;

  constructor() {
    this.rq = null as unknown as RequestImpl;
  }
}

/** @kernel include/linux/blk-mq.h blk_mq_hw_ctx */
export class HwCtx implements BlkMqHwCtx, HasKernel {
  readonly kernel: Kernel;
  readonly queue: Queue;
  readonly queueNum: number;
  type = 0;
  cpus: readonly number[] = [];
  driverData: unknown = null;
  readonly tags: Tags;
  /** Places in the scheduler; null without one. @kernel include/linux/blk-mq.h blk_mq_hw_ctx.sched_tags */
  schedTags: Tags | null = null;
  /** Other request queues use its tags as well. @kernel BLK_MQ_F_TAG_QUEUE_SHARED */
  shared = false;
  /** It counts among those that share the tags. @kernel BLK_MQ_S_TAG_ACTIVE */
  tagActive = false;
  /** Its requests with a tag, while the tags are shared. @kernel include/linux/blk-mq.h blk_mq_hw_ctx.nr_active */
  nrActive = 0;
  /** Bios of it that wait for a tag. */
  nrWaiting = 0;
  readonly bd = new QueueData();
  /** Requests that go before any scheduler's. @kernel include/linux/blk-mq.h blk_mq_hw_ctx.dispatch */
  readonly dispatch = new RequestList();
  /** While a list is dispatched: those of it that got no tag of the driver's. */
  readonly tagless = new RequestList();
  /** A request could not be queued: run again when one of this queue is freed. @kernel BLK_MQ_S_SCHED_RESTART */
  restart = false;
  runWork: DelayedWork | null = null;
  flushQueue: FlushQueue | null = null;
  /** Gathers what a poll completes; made at the first poll. */
  pollBatch: CompBatch | null = null;
  /** Counts runs, for reports. @kernel blk_mq_hw_ctx.run */
  runs = 0;
  /** The CPU whose turn it is when the queue is run elsewhere. */
  nextCpu = 0;
  exited = false;
  /** Every CPU of it is off, or the last is going: submissions are led past it. @kernel BLK_MQ_S_INACTIVE */
  inactive = false;

  constructor(queue: Queue, queueNum: number, tags: Tags) {
    this.kernel = queue.kernel;
    this.queue = queue;
    this.queueNum = queueNum;
    this.tags = tags;
  }
}

/** A CPU's way into a request queue. @kernel block/blk-mq.h blk_mq_ctx */
export class SwCtx {
  readonly cpu: number;
  readonly queue: Queue;
  /** By type; types without queues lead to the default one. */
  readonly hctxs: HwCtx[];

  constructor(queue: Queue, cpu: number) {
    this.cpu = cpu;
    this.queue = queue;
    this.hctxs = new Array<HwCtx>(HCTX_MAX_TYPES);
  }
}
