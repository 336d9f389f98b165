/**
 * Request queues: made over a tag set, with one hardware context per hardware queue.
 * Kernel counterpart: block/blk-core.c, block/blk-mq.c (blk_mq_alloc_queue, blk_mq_init_allocated_queue, blk_mq_exit_queue).
 */
import { type HasKernel, type Item, type Kernel, traced, WaitQueue } from '@nvme-stack/kernel';
import type { DelayedWork, WorkStruct } from '@nvme-stack/workqueue/ports';
import type { BioImpl } from './bio.js';
import type { Blk } from './blk.js';
import { hctxRunWork } from './dispatch.js';
import { FlushQueue } from './flush.js';
import { blkMqFreezeQueueWait, blkQueueStartDrain } from './freeze.js';
import type { Disk } from './gendisk.js';
import { HwCtx, SwCtx } from './hw-ctx.js';
import { defaultLimits, maxSectors, validateLimits } from './limits.js';
import type { IoScheduler, QueueLimits, RequestQueue } from './ports.js';
import { BLK_MAX_WRITE_HINTS, HCTX_TYPE_POLL } from './ports.js';
import { mapSwqueue } from './queue-map.js';
import { RequestList } from './request.js';
import { requeueWork } from './requeue.js';
import { allocSchedTags, freeSchedTags } from './sched-tags.js';
import { NoneScheduler } from './schedulers/none.js';
import { LatencyStat, WBT_LAT_DEFAULT_USEC } from './stat.js';
import { bioTagSet, type TagSet } from './tag-set.js';
import { tagIdle, updateShared } from './tag-share.js';
import { newTimeoutTimer, TIMER_IDLE, timeoutWork } from './timeout.js';

/** A request queue. @kernel include/linux/blkdev.h request_queue */
export class Queue implements RequestQueue, HasKernel {
  readonly kernel: Kernel;
  readonly blk: Blk;
  readonly tagSet: TagSet;
  limits: QueueLimits;
  /** What `limits` and the user allow a request to have. @kernel queue_limits.max_sectors */
  maxSectors = 0;
  userMaxSectors = 0;
  userMaxDiscardSectors = Number.POSITIVE_INFINITY;
  readonly hctxs: HwCtx[] = [];
  readonly ctxs: SwCtx[] = [];
  disk: Disk | null = null;
  queuedata: unknown;
  /** Requests in use and bios inside; freezing waits for 0. @kernel request_queue.q_usage_counter */
  usage = 0;
  freezeDepth = 0;
  quiesceDepth = 0;
  dying = false;
  readonly mqFreezeWq: WaitQueue;
  /** Bios that came while the queue was frozen, first in, first out. */
  frozenHead: BioImpl | null = null;
  frozenTail: BioImpl | null = null;
  thawing = false;
  /** Null: `none`, and requests may be issued directly. */
  elevator: IoScheduler | null = null;
  /** Holds inserted requests when there is no elevator. */
  readonly none: NoneScheduler;
  timeoutNs: number;
  readonly timeoutTimer: Item;
  /** The timer covers deadlines later than this. */
  timerFloorNs = TIMER_IDLE;
  readonly timeoutWork: WorkStruct;
  readonly requeueList = new RequestList();
  readonly requeueWork: DelayedWork;
  ioStat = true;
  noMerges = 0;
  /** 0: complete where the interrupt came; 1 and 2: on the CPU that submitted. @kernel rq_affinity */
  rqAffinity = 1;
  nrRequests: number;
  readonly latency = new LatencyStat();
  /** Target of write-back throttling, whose windows are what latency statistics are for: at 0 none are gathered. */
  wbtLatUsec = WBT_LAT_DEFAULT_USEC;
  /** Write cache as the user sees it: `write through` sends no flushes. */
  writeThrough = false;
  readonly writeHints = new Float64Array(BLK_MAX_WRITE_HINTS);
  exited = false;
  sysfsRegistered = false;
  /** Its disk takes bios; there are no requests. @kernel include/linux/blk-mq.h queue_is_mq */
  readonly isBioBased: boolean;
  /** The disks under a bio-based one may be polled. */
  pollsBelow = false;

  constructor(blk: Blk, set: TagSet, limits: Partial<QueueLimits> | null, queuedata: unknown) {
    this.kernel = blk.kernel;
    this.isBioBased = set.nrHwQueues === 0;
    this.blk = blk;
    this.tagSet = set;
    this.limits = validateLimits({ ...defaultLimits(), ...limits });
    this.queuedata = queuedata;
    this.mqFreezeWq = new WaitQueue(blk.kernel, 'mq_freeze_wq');
    this.none = new NoneScheduler();
    this.timeoutNs = set.timeoutNs;
    this.timeoutTimer = newTimeoutTimer(this);
    this.timeoutWork = blk.workqueues.initWork('blk_mq_timeout_work', this as Queue, timeoutWork);
    this.requeueWork = blk.workqueues.initDelayedWork('blk_mq_requeue_work', this as Queue, requeueWork);
    this.nrRequests = set.queueDepth;
    applyMaxSectors(this);
  }

  get quiesced(): boolean {
    return this.quiesceDepth > 0;
  }
  get frozen(): boolean {
    return this.freezeDepth > 0;
  }
  get scheduler(): string {
    return this.elevator === null ? 'none' : this.elevator.name;
  }
  /** Whether there are hardware queues that may be polled. */
  get canPoll(): boolean {
    const { tagSet: set } = this;
    if (this.isBioBased) return this.pollsBelow;
    if (this.blk.era.pollsByTag) return set.ops.poll !== undefined;
    return set.nrMaps > HCTX_TYPE_POLL && set.map[HCTX_TYPE_POLL].nrQueues > 0;
  }
  /** Flushes mean something. */
  get writeCache(): boolean {
    return this.limits.writeCache && !this.writeThrough;
  }
}

