/**
 * Submission: from `submit_bio` to a request in the plug, or issued.
 * Kernel counterpart: block/blk-core.c (submit_bio, submit_bio_noacct, __submit_bio), block/blk-mq.c (blk_mq_submit_bio).
 *
 * Never sleeps. A bio without a tag, or on a frozen queue, parks first in, first out, and goes on in the context that
 * frees a tag or thaws the queue.
 */

import { Completion, complete, cpuRelax, traced, waitForCompletion } from '@nvme-stack/kernel';
import { accountIoStart } from './account.js';
import { type BioImpl, bioEndWith, bioIoError, bioWouldblockError } from './bio.js';
import { submitBioBased } from './bio-based.js';
import { checkEod, checkOp, checkRo } from './bio-checks.js';
import type { Blk } from './blk.js';
import { insertRequest, runHwQueue } from './dispatch.js';
import { insertFlush } from './flush.js';
import { enterFrozen, queueExit } from './freeze.js';
import type { Disk } from './gendisk.js';
import type { HwCtx, SwCtx } from './hw-ctx.js';
import { bioIntegrityPrep } from './integrity/bio-integrity.js';
import { attemptPlugMerge, bioMergeable, schedBioMerge } from './merge.js';
import { addRqToPlug, blkFlushPlug, flushBeforeSleep, MAX_NESTED, type Plug } from './plug.js';
import { bioPoll, pollCookie } from './poll.js';
import {
  type Bio,
  BLK_STS_IOERR,
  BLK_STS_OK,
  type BlkStatus,
  HCTX_TYPE_DEFAULT,
  HCTX_TYPE_POLL,
  HCTX_TYPE_READ,
  MQ_RQ_IDLE,
  REQ_DRV,
  REQ_FUA,
  REQ_NOWAIT,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_POLLED,
  REQ_PREFLUSH,
  REQ_SYNC,
  RQF_IO_STAT,
  SECTOR_SIZE,
} from './ports.js';
import type { Queue } from './queue.js';
import { type RequestImpl, RQF_USE_SCHED } from './request.js';
import { bytesToSectors } from './sectors.js';
import { SPLIT_IMPOSSIBLE, SPLIT_NONE, splitBio, splitLength } from './split.js';
import { issueAlone, submitFast } from './submit-fast.js';
import { countActive, mayQueue } from './tag-share.js';
import { bitmapGet, grantTasks, parkForTag, type Tags, unparkAllowed } from './tags.js';
import { BLOCK_BIO_QUEUE, BLOCK_GETRQ, devNumber, rwbs } from './trace-events.js';

const FLUSH_FLAGS = REQ_PREFLUSH | REQ_FUA;

/** Any context with a CPU. @kernel block/blk-core.c submit_bio */
export function submitBio(blk: Blk, bio: BioImpl): void {
  const { trace } = blk;
  blk.ex.assertAwake('submit_bio');
  bio.status = BLK_STS_OK;
  bio.doneBytes = 0;
  bio.cookie = -1;
  bio.parent = null;
  if (bio.inFlight) blk.ex.bug(`bio at sector ${bio.sector} submitted again before it ended`);
  if (blk.untraced && submitFast(blk, bio)) return;
  bio.inFlight = true;
  if (blk.functions) {
    trace.enter('submit_bio');
    trace.enter('submit_bio_noacct');
  }
  if (checkBio(blk, bio)) submitNocheck(blk, bio);
  if (blk.functions) {
    trace.exit();
    trace.exit();
  }
}

/** False when the bio has ended already. @kernel block/blk-core.c submit_bio_noacct */
function checkBio(blk: Blk, bio: BioImpl): boolean {
  const disk = bio.disk as Disk | null;
  if (disk === null || disk.dead) {
    bioIoError(blk, bio);
    return false;
  }
  const op = bio.opf & REQ_OP_MASK;
  if (op !== REQ_OP_READ) {
    if (disk.readOnly) checkRo(blk, disk, bio);
    if (op !== REQ_OP_WRITE && !checkOp(blk, disk.queue, bio)) return false;
  }
  if (bio.sector + bytesToSectors(bio.sizeBytes) > disk.capacitySectors && !checkEod(blk, disk, bio)) return false;
  if ((bio.opf & FLUSH_FLAGS) !== 0 && !disk.queue.writeCache) {
    bio.opf &= ~FLUSH_FLAGS;
    if (bio.sizeBytes === 0) {
      bioEndWith(blk, bio, BLK_STS_OK);
      return false;
    }
  }
  if ((bio.opf & REQ_POLLED) !== 0 && !disk.queue.canPoll) bio.opf &= ~REQ_POLLED;
  return true;
}

