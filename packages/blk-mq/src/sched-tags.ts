/**
 * Scheduler tags: with an I/O scheduler a request takes its place in the scheduler first, and the driver's tag only when
 * it is dispatched. So more requests may wait, to be ordered and merged, than the device takes.
 * Kernel counterpart: block/blk-mq-sched.c (blk_mq_init_sched, blk_mq_exit_sched), block/blk-mq.c
 * (blk_mq_get_driver_tag, blk_mq_put_driver_tag, blk_mq_mark_tag_wait).
 */
import type { HwCtx } from './hw-ctx.js';
import type { Queue } from './queue.js';
import { RequestImpl } from './request.js';
import { countActive, mayQueue, RQF_MQ_INFLIGHT } from './tag-share.js';
import { bitmapGet, clearTag, Tags } from './tags.js';

/** @kernel include/linux/blkdev.h BLKDEV_DEFAULT_RQ */
const BLKDEV_DEFAULT_RQ = 128;

/** How many requests a scheduler holds per hardware queue unless told otherwise. @kernel block/blk-mq-sched.c blk_mq_init_sched */
export function defaultSchedDepth(q: Queue): number {
  return 2 * Math.min(q.tagSet.queueDepth, BLKDEV_DEFAULT_RQ);
}

/** Gives each hardware queue `q.nrRequests` scheduler tags. The queue stands still. @kernel block/blk-mq-sched.c blk_mq_sched_alloc_map_and_rqs */
export function allocSchedTags(q: Queue): void {
  for (const hctx of q.hctxs) hctx.schedTags = makeSchedTags(hctx, q.nrRequests);
}

function makeSchedTags(hctx: HwCtx, depth: number): Tags {
  const { tagSet: set } = hctx.queue;
  const tags = new Tags(hctx.kernel, `${set.name}/${hctx.queueNum} sched`, depth, 0);
  for (let tag = 0; tag < depth; tag++) {
    const rq = new RequestImpl(hctx.tags, -1);
    rq.schedTags = tags;
    rq.internalTag = tag;
    tags.staticRqs.push(rq);
    set.ops.initRequest?.(set, rq, hctx.queueNum, set.numaNode);
  }
  return tags;
}

/** The queue stands still, or goes. @kernel block/blk-mq-sched.c blk_mq_sched_tags_teardown */
export function freeSchedTags(q: Queue): void {
  const { tagSet: set } = q;
  for (const hctx of q.hctxs) {
    for (const rq of hctx.schedTags?.staticRqs ?? []) set.ops.exitRequest?.(set, rq, hctx.queueNum);
    hctx.schedTags = null;
  }
}

/** Gives a scheduled request a tag of the driver's; false: there is none for it now. Any context with a CPU. @kernel block/blk-mq.c __blk_mq_get_driver_tag */
export function getDriverTag(rq: RequestImpl): boolean {
  const { tags, mqHctx: hctx } = rq;
  if (hctx.shared && !mayQueue(hctx)) return false;
  const bit = bitmapGet(tags.bitmap, Math.max(hctx.kernel.ex.cpu, 0));
  if (bit < 0) return false;
  rq.tag = bit + tags.nrReserved;
  tags.rqs[rq.tag] = rq;
  if (hctx.shared) countActive(hctx, rq);
  return true;
}

/** Gives the driver's tag back; who waits for it is not woken. @kernel block/blk-mq.c blk_mq_put_driver_tag */
export function putDriverTag(rq: RequestImpl): void {
  const { tags, tag } = rq;
  if (tag < 0) return;
  if ((rq.rqFlags & RQF_MQ_INFLIGHT) !== 0) {
    rq.rqFlags &= ~RQF_MQ_INFLIGHT;
    rq.mqHctx.nrActive--;
  }
  tags.rqs[tag] = tags.staticRqs[tag];
  rq.tag = -1;
  clearTag(tags, tag, rq.cpu, true);
}

/** Gives both of its tags back. @kernel block/blk-mq.c __blk_mq_free_request */
export function putSchedTags(rq: RequestImpl, schedTags: Tags): void {
  putDriverTag(rq);
  clearTag(schedTags, rq.internalTag, rq.cpu, true);
}

/** The hardware queue runs again when any queue of its set frees a tag. @kernel block/blk-mq.c blk_mq_mark_tag_wait */
export function markTagWait(hctx: HwCtx): void {
  if (!hctx.tags.waitingHctxs.includes(hctx)) hctx.tags.waitingHctxs.push(hctx);
}
