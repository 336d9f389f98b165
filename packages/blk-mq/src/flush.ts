/**
 * The flush machinery: one flush serves all that wait for it, and FUA is made from a flush where the device lacks it.
 * Kernel counterpart: block/blk-flush.c.
 *
 * A sequence is PREFLUSH, DATA, POSTFLUSH, of which a request needs some. Requests that wait for a flush gather in the
 * pending list while another flush runs. The flush request borrows the tag of the first request it serves.
 */
import { accountFlush } from './account.js';
import type { Blk } from './blk.js';
import { schedRestart } from './dispatch.js';
import { endRequest } from './end-request.js';
import type { HwCtx } from './hw-ctx.js';
import {
  BLK_STS_OK,
  type BlkStatus,
  MQ_RQ_IDLE,
  REQ_DRV,
  REQ_FAILFAST_DEV,
  REQ_FAILFAST_DRIVER,
  REQ_FAILFAST_TRANSPORT,
  REQ_FUA,
  REQ_OP_FLUSH,
  REQ_PREFLUSH,
  REQ_SYNC,
  type Request,
  RQ_END_IO_NONE,
  RQF_FLUSH_SEQ,
  type RqEndIoRet,
} from './ports.js';
import { RequestImpl, RequestList } from './request.js';
import { kickRequeueList } from './requeue.js';

/** @kernel block/blk-flush.c REQ_FSEQ_* */
const FSEQ_PREFLUSH = 1;
const FSEQ_DATA = 2;
const FSEQ_POSTFLUSH = 4;
const FSEQ_DONE = 8;
const FSEQ_ACTIONS = FSEQ_PREFLUSH | FSEQ_DATA | FSEQ_POSTFLUSH;
/** What a flush takes over from the request it is sent for. */
const INHERITED = REQ_DRV | REQ_FAILFAST_DEV | REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER;
/** A flush does not wait longer than this for data under way. @kernel block/blk-flush.c FLUSH_PENDING_TIMEOUT */
const PENDING_TIMEOUT_NS = 5e9;

/** @kernel block/blk.h blk_flush_queue */
export class FlushQueue {
  readonly flushRq: RequestImpl;
  pendingIdx = 0;
  runningIdx = 0;
  pendingSinceNs = 0;
  dataInFlight = 0;
  readonly lists = [new RequestList(), new RequestList()] as const;

  constructor(hctx: HwCtx) {
    const rq = new RequestImpl(hctx.tags, -1);
    rq.q = hctx.queue;
    rq.mqHctx = hctx;
    this.flushRq = rq;
  }
}

/** Takes a request with PREFLUSH or FUA into the machinery; false: it goes on like any other. @kernel block/blk-flush.c blk_insert_flush */
export function insertFlush(blk: Blk, rq: RequestImpl): boolean {
  const { q } = rq;
  const policy = flushPolicy(rq);
  rq.cmdFlags &= ~REQ_PREFLUSH;
  if (!q.limits.fua) rq.cmdFlags &= ~REQ_FUA;
  rq.cmdFlags |= REQ_SYNC;
  if (policy === 0) {
    endRequest(blk, rq, BLK_STS_OK);
    return true;
  }
  if (policy === FSEQ_DATA) return false;
  rq.flushSeq = 0;
  rq.rqFlags |= RQF_FLUSH_SEQ;
  rq.flushSavedEndIo = rq.endIo;
  rq.endIo = flushDataEndIo;
  if (policy === (FSEQ_DATA | FSEQ_POSTFLUSH)) {
    rq.flushSeq |= FSEQ_PREFLUSH;
    (rq.mqHctx.flushQueue as FlushQueue).dataInFlight++;
    return false;
  }
  completeSeq(blk, rq, FSEQ_ACTIONS & ~policy, BLK_STS_OK);
  return true;
}

/** @kernel block/blk-flush.c blk_flush_policy */
function flushPolicy(rq: RequestImpl): number {
  let policy = rq.dataLengthBytes > 0 ? FSEQ_DATA : 0;
  if (!rq.q.writeCache) return policy;
  if ((rq.cmdFlags & REQ_PREFLUSH) !== 0) policy |= FSEQ_PREFLUSH;
  if ((rq.cmdFlags & REQ_FUA) !== 0 && !rq.q.limits.fua) policy |= FSEQ_POSTFLUSH;
  return policy;
}