/** Passes a bio that is under way on to its disk. @kernel block/blk-core.c submit_bio_noacct */
export function submitBioNoacct(blk: Blk, bio: BioImpl): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('submit_bio_noacct');
  if (checkBio(blk, bio)) {
    if (blk.bioStack.active) blk.bioStack.fresh.push(bio);
    else submitNocheck(blk, bio);
  }
  if (blk.functions) trace.exit();
}

/** @kernel block/blk-core.c submit_bio_noacct_nocheck */
function submitNocheck(blk: Blk, bio: BioImpl): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('submit_bio_noacct_nocheck');
  // A driver's disk passed it on: it was told of there.
  if (blk.events && (bio.opf & REQ_DRV) === 0) traceBio(blk, BLOCK_BIO_QUEUE, bio);
  resubmitBio(blk, (bio.disk as Disk).queue, bio);
  if (blk.functions) trace.exit();
}

/** Submits a bio and what splitting leaves of it, part by part. @kernel block/blk-core.c __submit_bio_noacct_mq */
export function resubmitBio(blk: Blk, q: Queue, bio: BioImpl): void {
  if (q.isBioBased) {
    submitBioBased(blk, bio);
    return;
  }
  let next: BioImpl | null = bio;
  while (next !== null) next = submitPart(blk, q, next);
}

/** Returns the part that is left. @kernel block/blk-core.c __submit_bio */
function submitPart(blk: Blk, q: Queue, bio: BioImpl): BioImpl | null {
  const { trace } = blk;
  if (blk.functions) trace.enter('__submit_bio');
  let plug = blk.ex.current.plug as Plug | null;
  let rest: BioImpl | null;
  if (plug !== null || !blk.ownPlug || blk.plugDepth === MAX_NESTED) {
    rest = blkMqSubmitBio(blk, q, bio, plug);
  } else {
    plug = blk.plugs[blk.plugDepth++];
    rest = blkMqSubmitBio(blk, q, bio, plug);
    if (plug.count > 0) blkFlushPlug(blk, plug, false);
    blk.plugDepth--;
  }
  if (blk.functions) trace.exit();
  return rest;
}

/** @kernel block/blk-mq.c blk_mq_submit_bio */
function blkMqSubmitBio(blk: Blk, q: Queue, bio: BioImpl, plug: Plug | null): BioImpl | null {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_submit_bio');
  let rest: BioImpl | null = null;
  if (q.freezeDepth !== 0) {
    enterFrozen(q, bio);
  } else if (!blk.era.integrity.beforeSplit || !hasIntegrityStep(blk, q) || bioIntegrityPrep(blk, q, bio)) {
    rest = splitOrQueue(blk, q, bio, plug);
  }
  if (blk.functions) trace.exit();
  return rest;
}

/** Queues what the limits let go as one; returns the part that is left. */
function splitOrQueue(blk: Blk, q: Queue, bio: BioImpl, plug: Plug | null): BioImpl | null {
  const bytes = splitLength(blk, q, bio);
  if (bytes === SPLIT_NONE) {
    mergeOrQueue(blk, q, bio, plug);
  } else if (bytes === SPLIT_IMPOSSIBLE) {
    bioEndWith(blk, bio, BLK_STS_IOERR);
  } else if ((bio.opf & REQ_NOWAIT) !== 0) {
    bioWouldblockError(blk, bio);
  } else {
    const front = splitBio(blk, bio, bytes);
    const rest = blk.splitRest as BioImpl;
    mergeOrQueue(blk, q, front, plug);
    return rest;
  }
  return null;
}

function mergeOrQueue(blk: Blk, q: Queue, bio: BioImpl, plug: Plug | null): void {
  if (!blk.era.integrity.beforeSplit && hasIntegrityStep(blk, q) && !bioIntegrityPrep(blk, q, bio)) return;
  if (q.noMerges === 0 && bioMergeable(bio) && attemptMerge(blk, q, bio, plug)) return;
  const cpu = blk.ex.cpu;
  const ctx = q.ctxs[Math.max(cpu, 0)];
  const hctx = ctx.hctxs[hctxType(bio.opf)];
  q.usage++;
  const rq = hctx.nrWaiting === 0 ? allocRequest(blk, q, bio, hctx, ctx) : null;
  if (rq !== null) {
    queueRequest(blk, q, bio, rq, plug);
    return;
  }
  if ((bio.opf & REQ_NOWAIT) !== 0) {
    bioWouldblockError(blk, bio);
    queueExit(q);
    return;
  }
  // What gathered may hold the very tags this bio waits for.
  if (plug !== null && plug.count > 0) blkFlushPlug(blk, plug, true);
  const tags = tagsFor(hctx, bio);
  bio.waitHctx = hctx;
  bio.waitCtx = ctx;
  parkForTag(tags, bio);
  giveTags(blk, tags);
}

