/**
 * Time-outs: one timer per queue, and work that looks for requests whose deadline has passed.
 * Kernel counterpart: block/blk-timeout.c, block/blk-mq.c (blk_mq_start_request, blk_mq_timeout_work).
 */
import type { Item } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import { queueBusyIter } from './busy-iter.js';
import { blkIntegrityPrepare } from './integrity/t10-pi.js';
import {
  BLK_EH_RESET_TIMER,
  MQ_RQ_IDLE,
  MQ_RQ_IN_FLIGHT,
  REQ_INTEGRITY,
  REQ_OP_MASK,
  REQ_OP_WRITE,
  RQF_STARTED,
  RQF_TIMED_OUT,
  SECTOR_SIZE,
} from './ports.js';
import type { Queue } from './queue.js';
import type { RequestImpl } from './request.js';
import { giveTags } from './submit.js';
import { tagIdle } from './tag-share.js';
import { BLOCK_RQ_ISSUE, devNumber, rwbs } from './trace-events.js';

/** No timer is armed: any deadline is earlier. */
export const TIMER_IDLE = Number.POSITIVE_INFINITY;
/** Timers expire on whole seconds, so that many requests share one. @kernel block/blk-timeout.c blk_round_jiffies */
const GRAIN_NS = 1e9;

/** @kernel block/blk-core.c blk_rq_timed_out_timer */
export function newTimeoutTimer(q: Queue): Item {
  return q.blk.ex.item('softirq', 0, timerExpired, q);
}

function timerExpired(q: Queue): void {
  q.timerFloorNs = TIMER_IDLE;
  const { workqueues, kblockd } = q.blk;
  workqueues.queueWork(kblockd, q.timeoutWork);
}

/** Any context. @kernel block/blk-mq.c blk_mq_start_request */
export function startRequest(blk: Blk, rq: RequestImpl): void {
  if (rq.state !== MQ_RQ_IDLE) blk.ex.bug(`blk_mq_start_request: request of tag ${rq.tag} was started already`);
  if (!blk.untraced) traceStart(blk, rq);
  rq.rqFlags |= RQF_STARTED;
  rq.ioStartTimeNs = blk.ex.now();
  rq.state = MQ_RQ_IN_FLIGHT;
  addTimer(blk, rq, rq.ioStartTimeNs);
  if ((rq.cmdFlags & REQ_INTEGRITY) !== 0 && (rq.cmdFlags & REQ_OP_MASK) === REQ_OP_WRITE) blkIntegrityPrepare(blk, rq);
  if (blk.functions) {
    blk.trace.exit();
    blk.trace.exit();
  }
}

/** Starts the requests of a list; in one piece when nothing is traced. Any context. */
export function startRequests(blk: Blk, list: RequestImpl): void {
  const nowNs = blk.ex.now();
  for (let rq: RequestImpl | null = list; rq !== null; rq = rq.next) {
    if (!blk.untraced || rq.state !== MQ_RQ_IDLE || (rq.cmdFlags & REQ_INTEGRITY) !== 0) {
      startRequest(blk, rq);
      continue;
    }
    const { q } = rq;
    const deadlineNs = nowNs + (rq.timeoutNs !== 0 ? rq.timeoutNs : q.timeoutNs);
    rq.rqFlags = (rq.rqFlags | RQF_STARTED) & ~RQF_TIMED_OUT;
    rq.ioStartTimeNs = nowNs;
    rq.state = MQ_RQ_IN_FLIGHT;
    rq.deadlineNs = deadlineNs;
    if (deadlineNs <= q.timerFloorNs) armTimer(blk, q, deadlineNs);
  }
}

function traceStart(blk: Blk, rq: RequestImpl): void {
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_mq_start_request');
    trace.enter('blk_add_timer');
  }
  const bytes = rq.dataLengthBytes;
  trace.event(BLOCK_RQ_ISSUE, devNumber(rq.q.disk), rq.sector, bytes / SECTOR_SIZE, bytes, rwbs(rq.cmdFlags));
}

/** @kernel block/blk-timeout.c blk_add_timer */
function addTimer(blk: Blk, rq: RequestImpl, nowNs: number): void {
  const { q } = rq;
  rq.rqFlags &= ~RQF_TIMED_OUT;
  const deadlineNs = nowNs + (rq.timeoutNs !== 0 ? rq.timeoutNs : q.timeoutNs);
  rq.deadlineNs = deadlineNs;
  if (deadlineNs <= q.timerFloorNs) armTimer(blk, q, deadlineNs);
}

function armTimer(blk: Blk, q: Queue, deadlineNs: number): void {
  const over = deadlineNs % GRAIN_NS;
  const expiryNs = over === 0 ? deadlineNs : deadlineNs - over + GRAIN_NS;
  const cpu = blk.ex.cpu;
  q.timeoutTimer.cpu = Math.max(cpu, 0);
  q.timerFloorNs = expiryNs - GRAIN_NS;
  blk.ex.arm(q.timeoutTimer, expiryNs);
}

/** Asks the driver about every request whose time is over. Task context (kblockd). @kernel block/blk-mq.c blk_mq_timeout_work */
export async function timeoutWork(q: Queue): Promise<void> {
  const { blk } = q;
  const nowNs = blk.ex.now();
  const expired: RequestImpl[] = [];
  queueBusyIter(q, (rq) => {
    if (rq.state === MQ_RQ_IN_FLIGHT && (rq.rqFlags & RQF_TIMED_OUT) === 0 && rq.deadlineNs <= nowNs) expired.push(rq);
    return true;
  });
  for (const rq of expired) {
    if (rq.state === MQ_RQ_IN_FLIGHT && rq.deadlineNs <= nowNs) await rqTimedOut(blk, rq);
  }
  let nextNs = TIMER_IDLE;
  queueBusyIter(q, (rq) => {
    if (rq.state === MQ_RQ_IN_FLIGHT && (rq.rqFlags & RQF_TIMED_OUT) === 0) nextNs = Math.min(nextNs, rq.deadlineNs);
    return true;
  });
  if (nextNs === TIMER_IDLE) leaveShares(blk, q);
  else if (nextNs <= q.timerFloorNs) armTimer(blk, q, nextNs);
}

/** Nothing is under way: who shares tags with this queue may have its part. */
function leaveShares(blk: Blk, q: Queue): void {
  for (const hctx of q.hctxs) if (tagIdle(hctx)) giveTags(blk, hctx.tags);
}

/** The driver may sleep over it. @kernel block/blk-mq.c blk_mq_rq_timed_out */
async function rqTimedOut(blk: Blk, rq: RequestImpl): Promise<void> {
  rq.rqFlags |= RQF_TIMED_OUT;
  const { timeout } = rq.q.tagSet.ops;
  const verdict = timeout === undefined ? BLK_EH_RESET_TIMER : await timeout.call(rq.q.tagSet.ops, rq);
  if (verdict === BLK_EH_RESET_TIMER && rq.state === MQ_RQ_IN_FLIGHT) addTimer(blk, rq, blk.ex.now());
}

/** @kernel block/blk-settings.c blk_queue_rq_timeout */
export function setQueueTimeout(q: Queue, timeoutNs: number): void {
  q.timeoutNs = timeoutNs;
}
