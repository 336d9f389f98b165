/**
 * Merging: a bio that continues, or comes right before, a request that has not been issued.
 * Kernel counterpart: block/blk-merge.c (blk_attempt_plug_merge, bio_attempt_back_merge, bio_attempt_front_merge).
 */

import { accountMerge } from './account.js';
import type { BioImpl } from './bio.js';
import type { Blk } from './blk.js';
import { integrityMergeBio } from './integrity/profile.js';
import type { Plug } from './plug.js';
import {
  REQ_FUA,
  REQ_NOMERGE,
  REQ_OP_DISCARD,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  REQ_OP_WRITE_ZEROES,
  REQ_PREFLUSH,
  RQF_FLUSH_SEQ,
  SECTOR_SIZE,
} from './ports.js';
import type { Queue } from './queue.js';
import { isPassthrough, type RequestImpl } from './request.js';
import { bytesToSectors } from './sectors.js';
import { hasGap } from './split.js';
import { hctxType } from './submit.js';
import { BLOCK_BIO_BACKMERGE, BLOCK_BIO_FRONTMERGE, devNumber, rwbs } from './trace-events.js';

const NOMERGE_FLAGS = REQ_NOMERGE | REQ_PREFLUSH | REQ_FUA;

/** @kernel include/linux/bio.h bio_mergeable */
export function bioMergeable(bio: BioImpl): boolean {
  return (bio.opf & NOMERGE_FLAGS) === 0 && bio.sizeBytes > 0;
}

/** @kernel block/blk.h rq_mergeable */
function rqMergeable(rq: RequestImpl): boolean {
  if (isPassthrough(rq)) return false;
  const op = rq.cmdFlags & REQ_OP_MASK;
  if (op === REQ_OP_FLUSH || op === REQ_OP_WRITE_ZEROES) return false;
  return (rq.cmdFlags & NOMERGE_FLAGS) === 0 && (rq.rqFlags & RQF_FLUSH_SEQ) === 0;
}

/** Tries the requests of the plug, the last one first. @kernel block/blk-merge.c blk_attempt_plug_merge */
export function attemptPlugMerge(blk: Blk, q: Queue, plug: Plug | null, bio: BioImpl): boolean {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_attempt_plug_merge');
  let merged = false;
  if (plug !== null && plug.count > 0) {
    const last = plug.tail as RequestImpl;
    if (last.q === q) merged = attemptBioMerge(blk, last, bio);
    else if (plug.multipleQueues) merged = mergeOlder(blk, q, plug, bio);
  }
  if (blk.functions) trace.exit();
  return merged;
}

/** With several queues in one plug, only the queue's latest request is tried. */
function mergeOlder(blk: Blk, q: Queue, plug: Plug, bio: BioImpl): boolean {
  let latest: RequestImpl | null = null;
  for (let rq = plug.head; rq !== null; rq = rq.next) if (rq.q === q) latest = rq;
  return latest !== null && attemptBioMerge(blk, latest, bio);
}

/** Asks the scheduler for a request the bio fits to. @kernel block/blk-mq-sched.c blk_mq_sched_bio_merge */
export function schedBioMerge(blk: Blk, q: Queue, bio: BioImpl): boolean {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_sched_bio_merge');
  const scheduler = q.elevator ?? q.none;
  let merged = false;
  if (scheduler.findMerge !== undefined && (q.elevator !== null || q.none.total > 0)) {
    const cpu = blk.ex.cpu;
    const rq = scheduler.findMerge(q.ctxs[Math.max(cpu, 0)].hctxs[hctxType(bio.opf)], bio) as RequestImpl | null;
    if (rq !== null) merged = attemptBioMerge(blk, rq, bio);
  }
  if (blk.functions) trace.exit();
  return merged;
}

