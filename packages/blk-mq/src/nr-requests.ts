/**
 * `nr_requests`: how many requests a hardware queue holds. With a scheduler its tags, without one the driver's.
 * Kernel counterpart: block/blk-mq.c blk_mq_update_nr_requests.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import { blkMqFreezeQueue, blkMqUnfreezeQueue } from './freeze.js';
import type { Queue } from './queue.js';
import { allocSchedTags, freeSchedTags } from './sched-tags.js';
import { resizeBitmap } from './tags.js';

/** @kernel include/linux/blkdev.h BLKDEV_MIN_RQ */
export const BLKDEV_MIN_RQ = 4;
/** @kernel block/blk-mq-sched.h MAX_SCHED_RQ */
const MAX_SCHED_RQ = 16 * 128;

/** Throws EINVAL for more than there may be. Task context. @kernel block/blk-mq.c blk_mq_update_nr_requests */
export const updateNrRequests = traced('blk_mq_update_nr_requests', async (q: Queue, nr: number): Promise<void> => {
  const { tagSet: set } = q;
  const most = q.elevator === null ? set.queueDepth : MAX_SCHED_RQ;
  if (nr > most) throw new KernelError('EINVAL', `queue/nr_requests: ${nr} is more than ${most}`);
  if (nr === q.nrRequests) return;
  // The driver's tags belong to every queue of the set.
  const queues = q.elevator === null ? [...set.queues] : [q];
  for (const one of queues) await blkMqFreezeQueue(one);
  setNrRequests(q, nr);
  for (const one of queues) blkMqUnfreezeQueue(one);
});

/** With every queue that uses the tags standing still. */
export function setNrRequests(q: Queue, nr: number): void {
  q.nrRequests = nr;
  if (q.elevator === null) {
    for (const tags of q.tagSet.tags) resizeBitmap(tags.bitmap, Math.max(nr - tags.nrReserved, 1));
    return;
  }
  freeSchedTags(q);
  allocSchedTags(q);
}
