/**
 * How requests end: bios are told, counters kept, tags given back; one by one or in a batch.
 * Kernel counterpart: block/blk-mq.c (blk_update_request, blk_mq_end_request, blk_mq_end_request_batch, blk_mq_free_request).
 */
import { accountIoCompletion, accountIoDone, latencyKind } from './account.js';
import { type BioImpl, bioEndio } from './bio.js';
import type { Blk } from './blk.js';
import { schedRestart } from './dispatch.js';
import { errnoOfStatus, printReqError } from './error-log.js';
import { queueExit } from './freeze.js';
import type { HwCtx } from './hw-ctx.js';
import { blkIntegrityComplete } from './integrity/t10-pi.js';
import {
  BLK_STS_OK,
  type BlkStatus,
  type IoCompBatch,
  MQ_RQ_IDLE,
  REQ_INTEGRITY,
  REQ_OP_MASK,
  REQ_OP_READ,
  RQ_END_IO_FREE,
  RQF_FAILED,
  RQF_FLUSH_SEQ,
  RQF_QUIET,
  SECTOR_SIZE,
} from './ports.js';
import { isPassthrough, type RequestImpl, RQF_STATED, RQF_USE_SCHED } from './request.js';
import { putSchedTags } from './sched-tags.js';
import { giveTags } from './submit.js';
import { RQF_MQ_INFLIGHT } from './tag-share.js';
import { clearTag, tagInUse } from './tags.js';
import { BLOCK_RQ_COMPLETE, devNumber, rwbs } from './trace-events.js';

/** Flags whose requests have something to undo before their tags go back. */
const NEEDS_FINISH = RQF_USE_SCHED | RQF_MQ_INFLIGHT;
/** Flags of requests that are counted, or have something to undo. */
const NOT_PLAIN = NEEDS_FINISH | RQF_STATED;

/** Ends the first `bytes` of a request; true when something is left. Any context. @kernel block/blk-mq.c blk_update_request */
export function updateRequest(blk: Blk, rq: RequestImpl, status: BlkStatus, bytes: number): boolean {
  if (blk.events) traceComplete(blk, rq, status, bytes);
  // Within a flush sequence bios end with its last step.
  if (rq.bio === null || (rq.rqFlags & RQF_FLUSH_SEQ) !== 0) return false;
  if (status === BLK_STS_OK) {
    if (readsIntegrity(rq)) blkIntegrityComplete(blk, rq);
  } else if (!isPassthrough(rq)) {
    rq.rqFlags |= RQF_FAILED;
    if ((rq.rqFlags & RQF_QUIET) === 0) printReqError(blk, rq, status);
  }
  accountIoCompletion(blk, rq, bytes);
  let left = bytes;
  for (let bio: BioImpl | null = rq.bio; bio !== null; ) {
    const size = bio.sizeBytes - bio.doneBytes;
    if (left < size) {
      bio.doneBytes += left;
      break;
    }
    left -= size;
    const next: BioImpl | null = bio.next;
    endBio(blk, rq, bio, status);
    bio = next;
    rq.bio = bio;
  }
  if (rq.bio === null) {
    rq.biotail = null;
    rq.dataLengthBytes = 0;
    return false;
  }
  rq.dataLengthBytes -= bytes;
  if (!isPassthrough(rq)) rq.sector += bytes / SECTOR_SIZE;
  return true;
}

/** A read with metadata, whose reference tags are the device's as yet. */
function readsIntegrity({ cmdFlags }: RequestImpl): boolean {
  return (cmdFlags & REQ_INTEGRITY) !== 0 && (cmdFlags & REQ_OP_MASK) === REQ_OP_READ;
}

function endBio(blk: Blk, rq: RequestImpl, bio: BioImpl, status: BlkStatus): void {
  bio.next = null;
  if (bio === rq.ownBio) return;
  if (status !== BLK_STS_OK) bio.status = status;
  bioEndio(blk, bio);
}

function traceComplete(blk: Blk, rq: RequestImpl, status: BlkStatus, bytes: number): void {
  const error = errnoOfStatus(status);
  blk.trace.event(BLOCK_RQ_COMPLETE, devNumber(rq.q.disk), rq.sector, bytes / SECTOR_SIZE, error, rwbs(rq.cmdFlags));
}

/** Any context. @kernel block/blk-mq.c blk_mq_end_request */
export function endRequest(blk: Blk, rq: RequestImpl, status: BlkStatus): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_end_request');
  checkInUse(blk, rq, 'blk_mq_end_request');
  if (updateRequest(blk, rq, status, rq.dataLengthBytes)) blk.ex.bug('blk_mq_end_request left a part of its request');
  finishEnd(blk, rq, status);
  if (blk.functions) trace.exit();
}

/** Ends a request whose bios have ended. @kernel block/blk-mq.c __blk_mq_end_request */
export function finishEnd(blk: Blk, rq: RequestImpl, status: BlkStatus): void {
  endAccounting(blk, rq, blk.ex.now());
  finishRequest(blk, rq);
  const { endIo } = rq;
  if (endIo !== null) {
    if (endIo(rq, status) === RQ_END_IO_FREE) freeRequest(blk, rq);
  } else {
    freeRequest(blk, rq);
  }
}

/** Ending a request whose tag is free is a BUG. */
function checkInUse(blk: Blk, rq: RequestImpl, what: string): void {
  if (!tagInUse(rq.tags, rq.tag) || rq.tags.rqs[rq.tag] !== rq)
    blk.ex.bug(`${what}: request of tag ${rq.tag} of ${rq.tags.name} ended twice`);
}

