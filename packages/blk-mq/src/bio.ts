/**
 * Bios: pieces of I/O, how they end, and the pool of bios that splitting uses.
 * Kernel counterpart: block/bio.c.
 */
import type { Blk } from './blk.js';
import type { HwCtx, SwCtx } from './hw-ctx.js';
import { bioIntegrityEndio } from './integrity/bio-integrity.js';
import type { IntegrityPayload } from './integrity/payload.js';
import type { Bio, BlkStatus, Gendisk } from './ports.js';
import { BLK_STS_AGAIN, BLK_STS_IOERR, BLK_STS_OK } from './ports.js';

/** Vectors a pooled bio holds at least. */
const POOLED_VECS = 128;

/** @kernel include/linux/blk_types.h bio */
export class BioImpl implements Bio {
  opf = 0;
  sector = -0;
  sizeBytes = -0;
  writeHint = 0;
  vcnt = 0;
  readonly vecAddr: Float64Array;
  readonly vecLengthBytes: Float64Array;
  status: BlkStatus = BLK_STS_OK;
  disk: Gendisk | null = null;
  endIo: ((bio: Bio) => void) | null = null;
  private: unknown = null;
  cookie = -1;
  next: BioImpl | null = null;
  integrity: IntegrityPayload | null = null;

  /** Submitted and not yet ended. */
  inFlight = false;
  /** Physical segments, once the limits have been looked at. */
  nrSegs = 0;
  /** Bytes at the front that have ended already (partial completion). */
  doneBytes = -0;
  /** The bio this one is a part of. */
  parent: BioImpl | null = null;
  /** Parts of this bio that have not ended. */
  partsLeft = 0;
  /** Where a parked bio waits for its tag. */
  waitHctx: HwCtx | null = null;
  waitCtx: SwCtx | null = null;

  constructor(maxVecs: number) {
    this.vecAddr = new Float64Array(maxVecs);
    this.vecLengthBytes = new Float64Array(maxVecs);
  }
}

/** Bios that splitting reuses. */
export class BioPool {
  private free: BioImpl | null = null;

  /** A bio with room for `vecs` pieces. */
  take(vecs: number): BioImpl {
    const bio = this.free;
    if (bio !== null && bio.vecAddr.length >= vecs) {
      this.free = bio.next;
      bio.next = null;
      return bio;
    }
    return new BioImpl(Math.max(vecs, POOLED_VECS));
  }

  give(bio: BioImpl): void {
    bio.parent = null;
    bio.disk = null;
    bio.next = this.free;
    this.free = bio;
  }
}

/** Ends a bio: its user hears of it exactly once. Any context. @kernel block/bio.c bio_endio */
export function bioEndio(blk: Blk, bio: BioImpl): void {
  if (blk.functions) traceEndio(blk);
  if (!bio.inFlight) blk.ex.bug(`bio at sector ${bio.sector} ended twice, or never submitted`);
  if (bio.integrity !== null && !bioIntegrityEndio(blk, bio)) {
    if (blk.functions) blk.trace.exit();
    return;
  }
  bio.inFlight = false;
  const parent = bio.parent;
  if (parent === null) {
    const { endIo } = bio;
    if (endIo !== null) endIo(bio);
  } else {
    endPart(blk, bio, parent);
  }
  if (blk.functions) blk.trace.exit();
}

function traceEndio({ trace }: Blk): void {
  trace.enter('bio_endio');
  trace.enter('bio_uninit');
  trace.exit();
}

/** A part has ended; the first error is the whole bio's. @kernel block/bio.c bio_chain_endio */
function endPart(blk: Blk, part: BioImpl, parent: BioImpl): void {
  if (part.status !== BLK_STS_OK && parent.status === BLK_STS_OK) parent.status = part.status;
  blk.bioPool.give(part);
  if (--parent.partsLeft === 0) bioEndio(blk, parent);
}

/** Ends a bio with a status. */
export function bioEndWith(blk: Blk, bio: BioImpl, status: BlkStatus): void {
  bio.status = status;
  bioEndio(blk, bio);
}

/** @kernel include/linux/bio.h bio_io_error */
export function bioIoError(blk: Blk, bio: BioImpl): void {
  bioEndWith(blk, bio, BLK_STS_IOERR);
}

/** @kernel include/linux/bio.h bio_wouldblock_error */
export function bioWouldblockError(blk: Blk, bio: BioImpl): void {
  bioEndWith(blk, bio, BLK_STS_AGAIN);
}

/** Appends a physical piece to a bio; false when it has no room. @kernel block/bio.c __bio_add_page */
export function bioAddPiece(bio: Bio, addr: number, lengthBytes: number): boolean {
  const n = bio.vcnt;
  if (n === bio.vecAddr.length) return false;
  bio.vecAddr[n] = addr;
  bio.vecLengthBytes[n] = lengthBytes;
  bio.vcnt = n + 1;
  bio.sizeBytes += lengthBytes;
  return true;
}
