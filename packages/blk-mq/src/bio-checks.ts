/**
 * What a bio must satisfy before it may enter a queue.
 * Kernel counterpart: block/blk-core.c (bio_check_eod, bio_check_ro, submit_bio_noacct).
 */
import { type BioImpl, bioEndWith, bioIoError } from './bio.js';
import type { Blk } from './blk.js';
import type { Disk } from './gendisk.js';
import {
  BLK_STS_NOTSUPP,
  REQ_OP_DISCARD,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  REQ_OP_SECURE_ERASE,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  REQ_PREFLUSH,
  SECTOR_SIZE,
} from './ports.js';
import type { Queue } from './queue.js';

/** Ends a bio that reaches beyond the disk; returns whether it may go on. @kernel block/blk-core.c bio_check_eod */
export function checkEod(blk: Blk, disk: Disk, bio: BioImpl): boolean {
  const sectors = bio.sizeBytes / SECTOR_SIZE;
  if (sectors === 0) return true;
  if (blk.eodLimit.allow()) {
    blk.kernel.printk.print(
      'info',
      `${blk.ex.current.name}: attempt to access beyond end of device\n` +
        `${disk.name}: rw=${bio.opf}, sector=${bio.sector}, nr_sectors = ${sectors} limit=${disk.capacitySectors}`,
    );
  }
  bioIoError(blk, bio);
  return false;
}

/** A write to a read-only disk is let through with a warning, once; the device has the last word. @kernel block/blk-core.c bio_check_ro */
export function checkRo(blk: Blk, disk: Disk, bio: BioImpl): void {
  if (bio.sizeBytes === 0 || disk.roWarned) return;
  disk.roWarned = true;
  blk.kernel.printk.print('warn', `Trying to write to read-only block-device ${disk.name}`);
}

/** Operations other than reading and writing need the queue's consent. */
export function checkOp(blk: Blk, q: Queue, bio: BioImpl): boolean {
  const op = bio.opf & REQ_OP_MASK;
  if (op === REQ_OP_FLUSH) {
    // A flush is sent as an empty write that asks for a flush first.
    bio.opf = (bio.opf & ~REQ_OP_MASK) | REQ_OP_WRITE | REQ_PREFLUSH;
    return true;
  }
  if (op === REQ_OP_DISCARD && q.limits.maxDiscardSectors > 0) return true;
  if (op === REQ_OP_WRITE_ZEROES && q.limits.maxWriteZeroesSectors > 0) return true;
  if (op === REQ_OP_SECURE_ERASE && q.limits.maxDiscardSectors > 0) return true;
  bioEndWith(blk, bio, BLK_STS_NOTSUPP);
  return false;
}