/** @kernel block/blk-mq.c __blk_mq_end_request_acct */
function endAccounting(blk: Blk, rq: RequestImpl, nowNs: number): void {
  const { trace } = blk;
  const { q } = rq;
  if (q.wbtLatUsec !== 0) {
    if (blk.functions) {
      trace.enter('blk_stat_add');
      trace.exit();
    }
    q.latency.add(latencyKind(rq.cmdFlags), nowNs - rq.ioStartTimeNs);
  }
  accountIoDone(rq, nowNs);
}

/** @kernel block/blk-mq.c blk_mq_finish_request */
function finishRequest(blk: Blk, rq: RequestImpl): void {
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_mq_finish_request');
    trace.exit();
  }
  if ((rq.rqFlags & RQF_MQ_INFLIGHT) !== 0) {
    rq.rqFlags &= ~RQF_MQ_INFLIGHT;
    rq.mqHctx.nrActive--;
  }
  if ((rq.rqFlags & RQF_USE_SCHED) === 0) return;
  rq.rqFlags &= ~RQF_USE_SCHED;
  rq.q.elevator?.completed?.(rq);
}

/** Gives the request's tag back. Any context. @kernel block/blk-mq.c blk_mq_free_request */
export function freeRequest(blk: Blk, rq: RequestImpl): void {
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_mq_free_request');
    trace.enter('blk_mq_put_tag');
  }
  if ((rq.rqFlags & NEEDS_FINISH) !== 0) finishRequest(blk, rq);
  const { q, mqHctx, tags, schedTags } = rq;
  if (rq.bio !== null && rq.bio === rq.ownBio) rq.bio = rq.biotail = null;
  rq.state = MQ_RQ_IDLE;
  rq.endIo = null;
  rq.endIoData = null;
  if (schedTags === null) clearTag(tags, rq.tag, rq.cpu, true);
  else putSchedTags(rq, schedTags);
  if (blk.functions) trace.exit();
  afterTags(blk, mqHctx);
  if (blk.functions) trace.exit();
  queueExit(q);
}

/** Tags of a hardware queue were freed: who waits for them goes on. */
function afterTags(blk: Blk, hctx: HwCtx): void {
  const { tags, schedTags } = hctx;
  if (hctx.restart) schedRestart(hctx);
  if (tags.waitHead !== null || tags.waitingTasks.length > 0 || tags.waitingHctxs.length > 0) giveTags(blk, tags);
  if (schedTags !== null && schedTags.waitHead !== null) giveTags(blk, schedTags);
}

/** Ends a batch; tags go back together. Any context. @kernel block/blk-mq.c blk_mq_end_request_batch */
export function endRequestBatch(blk: Blk, iob: IoCompBatch): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_end_request_batch');
  const first = iob.first as RequestImpl | null;
  iob.first = iob.last = null;
  const nowNs = blk.ex.now();
  for (let rq = first; rq !== null; rq = rq.next) {
    if (blk.untraced) endFast(blk, rq, nowNs);
    else endWell(blk, rq, nowNs);
  }
  if (first !== null) putTags(blk, first);
  if (blk.functions) trace.exit();
}

/** Ends one of a batch, but for its tag. */
function endWell(blk: Blk, rq: RequestImpl, nowNs: number): void {
  if (rq.state === MQ_RQ_IDLE) checkInUse(blk, rq, 'blk_mq_end_request_batch');
  completeRequest(blk, rq);
  endAccounting(blk, rq, nowNs);
  finishRequest(blk, rq);
  rq.state = MQ_RQ_IDLE;
}

/** The same for a request of one whole bio with nothing to count or undo, when nothing is traced. */
function endFast(blk: Blk, rq: RequestImpl, nowNs: number): void {
  const { bio } = rq;
  if (
    bio === null ||
    bio.next !== null ||
    bio.parent !== null ||
    bio.integrity !== null ||
    !bio.inFlight ||
    rq.state === MQ_RQ_IDLE ||
    (rq.rqFlags & NOT_PLAIN) !== 0 ||
    rq.q.wbtLatUsec !== 0
  ) {
    endWell(blk, rq, nowNs);
    return;
  }
  bio.inFlight = false;
  const { endIo } = bio;
  if (endIo !== null) endIo(bio);
  rq.bio = rq.biotail = null;
  rq.state = MQ_RQ_IDLE;
}

/** Ends the bios of a request that did well. @kernel block/blk-mq.c blk_complete_request */
function completeRequest(blk: Blk, rq: RequestImpl): void {
  if (blk.events) traceComplete(blk, rq, BLK_STS_OK, rq.dataLengthBytes);
  let bio = rq.bio;
  if (bio === null) return;
  if (readsIntegrity(rq)) blkIntegrityComplete(blk, rq);
  accountIoCompletion(blk, rq, rq.dataLengthBytes);
  do {
    const next: BioImpl | null = bio.next;
    endBio(blk, rq, bio, BLK_STS_OK);
    bio = next;
  } while (bio !== null);
  rq.bio = rq.biotail = null;
}

/** Gives the tags of a list back, hardware queue by hardware queue. @kernel block/blk-mq-tag.c blk_mq_put_tags */
function putTags(blk: Blk, first: RequestImpl): void {
  const { trace } = blk;
  let rq: RequestImpl | null = first;
  while (rq !== null) {
    const hctx: HwCtx = rq.mqHctx;
    const { queue } = hctx;
    let count = 0;
    if (blk.functions) trace.enter('blk_mq_put_tags');
    while (rq !== null && rq.mqHctx === hctx) {
      const next: RequestImpl | null = rq.next;
      rq.next = null;
      if (rq.schedTags === null) clearTag(rq.tags, rq.tag, rq.cpu, count === 0);
      else putSchedTags(rq, rq.schedTags);
      count++;
      rq = next;
    }
    if (blk.functions) trace.exit();
    afterTags(blk, hctx);
    queue.usage -= count - 1;
    queueExit(queue);
  }
}
