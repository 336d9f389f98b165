/**
 * Fair shares: when several disks share a tag set, none of those in use may take more than its part of the tags.
 * Kernel counterpart: block/blk-mq.h hctx_may_queue, block/blk-mq-tag.c (__blk_mq_tag_busy, __blk_mq_tag_idle).
 */
import type { HwCtx } from './hw-ctx.js';
import type { RequestImpl } from './request.js';
import type { TagSet } from './tag-set.js';

/** Counted in its hardware queue's `nrActive`. @kernel include/linux/blk-mq.h RQF_MQ_INFLIGHT */
export const RQF_MQ_INFLIGHT = 1 << 6;
/** A share is never less. @kernel block/blk-mq.h hctx_may_queue */
const LEAST_SHARE = 4;

/** Whether a hardware queue of a shared set may take another tag. Any context. @kernel block/blk-mq.h hctx_may_queue */
export function mayQueue(hctx: HwCtx): boolean {
  const { tags } = hctx;
  if (!hctx.tagActive) {
    hctx.tagActive = true;
    tags.activeQueues++;
  }
  const { depth } = tags.bitmap;
  if (depth === 1) return true;
  const users = tags.activeQueues;
  return hctx.nrActive < Math.max(Math.floor((depth + users - 1) / users), LEAST_SHARE);
}

/** @kernel block/blk-mq.h __blk_mq_inc_active_requests */
export function countActive(hctx: HwCtx, rq: RequestImpl): void {
  rq.rqFlags |= RQF_MQ_INFLIGHT;
  hctx.nrActive++;
}

/** The queue has had nothing to do for a while: its share goes to the others. @kernel block/blk-mq-tag.c __blk_mq_tag_idle */
export function tagIdle(hctx: HwCtx): boolean {
  if (!hctx.tagActive) return false;
  hctx.tagActive = false;
  hctx.tags.activeQueues--;
  return true;
}

/** After a queue has come to the set or left it. @kernel block/blk-mq.c blk_mq_update_tag_set_shared */
export function updateShared(set: TagSet): void {
  const shared = set.queues.length > 1;
  for (const { hctxs } of set.queues) for (const hctx of hctxs) hctx.shared = shared;
}
