/**
 * Dispatch: inserted requests go to the driver, in the caller's context or in kblockd.
 * Kernel counterpart: block/blk-mq.c (blk_mq_run_hw_queue …), block/blk-mq-sched.c.
 */
import type { Blk } from './blk.js';
import { endRequest } from './end-request.js';
import type { HwCtx } from './hw-ctx.js';
import {
  BLK_STS_DEV_RESOURCE,
  BLK_STS_OK,
  BLK_STS_RESOURCE,
  type BlkStatus,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  RQF_FLUSH_SEQ,
  SECTOR_SIZE,
} from './ports.js';
import type { Queue } from './queue.js';
import { isPassthrough, type RequestImpl, RequestList } from './request.js';
import { getDriverTag, markTagWait } from './sched-tags.js';
import { BLOCK_RQ_INSERT, devNumber, rwbs } from './trace-events.js';

/** A driver without resources is asked again after this time. @kernel block/blk-mq.c BLK_MQ_RESOURCE_DELAY */
const RESOURCE_DELAY_NS = 3_000_000;

/** Queues a request for a later run. Any context. @kernel block/blk-mq.c blk_mq_insert_request */
export function insertRequest(blk: Blk, rq: RequestImpl, atHead: boolean): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_insert_request');
  const { q, mqHctx } = rq;
  if (isPassthrough(rq)) {
    bypassInsert(rq, atHead);
  } else if ((rq.cmdFlags & REQ_OP_MASK) === REQ_OP_FLUSH || (rq.rqFlags & RQF_FLUSH_SEQ) !== 0) {
    // Flush requests go first: data that waits for them holds tags.
    bypassInsert(rq, true);
  } else {
    if (blk.events) traceInsert(blk, rq);
    (q.elevator ?? q.none).insert(mqHctx, rq, atHead);
  }
  if (blk.functions) trace.exit();
}

function traceInsert(blk: Blk, rq: RequestImpl): void {
  const dev = devNumber(rq.q.disk);
  blk.trace.event(
    BLOCK_RQ_INSERT,
    dev,
    rq.sector,
    rq.dataLengthBytes / SECTOR_SIZE,
    rq.dataLengthBytes,
    rwbs(rq.cmdFlags),
  );
}

/** Puts it before whatever a scheduler has. @kernel block/blk-mq.c blk_mq_request_bypass_insert */
export function bypassInsert(rq: RequestImpl, atHead: boolean): void {
  const { dispatch } = rq.mqHctx;
  if (atHead) dispatch.pushHead(rq);
  else dispatch.pushTail(rq);
}

/** @kernel block/blk-mq.c blk_mq_hctx_has_pending */
function hasPending(hctx: HwCtx): boolean {
  if (hctx.dispatch.count > 0) return true;
  const { elevator, none } = hctx.queue;
  return elevator === null ? none.hasWork(hctx) : elevator.hasWork(hctx) || none.hasWork(hctx);
}

/** Dispatches here, or in kblockd when asked to or when this CPU is not one of the queue's. @kernel block/blk-mq.c blk_mq_run_hw_queue */
export function runHwQueue(hctx: HwCtx, async: boolean): void {
  const { queue } = hctx;
  if (queue.quiesceDepth > 0 || !hasPending(hctx)) return;
  const { blk } = queue;
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_mq_run_hw_queue');
    trace.enter('__blk_mq_delay_run_hw_queue');
  }
  if (async || !hctx.cpus.includes(blk.ex.cpu)) {
    delayRunHwQueue(hctx, 0);
  } else {
    if (blk.functions) trace.enter('__blk_mq_run_hw_queue');
    schedDispatchRequests(blk, hctx);
    if (blk.functions) trace.exit();
  }
  if (blk.functions) {
    trace.exit();
    trace.exit();
  }
}

/** @kernel block/blk-mq.c blk_mq_delay_run_hw_queue */
export function delayRunHwQueue(hctx: HwCtx, delayNs: number): void {
  if (hctx.exited || hctx.runWork === null) return;
  const { workqueues, kblockd } = hctx.queue.blk;
  workqueues.modDelayedWork(kblockd, hctx.runWork, delayNs);
}

/** @kernel block/blk-mq.c blk_mq_run_work_fn */
export function hctxRunWork(hctx: HwCtx): void {
  if (hctx.exited || hctx.queue.quiesceDepth > 0) return;
  schedDispatchRequests(hctx.queue.blk, hctx);
}

/** @kernel block/blk-mq.c blk_mq_run_hw_queues */
export function runHwQueues(q: Queue, async: boolean): void {
  for (const hctx of q.hctxs) runHwQueue(hctx, async);
}

/** @kernel block/blk-mq-sched.c blk_mq_sched_dispatch_requests */
function schedDispatchRequests(blk: Blk, hctx: HwCtx): void {
  const { queue } = hctx;
  if (queue.quiesceDepth > 0) return;
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_mq_sched_dispatch_requests');
    trace.enter('__blk_mq_sched_dispatch_requests');
  }
  hctx.runs++;
  let goesOn = true;
  if (hctx.dispatch.count > 0) {
    const list = new RequestList();
    list.append(hctx.dispatch);
    goesOn = dispatchRqList(blk, hctx, list);
  }
  if (goesOn) dispatchScheduled(blk, hctx);
  if (blk.functions) {
    trace.exit();
    trace.exit();
  }
}

