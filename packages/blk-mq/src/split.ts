/**
 * Splitting: how much of a bio one request may carry, and the bios that carry the pieces.
 * Kernel counterpart: block/blk-merge.c (bio_split_rw, bio_split_discard, bio_split_write_zeroes).
 */
import { PAGE_SIZE } from '@nvme-stack/kernel';
import type { BioImpl } from './bio.js';
import type { Blk } from './blk.js';
import { bioIntegrityFree, bioIntegrityPart } from './integrity/payload.js';
import { roundDown } from './limits.js';
import type { QueueLimits } from './ports.js';
import {
  REQ_OP_DISCARD,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_SECURE_ERASE,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  REQ_POLLED,
  SECTOR_SHIFT,
  SECTOR_SIZE,
} from './ports.js';
import type { Queue } from './queue.js';
import { BLOCK_SPLIT, devNumber, rwbs } from './trace-events.js';

/** Most bytes of a bio, so that discards stay below 32 bits. @kernel block/blk.h UINT_MAX */
const MAX_BIO_BYTES = 4294966784;
/** `splitLength`: the bio can never be sent. */
export const SPLIT_IMPOSSIBLE = -1;
/** `splitLength`: no split is needed. */
export const SPLIT_NONE = 0;

const PAGE_MASK = PAGE_SIZE - 1;

/**
 * Sets `bio.nrSegs`; returns the bytes the first part may have, SPLIT_NONE or SPLIT_IMPOSSIBLE. Any context.
 * @kernel block/blk.h __bio_split_to_limits
 */
export function splitLength(blk: Blk, q: Queue, bio: BioImpl): number {
  const op = bio.opf & REQ_OP_MASK;
  const lim = q.limits;
  if (op === REQ_OP_READ || op === REQ_OP_WRITE) {
    if (lim.chunkSectors === 0 && bio.vcnt === 1 && bio.vecLengthBytes[0] + (bio.vecAddr[0] & PAGE_MASK) <= PAGE_SIZE) {
      bio.nrSegs = 1;
      return SPLIT_NONE;
    }
    return splitRw(blk, q, bio);
  }
  if (op === REQ_OP_DISCARD || op === REQ_OP_SECURE_ERASE) return splitDiscard(q, bio);
  if (op === REQ_OP_WRITE_ZEROES) return splitWriteZeroes(q, bio);
  bio.nrSegs = 0;
  return SPLIT_NONE;
}

/** @kernel block/blk-merge.c bio_split_rw */
function splitRw(blk: Blk, q: Queue, bio: BioImpl): number {
  const { trace } = blk;
  if (!blk.functions) return splitRwAt(blk, q, bio);
  trace.enter('bio_split_rw');
  trace.enter('bio_split_rw_at');
  const bytes = splitRwAt(blk, q, bio);
  trace.exit();
  trace.exit();
  return bytes;
}

/** Walks the pieces until a limit is met. @kernel block/blk-merge.c bio_split_rw_at */
function splitRwAt(blk: Blk, q: Queue, bio: BioImpl): number {
  const lim = q.limits;
  const maxBytes = maxIoBytes(q, bio.sector);
  const { vecAddr, vecLengthBytes, vcnt } = bio;
  const gapMask = lim.virtBoundaryMask;
  let bytes = 0;
  let segs = 0;
  let previousEnd = -1;
  for (let i = 0; i < vcnt; i++) {
    const addr = vecAddr[i];
    const length = vecLengthBytes[i];
    if (previousEnd >= 0 && gapMask !== 0 && hasGap(previousEnd, addr, gapMask)) return splitAt(lim, bio, bytes, segs);
    previousEnd = addr + length;
    if (segs < lim.maxSegments && bytes + length <= maxBytes && (addr & PAGE_MASK) + length <= PAGE_SIZE) {
      segs++;
      bytes += length;
      continue;
    }
    const room = Math.min(length, maxBytes - bytes);
    const fitting = splitSegs(blk, lim, addr, room, segs);
    segs += segmentsOf(lim, addr, fitting);
    bytes += fitting;
    if (fitting < length) return splitAt(lim, bio, bytes, segs);
  }
  bio.nrSegs = segs;
  return SPLIT_NONE;
}

/** Whether hardware with a virtual boundary cannot take two pieces in one request. @kernel block/blk.h __bvec_gap_to_prev */
export function hasGap(previousEnd: number, addr: number, mask: number): boolean {
  return (previousEnd & mask) !== 0 || (addr & mask) !== 0;
}

function splitAt(lim: QueueLimits, bio: BioImpl, bytes: number, segs: number): number {
  const whole = roundDown(bytes, lim.logicalBlockSizeBytes);
  if (whole === 0) return SPLIT_IMPOSSIBLE;
  bio.nrSegs = segs;
  return whole;
}

/** Bytes of a piece that fit into the segments left. @kernel block/blk-merge.c bvec_split_segs */
function splitSegs(blk: Blk, lim: QueueLimits, addr: number, length: number, segs: number): number {
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('bvec_split_segs');
    trace.exit();
  }
  let left = lim.maxSegments - segs;
  let fitting = 0;
  while (fitting < length && left > 0) {
    fitting += Math.min(length - fitting, segmentBytes(lim, addr + fitting));
    left--;
  }
  return fitting;
}