/** Merges if sector, kind and limits allow it. @kernel block/blk-merge.c blk_attempt_bio_merge */
export function attemptBioMerge(blk: Blk, rq: RequestImpl, bio: BioImpl): boolean {
  if (!rqMergeable(rq) || rq.cmdFlags !== bio.opf || rq.bio === null) return false;
  if (rq.bio.writeHint !== bio.writeHint) return false;
  if ((bio.opf & REQ_OP_MASK) === REQ_OP_DISCARD && rq.q.limits.maxDiscardSegments > 1)
    return discardMerge(blk, rq, bio);
  if (rq.sector + bytesToSectors(rq.dataLengthBytes) === bio.sector) return backMerge(blk, rq, bio);
  if (bio.sector + bytesToSectors(bio.sizeBytes) === rq.sector) return frontMerge(blk, rq, bio);
  return false;
}

/** @kernel block/blk-merge.c ll_back_merge_fn */
function fits(rq: RequestImpl, bio: BioImpl): boolean {
  const { limits, maxSectors } = rq.q;
  if (!integrityMergeBio(rq, bio)) return false;
  if (rq.dataLengthBytes + bio.sizeBytes > maxSectors * SECTOR_SIZE) return false;
  const { chunkSectors } = limits;
  if (chunkSectors !== 0) {
    const first = Math.min(rq.sector, bio.sector);
    const last = first + (rq.dataLengthBytes + bio.sizeBytes) / SECTOR_SIZE - 1;
    if (Math.floor(first / chunkSectors) !== Math.floor(last / chunkSectors)) return false;
  }
  return rq.nrPhysSegments + bio.nrSegs <= limits.maxSegments;
}

/** @kernel block/blk-merge.c bio_attempt_back_merge */
function backMerge(blk: Blk, rq: RequestImpl, bio: BioImpl): boolean {
  if (!fits(rq, bio) || gapBetween(rq, rq.biotail as BioImpl, bio)) return false;
  if (blk.events) traceMerge(blk, BLOCK_BIO_BACKMERGE, bio);
  append(rq, bio);
  accountMerge(rq);
  return true;
}

/** @kernel block/blk-merge.c bio_attempt_front_merge */
function frontMerge(blk: Blk, rq: RequestImpl, bio: BioImpl): boolean {
  if (!fits(rq, bio) || gapBetween(rq, bio, rq.bio as BioImpl)) return false;
  if (blk.events) traceMerge(blk, BLOCK_BIO_FRONTMERGE, bio);
  bio.next = rq.bio;
  rq.bio = bio;
  rq.sector = bio.sector;
  rq.dataLengthBytes += bio.sizeBytes;
  rq.nrPhysSegments += bio.nrSegs;
  accountMerge(rq);
  return true;
}

/** Discards of several ranges make one request. @kernel block/blk-merge.c bio_attempt_discard_merge */
function discardMerge(blk: Blk, rq: RequestImpl, bio: BioImpl): boolean {
  const { limits } = rq.q;
  if (rq.nrPhysSegments >= limits.maxDiscardSegments) return false;
  if (rq.dataLengthBytes + bio.sizeBytes > Math.min(limits.maxDiscardSectors, rq.q.userMaxDiscardSectors) * SECTOR_SIZE)
    return false;
  if (blk.events) traceMerge(blk, BLOCK_BIO_BACKMERGE, bio);
  append(rq, bio);
  accountMerge(rq);
  return true;
}

function append(rq: RequestImpl, bio: BioImpl): void {
  bio.next = null;
  (rq.biotail as BioImpl).next = bio;
  rq.biotail = bio;
  rq.dataLengthBytes += bio.sizeBytes;
  rq.nrPhysSegments += bio.nrSegs;
}

/** @kernel block/blk-merge.c bio_will_gap */
function gapBetween(rq: RequestImpl, first: BioImpl, second: BioImpl): boolean {
  const mask = rq.q.limits.virtBoundaryMask;
  if (mask === 0 || first.vcnt === 0 || second.vcnt === 0) return false;
  const last = first.vcnt - 1;
  return hasGap(first.vecAddr[last] + first.vecLengthBytes[last], second.vecAddr[0], mask);
}

function traceMerge(blk: Blk, type: typeof BLOCK_BIO_BACKMERGE, bio: BioImpl): void {
  blk.trace.event(type, devNumber(bio.disk), bio.sector, bio.sizeBytes / SECTOR_SIZE, 0, rwbs(bio.opf));
}