/** Somebody sees that the step is taken, or it does something. */
function hasIntegrityStep(blk: Blk, q: Queue): boolean {
  return blk.functions !== 0 || q.limits.integrity !== null;
}

/** @kernel block/blk-mq.c blk_mq_attempt_bio_merge */
function attemptMerge(blk: Blk, q: Queue, bio: BioImpl, plug: Plug | null): boolean {
  const { trace } = blk;
  if (!blk.functions) {
    if (plug !== null && plug.count > 0 && attemptPlugMerge(blk, q, plug, bio)) return true;
    return (q.elevator !== null || q.none.total > 0) && schedBioMerge(blk, q, bio);
  }
  trace.enter('blk_mq_attempt_bio_merge');
  const merged = attemptPlugMerge(blk, q, plug, bio) || schedBioMerge(blk, q, bio);
  trace.exit();
  return merged;
}

/** @kernel block/blk-mq.h blk_mq_get_hctx_type */
export function hctxType(opf: number): number {
  if ((opf & REQ_POLLED) !== 0) return HCTX_TYPE_POLL;
  return (opf & REQ_OP_MASK) === REQ_OP_READ ? HCTX_TYPE_READ : HCTX_TYPE_DEFAULT;
}

/** The tags a bio's request comes from: the scheduler's, when it goes through one. */
export function tagsFor(hctx: HwCtx, bio: BioImpl): Tags {
  return hctx.schedTags !== null && usesScheduler(hctx.queue, bio.opf) ? hctx.schedTags : hctx.tags;
}

/** @kernel block/blk-mq-tag.c __blk_mq_get_tag */
function takeBit(tags: Tags, hctx: HwCtx, ctx: SwCtx): number {
  if (hctx.shared && tags === hctx.tags && !mayQueue(hctx)) return -1;
  return bitmapGet(tags.bitmap, ctx.cpu);
}

/** @kernel block/blk-mq.c __blk_mq_alloc_requests */
function allocRequest(blk: Blk, q: Queue, bio: BioImpl, hctx: HwCtx, ctx: SwCtx): RequestImpl | null {
  const { trace } = blk;
  const tags = tagsFor(hctx, bio);
  let tag: number;
  if (blk.functions) {
    trace.enter('__blk_mq_alloc_requests');
    trace.enter('blk_mq_get_tag');
    trace.enter('__blk_mq_get_tag');
    tag = takeBit(tags, hctx, ctx);
    trace.exit();
    trace.exit();
  } else {
    tag = takeBit(tags, hctx, ctx);
  }
  const rq = tag < 0 ? null : rqCtxInit(blk, q, bio.opf, tags.staticRqs[tag + tags.nrReserved], hctx, ctx);
  if (rq !== null && hctx.shared && rq.schedTags === null) countActive(hctx, rq);
  if (blk.functions) trace.exit();
  return rq;
}

/** Fills a request whose tag was taken. @kernel block/blk-mq.c blk_mq_rq_ctx_init */
export function rqCtxInit(blk: Blk, q: Queue, opf: number, rq: RequestImpl, hctx: HwCtx, ctx: SwCtx): RequestImpl {
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_mq_rq_ctx_init');
    trace.exit();
  }
  if (rq.state !== MQ_RQ_IDLE) blk.ex.bug(`tag ${rq.tag} of ${rq.tags.name} handed out while its request is in use`);
  if (rq.mqCtx !== ctx || rq.mqHctx !== hctx) {
    rq.q = q;
    rq.mqHctx = hctx;
    rq.mqCtx = ctx;
    rq.cpu = ctx.cpu;
  }
  rq.cmdFlags = opf;
  rq.rqFlags = q.ioStat ? RQF_IO_STAT : 0;
  if (rq.schedTags !== null) rq.rqFlags |= RQF_USE_SCHED;
  rq.startTimeNs = q.ioStat ? blk.ex.now() : 0;
  rq.timeoutNs = 0;
  rq.endIo = null;
  rq.next = null;
  rq.flushSeq = 0;
  return rq;
}

/** What becomes a flush sequence goes round the scheduler, with a tag of the driver's, which its flush borrows. */
function usesScheduler({ writeCache, limits }: Queue, opf: number): boolean {
  if (!writeCache || (opf & FLUSH_FLAGS) === 0) return true;
  return (opf & REQ_PREFLUSH) === 0 && limits.fua;
}

