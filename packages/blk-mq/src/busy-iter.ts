/**
 * Walking the requests in use.
 * Kernel counterpart: block/blk-mq-tag.c (blk_mq_tagset_busy_iter, blk_mq_queue_tag_busy_iter).
 */
import { msleep, traced } from '@nvme-stack/kernel';
import { MQ_RQ_COMPLETE, MQ_RQ_IDLE, type Request } from './ports.js';
import type { Queue } from './queue.js';
import type { RequestImpl } from './request.js';
import type { TagSet } from './tag-set.js';
import { type Tags, tagInUse, tagsBusy } from './tags.js';

/** Requests whose tags are in use; false ends the walk. */
function tagsIter(tags: Tags, fn: (rq: RequestImpl) => boolean): boolean {
  if (tagsBusy(tags) === 0) return true;
  for (let tag = 0; tag < tags.nrTags; tag++) {
    if (tagInUse(tags, tag) && !fn(tags.rqs[tag])) return false;
  }
  return true;
}

/** Every request of one queue that has a tag. @kernel block/blk-mq-tag.c blk_mq_queue_tag_busy_iter */
export function queueBusyIter(q: Queue, fn: (rq: RequestImpl) => boolean): void {
  for (const hctx of q.hctxs) {
    if (!tagsIter(hctx.tags, (rq) => rq.q !== q || fn(rq))) return;
  }
}

/** Every started request of the set. Any context. @kernel block/blk-mq-tag.c blk_mq_tagset_busy_iter */
export const tagsetBusyIter = traced('blk_mq_tagset_busy_iter', (set: TagSet, fn: (rq: Request) => boolean): void => {
  for (let i = 0; i < set.nrHwQueues; i++) {
    if (!tagsIter(set.tags[i], (rq) => rq.state === MQ_RQ_IDLE || fn(rq))) return;
  }
});

/** Waits until every completed request has ended. Task context. @kernel block/blk-mq-tag.c blk_mq_tagset_wait_completed_request */
export const tagsetWaitCompletedRequest = traced(
  'blk_mq_tagset_wait_completed_request',
  async (set: TagSet): Promise<void> => {
    for (;;) {
      let completed = 0;
      for (let i = 0; i < set.nrHwQueues; i++) {
        tagsIter(set.tags[i], (rq) => {
          if (rq.state === MQ_RQ_COMPLETE) completed++;
          return true;
        });
      }
      if (completed === 0) return;
      await msleep(set, 5);
    }
  },
);