function currentSeq(rq: RequestImpl): number {
  for (let step = FSEQ_PREFLUSH; step < FSEQ_DONE; step <<= 1) if ((rq.flushSeq & step) === 0) return step;
  return FSEQ_DONE;
}

/** Marks steps done and starts the next. @kernel block/blk-flush.c blk_flush_complete_seq */
function completeSeq(blk: Blk, rq: RequestImpl, steps: number, status: BlkStatus): void {
  const fq = rq.mqHctx.flushQueue as FlushQueue;
  rq.flushSeq |= steps;
  const step = status === BLK_STS_OK ? currentSeq(rq) : FSEQ_DONE;
  if (step === FSEQ_DATA) {
    fq.dataInFlight++;
    rq.q.requeueList.pushTail(rq);
    kickRequeueList(rq.q);
  } else if (step === FSEQ_DONE) {
    rq.rqFlags &= ~RQF_FLUSH_SEQ;
    rq.endIo = rq.flushSavedEndIo;
    rq.flushSavedEndIo = null;
    const { mqHctx: hctx } = rq;
    endRequest(blk, rq, status);
    kickFlush(blk, hctx);
    return;
  } else {
    const pending = fq.lists[fq.pendingIdx];
    if (pending.count === 0) fq.pendingSinceNs = blk.ex.now();
    pending.pushTail(rq);
  }
  kickFlush(blk, rq.mqHctx);
}

/** Sends one flush for all that wait, unless one runs or data it should cover is under way. @kernel block/blk-flush.c blk_kick_flush */
function kickFlush(blk: Blk, hctx: HwCtx): void {
  const fq = hctx.flushQueue as FlushQueue;
  const first = fq.lists[fq.pendingIdx].head;
  if (fq.pendingIdx !== fq.runningIdx || first === null) return;
  if (fq.dataInFlight > 0 && blk.ex.now() - fq.pendingSinceNs < PENDING_TIMEOUT_NS) return;
  fq.pendingIdx ^= 1;
  const rq = fq.flushRq;
  rq.mqCtx = first.mqCtx;
  rq.cpu = first.cpu;
  rq.tag = first.tag;
  rq.tags.rqs[rq.tag] = rq;
  rq.cmdFlags = REQ_OP_FLUSH | REQ_PREFLUSH | (first.cmdFlags & INHERITED);
  rq.rqFlags = RQF_FLUSH_SEQ;
  rq.sector = 0;
  rq.dataLengthBytes = 0;
  rq.nrPhysSegments = 0;
  rq.timeoutNs = 0;
  rq.startTimeNs = blk.ex.now();
  rq.endIo = flushEndIo;
  hctx.queue.requeueList.pushHead(rq);
  kickRequeueList(hctx.queue);
}

/** The flush is done: each request it served takes its next step. @kernel block/blk-flush.c flush_end_io */
function flushEndIo(flushRq: Request, status: BlkStatus): RqEndIoRet {
  const rq = flushRq as RequestImpl;
  const { blk } = rq.q;
  const fq = rq.mqHctx.flushQueue as FlushQueue;
  accountFlush(rq.q.disk, blk.ex.now() - rq.startTimeNs);
  rq.tags.rqs[rq.tag] = rq.tags.staticRqs[rq.tag];
  rq.state = MQ_RQ_IDLE;
  rq.tag = -1;
  rq.endIo = null;
  const running = fq.lists[fq.runningIdx];
  fq.runningIdx ^= 1;
  for (let served = running.shift(); served !== null; served = running.shift())
    completeSeq(blk, served, currentSeq(served), status);
  return RQ_END_IO_NONE;
}

/** The data of a sequence is on the device. @kernel block/blk-flush.c mq_flush_data_end_io */
function flushDataEndIo(data: Request, status: BlkStatus): RqEndIoRet {
  const rq = data as RequestImpl;
  const { blk } = rq.q;
  const hctx = rq.mqHctx;
  (hctx.flushQueue as FlushQueue).dataInFlight--;
  rq.state = MQ_RQ_IDLE;
  completeSeq(blk, rq, FSEQ_DATA, status);
  if (hctx.restart) schedRestart(hctx);
  return RQ_END_IO_NONE;
}
