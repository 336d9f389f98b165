/**
 * Requests that go back: a list per queue, and work that inserts them again.
 * Kernel counterpart: block/blk-mq.c (blk_mq_requeue_request, blk_mq_requeue_work).
 */
import type { Blk } from './blk.js';
import { bypassInsert, insertRequest, runHwQueues } from './dispatch.js';
import { type BioList, MQ_RQ_IDLE, RQF_DONTPREP, RQF_STARTED, RQF_TIMED_OUT, SECTOR_SIZE } from './ports.js';
import type { Queue } from './queue.js';
import { type RequestImpl, RequestList } from './request.js';
import { putDriverTag } from './sched-tags.js';
import { giveTags } from './submit.js';
import { BLOCK_RQ_REQUEUE, devNumber, rwbs } from './trace-events.js';

/** Any context. @kernel block/blk-mq.c blk_mq_requeue_request */
export function requeueRequest(blk: Blk, rq: RequestImpl, kick: boolean): void {
  const { trace } = blk;
  if (trace.functions) trace.enter('blk_mq_requeue_request');
  if (trace.events) {
    const sectors = rq.dataLengthBytes / SECTOR_SIZE;
    trace.event(BLOCK_RQ_REQUEUE, devNumber(rq.q.disk), rq.sector, sectors, 0, rwbs(rq.cmdFlags));
  }
  if (rq.state !== MQ_RQ_IDLE) {
    rq.state = MQ_RQ_IDLE;
    rq.rqFlags &= ~(RQF_STARTED | RQF_TIMED_OUT);
  }
  // A scheduled request gets a tag anew; others may have this one meanwhile.
  if (rq.schedTags !== null && rq.tag >= 0) {
    putDriverTag(rq);
    giveTags(blk, rq.tags);
  }
  rq.q.requeueList.pushTail(rq);
  if (kick) kickRequeueList(rq.q);
  if (trace.functions) trace.exit();
}

/** The request has no bios, and no data, then. Any context. @kernel block/blk-core.c blk_steal_bios */
export function stealBios(list: BioList, rq: RequestImpl): void {
  const { bio } = rq;
  if (bio === null) return;
  if (list.tail === null) list.head = bio;
  else list.tail.next = bio;
  list.tail = rq.biotail;
  rq.bio = rq.biotail = null;
  rq.dataLengthBytes = 0;
}

/** @kernel block/blk-mq.c blk_mq_kick_requeue_list */
export function kickRequeueList(q: Queue): void {
  delayKickRequeueList(q, 0);
}

/** @kernel block/blk-mq.c blk_mq_delay_kick_requeue_list */
export function delayKickRequeueList(q: Queue, delayNs: number): void {
  const { workqueues, kblockd } = q.blk;
  workqueues.modDelayedWork(kblockd, q.requeueWork, delayNs);
}

/** Task context (kblockd). @kernel block/blk-mq.c blk_mq_requeue_work */
export function requeueWork(q: Queue): void {
  const list = new RequestList();
  list.append(q.requeueList);
  for (let rq = list.shift(); rq !== null; rq = list.shift()) {
    // A request that is prepared already must not be merged or reordered.
    if ((rq.rqFlags & RQF_DONTPREP) !== 0) bypassInsert(rq, false);
    else insertRequest(q.blk, rq, true);
  }
  runHwQueues(q, false);
}
