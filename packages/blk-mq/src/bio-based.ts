/**
 * Disks that take bios themselves, in place of request queues: how bios get there, are cut to their limits, and pass on
 * to the disks below.
 * Kernel counterpart: block/blk-core.c (__submit_bio_noacct), block/blk-merge.c (bio_split_to_limits).
 *
 * What a disk's submitBio passes on is submitted when it has returned, disks below first: nothing recurses.
 */
import { type BioImpl, bioEndWith, bioWouldblockError } from './bio.js';
import type { Blk } from './blk.js';
import { enterFrozen, queueExit } from './freeze.js';
import type { Disk } from './gendisk.js';
import { type Bio, BLK_STS_IOERR, REQ_NOWAIT } from './ports.js';
import type { Queue } from './queue.js';
import { SPLIT_IMPOSSIBLE, SPLIT_NONE, splitBio, splitLength } from './split.js';
import { resubmitBio } from './submit.js';

/** Bios in a row. @kernel include/linux/bio.h bio_list */
export class BioQueue {
  head: BioImpl | null = null;
  tail: BioImpl | null = null;

  push(bio: BioImpl): void {
    bio.next = null;
    if (this.tail === null) this.head = bio;
    else this.tail.next = bio;
    this.tail = bio;
  }

  shift(): BioImpl | null {
    const bio = this.head;
    if (bio === null) return null;
    this.head = bio.next;
    if (this.head === null) this.tail = null;
    bio.next = null;
    return bio;
  }

  /** Moves all of `other` behind this. */
  append(other: BioQueue): void {
    if (other.head === null) return;
    if (this.tail === null) this.head = other.head;
    else this.tail.next = other.head;
    this.tail = other.tail;
    other.head = other.tail = null;
  }
}

/** What a submission to a bio-based disk has gathered. @kernel block/blk-core.c current->bio_list */
export class BioStack {
  /** A disk's submitBio is under way, or its bios are being submitted. */
  active = false;
  /** What it passes on now, and what earlier ones left. */
  readonly fresh = new BioQueue();
  readonly later = new BioQueue();
  /** The fresh ones sorted: for disks below, and for the same disk. */
  readonly lower = new BioQueue();
  readonly same = new BioQueue();
}

/** Hands a bio to its bio-based disk, and submits what comes of it. @kernel block/blk-core.c __submit_bio_noacct */
export function submitBioBased(blk: Blk, first: BioImpl): void {
  const stack = blk.bioStack;
  if (stack.active) {
    stack.fresh.push(first);
    return;
  }
  const { trace } = blk;
  if (blk.functions) trace.enter('__submit_bio_noacct');
  stack.active = true;
  let bio: BioImpl | null = first;
  while (bio !== null) {
    const { queue } = bio.disk as Disk;
    if (queue.isBioBased) submitToDisk(blk, queue, bio);
    else resubmitBio(blk, queue, bio);
    for (let next = stack.fresh.shift(); next !== null; next = stack.fresh.shift())
      ((next.disk as Disk).queue === queue ? stack.same : stack.lower).push(next);
    stack.lower.append(stack.same);
    stack.lower.append(stack.later);
    stack.later.append(stack.lower);
    bio = stack.later.shift();
  }
  stack.active = false;
  if (blk.functions) trace.exit();
}

/** The queue counts the bio only while its disk looks for where to send it. @kernel block/blk-core.c __submit_bio */
function submitToDisk(blk: Blk, q: Queue, bio: BioImpl): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('__submit_bio');
  if (q.freezeDepth !== 0) {
    enterFrozen(q, bio);
  } else {
    const disk = bio.disk as Disk;
    q.usage++;
    disk.ops.submitBio?.(bio);
    queueExit(q);
  }
  if (blk.functions) trace.exit();
}

/** The part that the disk's limits allow; the rest follows it. Null: the bio has ended. @kernel block/blk-merge.c bio_split_to_limits */
export function bioSplitToLimits(blk: Blk, bio: BioImpl): Bio | null {
  const bytes = splitLength(blk, (bio.disk as Disk).queue, bio);
  if (bytes === SPLIT_NONE) return bio;
  if (bytes === SPLIT_IMPOSSIBLE) {
    bioEndWith(blk, bio, BLK_STS_IOERR);
    return null;
  }
  if ((bio.opf & REQ_NOWAIT) !== 0) {
    bioWouldblockError(blk, bio);
    return null;
  }
  const front = splitBio(blk, bio, bytes);
  submitBioBased(blk, blk.splitRest as BioImpl);
  return front;
}
