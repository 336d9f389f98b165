/**
 * Polling for completions.
 * Kernel counterpart: block/blk-core.c bio_poll, block/blk-mq.c (blk_mq_poll, blk_hctx_poll).
 */
import type { BioImpl } from './bio.js';
import type { Blk } from './blk.js';
import { CompBatch } from './complete-remote.js';
import type { Disk } from './gendisk.js';
import type { HwCtx } from './hw-ctx.js';
import type { Queue } from './queue.js';

/** The tag stands above the number of the hardware queue. */
const COOKIE_SHIFT = 16;
const COOKIE_QUEUE_MASK = (1 << COOKIE_SHIFT) - 1;

/** What a polled bio remembers of its request. @kernel include/linux/blk_types.h blk_tag_to_qc_t */
export function pollCookie(hwQueue: number, tag: number): number {
  return tag * (1 << COOKIE_SHIFT) + hwQueue;
}

/** Asks the driver once; returns how many requests completed. Task context. @kernel block/blk-core.c bio_poll */
export function bioPoll(blk: Blk, bio: BioImpl): number {
  const disk = bio.disk as Disk | null;
  if (disk === null || bio.cookie < 0) return 0;
  const { trace } = blk;
  if (blk.functions) trace.enter('bio_poll');
  const found = blkMqPoll(blk, disk.queue, bio.cookie);
  if (blk.functions) trace.exit();
  return found;
}

/** @kernel block/blk-mq.c blk_mq_poll */
function blkMqPoll(blk: Blk, q: Queue, cookie: number): number {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_poll');
  const hctx = q.hctxs[cookie & COOKIE_QUEUE_MASK];
  const found = hctx === undefined ? 0 : hctxPoll(blk, q, hctx, Math.floor(cookie / (1 << COOKIE_SHIFT)));
  if (blk.functions) trace.exit();
  return found;
}

/** @kernel block/blk-mq.c blk_hctx_poll */
function hctxPoll(blk: Blk, q: Queue, hctx: HwCtx, tag: number): number {
  const { poll } = q.tagSet.ops;
  if (poll === undefined) return 0;
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_hctx_poll');
  hctx.pollBatch ??= new CompBatch();
  const batch = hctx.pollBatch;
  const found = poll.call(q.tagSet.ops, hctx, batch, tag);
  if (batch.first !== null) batch.complete?.(batch);
  if (blk.functions) trace.exit();
  return found;
}