/** @kernel block/blk-mq.c blk_mq_submit_bio (from trace_block_getrq on) */
function queueRequest(blk: Blk, q: Queue, bio: BioImpl, rq: RequestImpl, plug: Plug | null): void {
  if (blk.events) traceBio(blk, BLOCK_GETRQ, bio);
  bioToRequest(rq, bio);
  if ((bio.opf & REQ_POLLED) !== 0) bio.cookie = pollCookie(rq.mqHctx.queueNum, rq.tag);
  accountIoStart(rq);
  if ((bio.opf & FLUSH_FLAGS) !== 0 && insertFlush(blk, rq)) return;
  if (plug !== null) {
    addRqToPlug(blk, plug, rq);
    return;
  }
  if ((rq.rqFlags & RQF_USE_SCHED) !== 0 || (!blk.era.submitOwnsPlug && rq.mqHctx.restart)) {
    insertRequest(blk, rq, false);
    runHwQueue(rq.mqHctx, !blk.era.submitOwnsPlug);
  } else {
    issueAlone(blk, q, rq);
  }
}

/** @kernel block/blk-mq.c blk_mq_bio_to_request */
function bioToRequest(rq: RequestImpl, bio: BioImpl): void {
  rq.sector = bio.sector;
  rq.dataLengthBytes = bio.sizeBytes;
  rq.nrPhysSegments = bio.nrSegs;
  rq.bio = bio;
  rq.biotail = bio;
}

/** Issues bios that wait, as many as there are tags, under a plug; returns how many. */
function issueWaiting(blk: Blk, tags: Tags): number {
  let issued = 0;
  const plug = blk.era.submitOwnsPlug && blk.plugDepth < MAX_NESTED ? blk.plugs[blk.plugDepth++] : null;
  while (tags.waitHead !== null && tags.bitmap.busy < tags.bitmap.depth) {
    const bio = unparkAllowed(tags);
    if (bio === null) break;
    issued++;
    const hctx = bio.waitHctx as HwCtx;
    const rq = allocRequest(blk, hctx.queue, bio, hctx, bio.waitCtx as SwCtx) as RequestImpl;
    queueRequest(blk, hctx.queue, bio, rq, plug);
  }
  if (plug !== null) {
    if (plug.count > 0) blkFlushPlug(blk, plug, false);
    blk.plugDepth--;
  }
  return issued;
}

/**
 * Gives free tags to the bios that wait, in their order, in the context that freed them.
 * @kernel lib/sbitmap.c sbitmap_queue_wake_up
 */
export function giveTags(blk: Blk, tags: Tags): void {
  if (tags.draining) return;
  tags.draining = true;
  let issued = 0;
  do {
    if (tags.waitingTasks.length > 0) grantTasks(tags, Math.max(blk.ex.cpu, 0));
    issued = issueWaiting(blk, tags);
    // What was issued may have ended at once, and given its tag back meanwhile.
  } while (issued > 0 && tags.waitHead !== null && tags.bitmap.busy < tags.bitmap.depth);
  tags.draining = false;
  if (tags.waitingHctxs.length > 0) for (const hctx of tags.waitingHctxs.splice(0)) runHwQueue(hctx, true);
}

function traceBio(blk: Blk, type: typeof BLOCK_GETRQ, bio: BioImpl): void {
  blk.trace.event(type, devNumber(bio.disk), bio.sector, bio.sizeBytes / SECTOR_SIZE, 0, rwbs(bio.opf));
}

/** @kernel block/bio.c submit_bio_wait_endio */
function submitBioWaitEndio(bio: Bio): void {
  const done = bio.private as Completion;
  const { trace } = done.kernel;
  if (trace.functions) trace.enter('submit_bio_wait_endio');
  complete(done);
  if (trace.functions) trace.exit();
}

/** Submits and waits, polling a REQ_POLLED bio; the bio's own `endIo` and `private` are put back. @kernel block/bio.c submit_bio_wait */
export const submitBioWait = traced('submit_bio_wait', async (blk: Blk, bio: BioImpl): Promise<BlkStatus> => {
  const { endIo, private: owner } = bio;
  const done = new Completion(blk.kernel, 'submit_bio_wait');
  bio.endIo = submitBioWaitEndio;
  bio.private = done;
  bio.opf |= REQ_SYNC;
  submitBio(blk, bio);
  flushBeforeSleep(blk);
  while (bio.inFlight && (bio.opf & REQ_POLLED) !== 0) {
    if (bioPoll(blk, bio) === 0) await cpuRelax(blk);
  }
  await waitForCompletion(done);
  bio.endIo = endIo;
  bio.private = owner;
  return bio.status;
});
