/**
 * Freezing (no request in use, new ones wait) and quiescing (nothing is dispatched).
 * Kernel counterpart: block/blk-mq.c (blk_mq_freeze_queue, blk_mq_quiesce_queue), block/blk-core.c (bio_queue_enter).
 *
 * Invariant: `usage` counts requests in use and bios that are inside; a bio that waits for a tag is inside.
 */
import { KernelError, traced, waitEvent, waitEventTimeout, wakeUpAll } from '@nvme-stack/kernel';
import type { BioImpl } from './bio.js';
import { bioEndWith, bioIoError, bioWouldblockError } from './bio.js';
import { runHwQueues } from './dispatch.js';
import { BLK_STS_OFFLINE, REQ_NOWAIT } from './ports.js';
import type { Queue } from './queue.js';
import { resubmitBio } from './submit.js';
import type { TagSet } from './tag-set.js';

/** Leaves the queue; the last one wakes who waits for a freeze. Any context. @kernel block/blk-core.c blk_queue_exit */
export function queueExit(q: Queue): void {
  if (--q.usage === 0 && q.freezeDepth !== 0) wakeUpAll(q.mqFreezeWq);
}

/** New requests wait from now on. Any context. @kernel block/blk-mq.c blk_freeze_queue_start */
export function blkFreezeQueueStart(q: Queue): void {
  if (++q.freezeDepth === 1) runHwQueues(q, false);
}

/** Task context. @kernel block/blk-mq.c blk_mq_freeze_queue */
export const blkMqFreezeQueue = traced('blk_mq_freeze_queue', async (q: Queue): Promise<void> => {
  blkFreezeQueueStart(q);
  await blkMqFreezeQueueWait(q);
});

/** Task context. @kernel block/blk-mq.c blk_mq_freeze_queue_wait */
export const blkMqFreezeQueueWait = traced('blk_mq_freeze_queue_wait', async (q: Queue): Promise<void> => {
  await waitEvent(q.mqFreezeWq, () => q.usage === 0);
});

/** False when requests were still in use after `timeoutNs`. @kernel block/blk-mq.c blk_mq_freeze_queue_wait_timeout */
export const blkMqFreezeQueueWaitTimeout = traced(
  'blk_mq_freeze_queue_wait_timeout',
  async (q: Queue, timeoutNs: number): Promise<boolean> =>
    await waitEventTimeout(q.mqFreezeWq, () => q.usage === 0, timeoutNs),
);

/** Lets requests in again and continues the bios that waited. Any context. @kernel block/blk-mq.c blk_mq_unfreeze_queue */
export const blkMqUnfreezeQueue = traced('blk_mq_unfreeze_queue', (q: Queue): void => {
  if (q.freezeDepth === 0) q.blk.ex.bug('blk_mq_unfreeze_queue of a queue that is not frozen');
  if (--q.freezeDepth > 0) return;
  wakeUpAll(q.mqFreezeWq);
  releaseFrozen(q);
});

/** Nobody gets in any more; who waits to get in is told so. @kernel block/blk-core.c blk_queue_start_drain */
export function blkQueueStartDrain(q: Queue): void {
  blkFreezeQueueStart(q);
  wakeUpAll(q.mqFreezeWq);
  releaseFrozen(q);
}

function isDead(q: Queue): boolean {
  return q.dying || q.disk?.dead === true;
}

/** Continues or fails the bios that came while the queue was frozen, in their order. */
function releaseFrozen(q: Queue): void {
  if (q.thawing) return;
  q.thawing = true;
  while (q.frozenHead !== null && (q.freezeDepth === 0 || isDead(q))) {
    const bio = q.frozenHead;
    q.frozenHead = bio.next;
    if (q.frozenHead === null) q.frozenTail = null;
    bio.next = null;
    resubmitBio(q.blk, q, bio);
  }
  q.thawing = false;
}

/**
 * A bio comes to a frozen queue: it ends when the queue is dead or it may not wait, and parks otherwise.
 * @kernel block/blk-core.c __bio_queue_enter
 */
export function enterFrozen(q: Queue, bio: BioImpl): void {
  if (isDead(q)) {
    if (q.dying && q.disk?.dead !== true) bioEndWith(q.blk, bio, BLK_STS_OFFLINE);
    else bioIoError(q.blk, bio);
    return;
  }
  if ((bio.opf & REQ_NOWAIT) !== 0) {
    bioWouldblockError(q.blk, bio);
    return;
  }
  bio.next = null;
  if (q.frozenTail === null) q.frozenHead = bio;
  else q.frozenTail.next = bio;
  q.frozenTail = bio;
}

/** A task enters the queue for a driver-private request. Throws ENODEV, EAGAIN. @kernel block/blk-core.c blk_queue_enter */
export async function blkQueueEnter(q: Queue, nowait: boolean): Promise<void> {
  while (q.freezeDepth > 0) {
    if (q.dying) break;
    if (nowait) throw new KernelError('EAGAIN', 'blk_queue_enter: the queue is frozen');
    await waitEvent(q.mqFreezeWq, () => q.freezeDepth === 0 || q.dying);
  }
  if (q.dying) throw new KernelError('ENODEV', 'blk_queue_enter: the queue is dying');
  q.usage++;
}

/** Nothing is dispatched from now on. Any context. @kernel block/blk-mq.c blk_mq_quiesce_queue_nowait */
export const blkMqQuiesceQueueNowait = traced('blk_mq_quiesce_queue_nowait', (q: Queue): void => {
  q.quiesceDepth++;
});

/** Any context. @kernel block/blk-mq.c blk_mq_unquiesce_queue */
export const blkMqUnquiesceQueue = traced('blk_mq_unquiesce_queue', (q: Queue): void => {
  if (q.quiesceDepth === 0) {
    q.kernel.printk.print('warn', 'WARNING: blk_mq_unquiesce_queue of a queue that is not quiesced');
    return;
  }
  if (--q.quiesceDepth === 0) runHwQueues(q, true);
});

/** Every queue of the set. @kernel block/blk-mq.c blk_mq_quiesce_tagset */
export const blkMqQuiesceTagset = traced('blk_mq_quiesce_tagset', (set: TagSet): void => {
  for (const q of set.queues) blkMqQuiesceQueueNowait(q);
});

/** @kernel block/blk-mq.c blk_mq_unquiesce_tagset */
export const blkMqUnquiesceTagset = traced('blk_mq_unquiesce_tagset', (set: TagSet): void => {
  for (const q of set.queues) blkMqUnquiesceQueue(q);
});