/** Recomputes what follows from the limits. */
export function applyMaxSectors(q: Queue): void {
  q.maxSectors = maxSectors(q.limits, q.userMaxSectors);
}

/** @kernel block/blk-mq.c blk_mq_alloc_queue */
export const allocQueue = traced(
  'blk_mq_alloc_queue',
  (set: TagSet, limits: Partial<QueueLimits> | null, queuedata: unknown): Queue => {
    set.blk.initKblockd();
    const q = new Queue(set.blk, set, limits, queuedata);
    initAllocatedQueue(q);
    return q;
  },
);

/** The queue of a disk that takes bios itself: limits, freezing, and a tag set that has no hardware queues. @kernel block/blk-core.c blk_alloc_queue */
export function allocBioQueue(blk: Blk, limits: Partial<QueueLimits> | null, numaNode: number): Queue {
  blk.initKblockd();
  return new Queue(blk, bioTagSet(blk, numaNode), limits, null);
}

/** A queue without a disk, until 6.8. @kernel block/blk-mq.c blk_mq_init_queue */
export const initQueue = traced(
  'blk_mq_init_queue',
  (set: TagSet, limits: Partial<QueueLimits> | null, queuedata: unknown): Queue => allocQueue(set, limits, queuedata),
);

/** @kernel block/blk-mq.c blk_mq_init_allocated_queue */
const initAllocatedQueue = traced('blk_mq_init_allocated_queue', (q: Queue): void => {
  const { kernel, tagSet } = q;
  for (let cpu = 0; cpu < kernel.nrCpus; cpu++) q.ctxs.push(new SwCtx(q, cpu));
  reallocHwCtxs(q);
  tagSet.queues.push(q);
  updateShared(tagSet);
});

/** Makes the hardware contexts the set asks for; old ones leave first. @kernel block/blk-mq.c blk_mq_realloc_hw_ctxs */
export const reallocHwCtxs = traced('blk_mq_realloc_hw_ctxs', (q: Queue): void => {
  exitHwCtxs(q);
  for (let i = 0; i < q.tagSet.nrHwQueues; i++) q.hctxs.push(allocAndInitHctx(q, i));
  mapSwqueue(q);
  q.none.resize(q.hctxs.length);
  if (q.elevator !== null) allocSchedTags(q);
  updateShared(q.tagSet);
});

/** @kernel block/blk-mq.c blk_mq_alloc_and_init_hctx */
const allocAndInitHctx = traced('blk_mq_alloc_and_init_hctx', (q: Queue, index: number): HwCtx => {
  const { tagSet: set, blk } = q;
  const hctx = new HwCtx(q, index, set.tags[index]);
  hctx.runWork = blk.workqueues.initDelayedWork('blk_mq_run_work_fn', hctx, hctxRunWork);
  set.ops.initHctx?.(hctx, set.driverData, index);
  hctx.flushQueue = new FlushQueue(hctx);
  set.ops.initRequest?.(set, hctx.flushQueue.flushRq, index, set.numaNode);
  return hctx;
});

/** @kernel block/blk-mq.c blk_mq_exit_hw_queues */
function exitHwCtxs(q: Queue): void {
  const { ops } = q.tagSet;
  freeSchedTags(q);
  for (const hctx of q.hctxs) {
    if (hctx.exited) continue;
    hctx.exited = true;
    tagIdle(hctx);
    if (hctx.flushQueue !== null) ops.exitRequest?.(q.tagSet, hctx.flushQueue.flushRq, hctx.queueNum);
    ops.exitHctx?.(hctx, hctx.queueNum);
  }
  q.hctxs.length = 0;
}

/** @kernel block/blk-mq.c blk_mq_exit_queue */
export function exitQueue(q: Queue): void {
  if (q.exited) return;
  q.exited = true;
  if (q.isBioBased) return;
  exitHwCtxs(q);
  const { queues } = q.tagSet;
  queues.splice(queues.indexOf(q), 1);
  updateShared(q.tagSet);
}

/** Waits for time-out, requeue and run work. @kernel block/blk-core.c blk_sync_queue */
export const blkSyncQueue = traced('blk_sync_queue', async (q: Queue): Promise<void> => {
  const { workqueues, ex } = q.blk;
  ex.disarm(q.timeoutTimer);
  q.timerFloorNs = TIMER_IDLE;
  await workqueues.cancelWorkSync(q.timeoutWork);
});

/** Waits for work that runs hardware queues or requeues. @kernel block/blk-mq.c blk_mq_cancel_work_sync */
export async function cancelWorkSync(q: Queue): Promise<void> {
  const { workqueues } = q.blk;
  await workqueues.cancelDelayedWorkSync(q.requeueWork);
  for (const hctx of [...q.hctxs]) {
    if (hctx.runWork !== null) await workqueues.cancelDelayedWorkSync(hctx.runWork);
  }
}

/** Fails new requests, waits for those under way, lets the driver's queues go. @kernel block/blk-mq.c blk_mq_destroy_queue */
export const destroyQueue = traced('blk_mq_destroy_queue', async (q: Queue): Promise<void> => {
  q.dying = true;
  blkQueueStartDrain(q);
  await blkMqFreezeQueueWait(q);
  await blkSyncQueue(q);
  await cancelWorkSync(q);
  exitQueue(q);
});