/** Bytes a segment that starts at `addr` may have. @kernel block/blk-merge.c get_max_segment_size */
export function segmentBytes(lim: QueueLimits, _addr: number): number {
  return lim.maxSegmentSizeBytes;
}

/** Segments a physically contiguous piece takes. */
export function segmentsOf(lim: QueueLimits, addr: number, length: number): number {
  let count = 0;
  for (let done = 0; done < length; done += segmentBytes(lim, addr + done)) count++;
  return count;
}

/** Bytes a request that starts at `sector` may have. @kernel block/blk-merge.c get_max_io_size */
function maxIoBytes(q: Queue, sector: number): number {
  const lim = q.limits;
  let max = q.maxSectors;
  if (lim.chunkSectors !== 0) max = Math.min(max, lim.chunkSectors - (sector % lim.chunkSectors));
  const physical = lim.physicalBlockSizeBytes / SECTOR_SIZE;
  const start = sector % physical;
  const end = roundDown(start + max, physical);
  if (end > start) max = end - start;
  else max = roundDown(max, lim.logicalBlockSizeBytes / SECTOR_SIZE);
  return max * SECTOR_SIZE;
}

/** @kernel block/blk-merge.c bio_split_discard */
function splitDiscard(q: Queue, bio: BioImpl): number {
  const lim = q.limits;
  bio.nrSegs = 1;
  const granularity = Math.max(lim.discardGranularityBytes >>> SECTOR_SHIFT, 1);
  const limit = Math.min(lim.maxDiscardSectors, q.userMaxDiscardSectors, MAX_BIO_BYTES / SECTOR_SIZE);
  const max = roundDown(limit, granularity);
  if (max === 0) return SPLIT_NONE;
  const sectors = bio.sizeBytes / SECTOR_SIZE;
  if (sectors <= max) return SPLIT_NONE;
  // The next part starts at a granule.
  const over = (bio.sector + max) % granularity;
  return (max > over ? max - over : max) * SECTOR_SIZE;
}

/** @kernel block/blk-merge.c bio_split_write_zeroes */
function splitWriteZeroes(q: Queue, bio: BioImpl): number {
  const max = q.limits.maxWriteZeroesSectors;
  bio.nrSegs = 0;
  if (max === 0 || bio.sizeBytes <= max * SECTOR_SIZE) return SPLIT_NONE;
  return max * SECTOR_SIZE;
}

/**
 * Makes two parts of a bio and returns the first, of `bytes` bytes; the other is `blk.splitRest`. The whole bio ends when
 * its last part has ended.
 * @kernel block/blk-merge.c bio_submit_split, block/bio.c bio_split
 */
export function splitBio(blk: Blk, bio: BioImpl, bytes: number): BioImpl {
  const whole = bio.parent ?? bio;
  const front = blk.bioPool.take(bio.vcnt);
  const rest = blk.bioPool.take(bio.vcnt);
  fillPart(front, bio, whole, 0, bytes);
  fillPart(rest, bio, whole, bytes, bio.sizeBytes - bytes);
  if (bio.integrity !== null) splitIntegrity(blk, bio, front, rest, bytes);
  front.nrSegs = bio.nrSegs;
  if (bio === whole) {
    whole.partsLeft = 2;
  } else {
    whole.partsLeft++;
    bio.inFlight = false;
    blk.bioPool.give(bio);
  }
  const { trace } = blk;
  if (blk.events) trace.event(BLOCK_SPLIT, devNumber(whole.disk), front.sector, rest.sector, 0, rwbs(whole.opf));
  blk.splitRest = rest;
  return front;
}

/** Each part has its part of the metadata, before a part that was split itself goes. */
function splitIntegrity(blk: Blk, bio: BioImpl, front: BioImpl, rest: BioImpl, bytes: number): void {
  const whole = bio.integrity;
  if (whole === null) return;
  bioIntegrityPart(blk, front, whole, 0);
  bioIntegrityPart(blk, rest, whole, bytes);
  if (bio.parent !== null) bioIntegrityFree(blk, bio);
}

function fillPart(part: BioImpl, from: BioImpl, whole: BioImpl, offset: number, length: number): void {
  part.parent = whole;
  part.opf = from.opf & ~REQ_POLLED;
  part.disk = from.disk;
  part.sector = from.sector + offset / SECTOR_SIZE;
  part.sizeBytes = length;
  part.writeHint = from.writeHint;
  part.status = 0;
  part.endIo = null;
  part.inFlight = true;
  part.doneBytes = 0;
  part.cookie = -1;
  part.vcnt = 0;
  let skip = offset;
  let left = length;
  for (let i = 0; i < from.vcnt && left > 0; i++) {
    const size = from.vecLengthBytes[i];
    if (skip >= size) {
      skip -= size;
      continue;
    }
    const take = Math.min(size - skip, left);
    part.vecAddr[part.vcnt] = from.vecAddr[i] + skip;
    part.vecLengthBytes[part.vcnt++] = take;
    left -= take;
    skip = 0;
  }
}
