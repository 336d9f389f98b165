/**
 * The common case of submission in one piece, taken when nothing is traced: a read or write that no limit touches, on
 * a queue that runs, with a tag at hand. Anything else goes the long way in submit.ts, which does the same in steps.
 * Kernel counterpart: block/blk-core.c submit_bio, block/blk-mq.c blk_mq_submit_bio.
 *
 * Hazard: whoever changes a step in submit.ts changes it here; the tests run both and compare.
 */

import { PAGE_SIZE } from '@nvme-stack/kernel';
import { accountIoStart } from './account.js';
import type { BioImpl } from './bio.js';
import type { Blk } from './blk.js';
import { insertRequest, issueDirectList, runHwQueue, tryIssueDirectly } from './dispatch.js';
import type { Disk } from './gendisk.js';
import { attemptPlugMerge } from './merge.js';
import { addRqToPlug, isFull, type Plug } from './plug.js';
import {
  HCTX_TYPE_DEFAULT,
  HCTX_TYPE_READ,
  MQ_RQ_IDLE,
  REQ_FUA,
  REQ_NOMERGE,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_POLLED,
  REQ_PREFLUSH,
  RQF_IO_STAT,
} from './ports.js';
import type { Queue } from './queue.js';
import type { RequestImpl } from './request.js';
import { bytesToSectors } from './sectors.js';
import { SPLIT_NONE, splitLength } from './split.js';
import { countActive, mayQueue } from './tag-share.js';
import { bitmapGet } from './tags.js';

/** Operations other than READ and WRITE, and flags, that go the long way. */
const LONG_WAY = (REQ_OP_MASK & ~REQ_OP_WRITE) | REQ_PREFLUSH | REQ_FUA | REQ_POLLED;
const PAGE_MASK = PAGE_SIZE - 1;

/** Submits the bio, or returns false and has done nothing. Any context with a CPU. */
export function submitFast(blk: Blk, bio: BioImpl): boolean {
  const disk = bio.disk as Disk | null;
  const { opf } = bio;
  if (disk === null || (opf & LONG_WAY) !== 0 || !disk.isPlain) return false;
  const q = disk.queue;
  if (q.freezeDepth !== 0 || q.quiesceDepth !== 0 || q.elevator !== null || q.none.total !== 0) return false;
  if (bio.sizeBytes === 0 || bio.sector + bytesToSectors(bio.sizeBytes) > disk.capacitySectors) return false;
  if (!wholeFits(blk, q, bio)) return false;
  const { cpu, current } = blk.ex;
  if (cpu < 0) return false;
  const plug = current.plug as Plug | null;
  const ctx = q.ctxs[cpu];
  const hctx = ctx.hctxs[(opf & 1) === REQ_OP_READ ? HCTX_TYPE_READ : HCTX_TYPE_DEFAULT];
  const { tags } = hctx;
  if (hctx.nrWaiting !== 0 || hctx.restart) return false;
  if (plug !== null && plug.count > 0 && q.noMerges === 0 && (opf & REQ_NOMERGE) === 0) {
    bio.inFlight = true;
    if (attemptPlugMerge(blk, q, plug, bio)) return true;
    bio.inFlight = false;
  }
  if (hctx.shared && !mayQueue(hctx)) return false;
  const bit = bitmapGet(tags.bitmap, cpu);
  if (bit < 0) return false;
  bio.inFlight = true;
  q.usage++;
  const rq = tags.staticRqs[bit + tags.nrReserved];
  if (rq.state !== MQ_RQ_IDLE) blk.ex.bug(`tag ${rq.tag} of ${tags.name} handed out while its request is in use`);
  if (rq.mqCtx !== ctx || rq.mqHctx !== hctx) {
    rq.q = q;
    rq.mqHctx = hctx;
    rq.mqCtx = ctx;
    rq.cpu = cpu;
  }
  rq.cmdFlags = opf;
  rq.rqFlags = q.ioStat ? RQF_IO_STAT : 0;
  if (hctx.shared) countActive(hctx, rq);
  rq.startTimeNs = q.ioStat ? blk.ex.now() : 0;
  rq.timeoutNs = 0;
  rq.endIo = null;
  rq.next = null;
  rq.sector = bio.sector;
  rq.dataLengthBytes = bio.sizeBytes;
  rq.nrPhysSegments = bio.nrSegs;
  rq.bio = bio;
  rq.biotail = bio;
  if (q.ioStat) accountIoStart(rq);
  if (plug === null) {
    issueAlone(blk, q, rq);
    return true;
  }
  const last = plug.tail;
  if (last !== null && last.q === q && !isFull(plug, last)) {
    last.next = rq;
    plug.tail = rq;
    plug.count++;
  } else addRqToPlug(blk, plug, rq);
  return true;
}

/** Whether no limit touches the bio; sets `bio.nrSegs`. */
function wholeFits(blk: Blk, q: Queue, bio: BioImpl): boolean {
  if (
    q.limits.chunkSectors === 0 &&
    bio.vcnt === 1 &&
    bio.vecLengthBytes[0] + (bio.vecAddr[0] & PAGE_MASK) <= PAGE_SIZE
  ) {
    bio.nrSegs = 1;
    return true;
  }
  return splitLength(blk, q, bio) === SPLIT_NONE;
}

/** Issues one request as a plug of its own would (6.12), or directly (before). */
export function issueAlone(blk: Blk, q: Queue, rq: RequestImpl): void {
  const { ops } = q.tagSet;
  if (!blk.era.submitOwnsPlug) {
    tryIssueDirectly(blk, rq);
    return;
  }
  let left: RequestImpl | null = rq;
  if (ops.queueRqs !== undefined && q.quiesceDepth === 0) left = ops.queueRqs(rq) as RequestImpl | null;
  if (left === null || issueDirectList(blk, left) === null) return;
  insertRequest(blk, left, false);
  runHwQueue(left.mqHctx, false);
}
