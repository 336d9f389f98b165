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
  const hctx = q.hctxs[cookie];
  const found = hctx === undefined ? 0 : hctxPoll(blk, q, hctx);
  if (blk.functions) trace.exit();
  return found;
}

/** @kernel block/blk-mq.c blk_hctx_poll */
function hctxPoll(blk: Blk, q: Queue, hctx: HwCtx): number {
  const { poll } = q.tagSet.ops;
  if (poll === undefined) return 0;
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_hctx_poll');
  hctx.pollBatch ??= new CompBatch();
  const batch = hctx.pollBatch;
  const found = poll.call(q.tagSet.ops, hctx, batch);
  if (batch.first !== null) batch.complete?.(batch);
  if (blk.functions) trace.exit();
  return found;
}