/** @kernel block/blk-mq-sched.c blk_mq_do_dispatch_sched */
function dispatchScheduled(blk: Blk, hctx: HwCtx): void {
  const { elevator, none } = hctx.queue;
  const list = new RequestList();
  for (let rq = none.dispatch(hctx); rq !== null; rq = none.dispatch(hctx)) list.pushTail(rq as RequestImpl);
  if (list.count > 0 && !dispatchRqList(blk, hctx, list)) return;
  if (elevator === null) return;
  for (;;) {
    const rq = elevator.dispatch(hctx) as RequestImpl | null;
    if (rq === null) return;
    list.pushTail(rq);
    // A shared scheduler may give a request of another hardware queue.
    if (!dispatchRqList(blk, rq.mqHctx, list)) return;
  }
}

/** Gives a list to the driver; false when it could not take all. @kernel block/blk-mq.c blk_mq_dispatch_rq_list */
function dispatchRqList(blk: Blk, hctx: HwCtx, list: RequestList): boolean {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_dispatch_rq_list');
  const { ops } = hctx.queue.tagSet;
  const { bd, tagless: waiting } = hctx;
  let queued = 0;
  let needCommit = false;
  let status: BlkStatus = BLK_STS_OK;
  for (let rq = list.shift(); rq !== null; rq = list.shift()) {
    if (rq.tag < 0 && !getDriverTag(rq)) {
      // Those behind it that have a tag already may be the ones whose tags it waits for.
      waiting.pushTail(rq);
      continue;
    }
    bd.rq = rq;
    bd.last = list.count === 0;
    status = ops.queueRq(hctx, bd);
    if (status === BLK_STS_OK) {
      queued++;
      needCommit = !bd.last;
      continue;
    }
    if (isBusy(status)) {
      list.pushHead(rq);
      break;
    }
    needCommit = queued > 0;
    endRequest(blk, rq, status);
  }
  if (waiting.count > 0) {
    markTagWait(hctx);
    if (list.count === 0) status = BLK_STS_DEV_RESOURCE;
    waiting.append(list);
    list.append(waiting);
  }
  const busy = list.count > 0;
  if ((busy || needCommit) && queued > 0) ops.commitRqs?.(hctx);
  if (busy) putBack(hctx, list, status);
  if (blk.functions) trace.exit();
  return !busy;
}

function isBusy(status: BlkStatus): boolean {
  return status === BLK_STS_RESOURCE || status === BLK_STS_DEV_RESOURCE;
}

/** What the driver refused goes first next time; the queue runs again when a request of it is freed, or after a while. */
function putBack(hctx: HwCtx, list: RequestList, status: BlkStatus): void {
  list.append(hctx.dispatch);
  hctx.dispatch.append(list);
  hctx.restart = true;
  if (status === BLK_STS_RESOURCE || hctx.tags.bitmap.busy === hctx.dispatch.count)
    delayRunHwQueue(hctx, RESOURCE_DELAY_NS);
}

/** A request of a busy hardware queue was freed. @kernel block/blk-mq-sched.c __blk_mq_sched_restart */
export function schedRestart(hctx: HwCtx): void {
  hctx.restart = false;
  runHwQueue(hctx, true);
}

/** @kernel block/blk-mq.c blk_mq_try_issue_directly */
export function tryIssueDirectly(blk: Blk, rq: RequestImpl): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_try_issue_directly');
  if (rq.q.quiesceDepth > 0) {
    insertRequest(blk, rq, false);
  } else {
    const status = issueDirectly(blk, rq, true);
    if (isBusy(status)) {
      bypassInsert(rq, false);
      rq.mqHctx.restart = true;
      delayRunHwQueue(rq.mqHctx, RESOURCE_DELAY_NS);
    } else if (status !== BLK_STS_OK) {
      endRequest(blk, rq, status);
    }
  }
  if (blk.functions) trace.exit();
}

/** @kernel block/blk-mq.c __blk_mq_issue_directly */
function issueDirectly(blk: Blk, rq: RequestImpl, last: boolean): BlkStatus {
  const { trace } = blk;
  if (blk.functions) trace.enter('__blk_mq_try_issue_directly');
  const { bd } = rq.mqHctx;
  bd.rq = rq;
  bd.last = last;
  const status = rq.q.tagSet.ops.queueRq(rq.mqHctx, bd);
  if (blk.functions) trace.exit();
  return status;
}

/** Issues a plug's list one by one; returns what the driver could not take. @kernel block/blk-mq.c blk_mq_plug_issue_direct */
export function issueDirectList(blk: Blk, list: RequestImpl): RequestImpl | null {
  let hctx: HwCtx | null = null;
  let queued = 0;
  for (let rq: RequestImpl | null = list; rq !== null; ) {
    if (rq.q.quiesceDepth > 0) return rq;
    if (hctx !== rq.mqHctx) {
      if (hctx !== null && queued > 0) rq.q.tagSet.ops.commitRqs?.(hctx);
      queued = 0;
      hctx = rq.mqHctx;
    }
    const next: RequestImpl | null = rq.next;
    rq.next = null;
    const status = issueDirectly(blk, rq, next === null);
    if (status === BLK_STS_OK) {
      queued++;
    } else if (isBusy(status)) {
      if (queued > 0) rq.q.tagSet.ops.commitRqs?.(hctx);
      bypassInsert(rq, false);
      hctx.restart = true;
      delayRunHwQueue(hctx, RESOURCE_DELAY_NS);
      return next;
    } else {
      endRequest(blk, rq, status);
    }
    rq = next;
  }
  return null;
}
