/** Bios and plugs. Counterpart: include/linux/blk_types.h, bio.h. Types and constants only. */
import type { BioIntegrityPayload } from './integrity.js';
import type { BlkStatus } from './operations.js';
import type { Gendisk } from './request.js';

/** How long data are expected to live, as who writes them says. @kernel include/linux/fs.h rw_hint */
export const WRITE_LIFE_NOT_SET = 0;
export const WRITE_LIFE_NONE = 1;
export const WRITE_LIFE_SHORT = 2;
export const WRITE_LIFE_MEDIUM = 3;
export const WRITE_LIFE_LONG = 4;
export const WRITE_LIFE_EXTREME = 5;

/**
 * What a kernel does with hints: it knows none; users set them, and the block layer is not told; bios carry them; and
 * the queues of drivers that use them count what was written under each.
 */
export type WriteHints = 'unknown' | 'ignored' | 'carried' | 'counted';

/** Counters of a queue that has any: none, then each hint. @kernel include/linux/blkdev.h BLK_MAX_WRITE_HINTS */
export const BLK_MAX_WRITE_HINTS = 5;

/** A piece of I/O. Made by `allocBio`, refilled by its user. @kernel include/linux/blk_types.h bio */
export interface Bio {
  /** REQ_OP_* | flags. */
  opf: number;
  /** First 512-byte sector on the disk or partition it is sent to. */
  sector: number;
  /** Bytes of data; for discard and write zeroes the length of the range (no vectors). */
  sizeBytes: number;
  /** WRITE_LIFE_* of a write, WRITE_LIFE_NOT_SET unless told; bios of different hints are not merged. Kernels 4.10 and 6.1 have no such field. @kernel include/linux/blk_types.h bio.bi_write_hint */
  writeHint: number;
  /** Physical pieces; `vcnt` in use. */
  vcnt: number;
  readonly vecAddr: Float64Array;
  readonly vecLengthBytes: Float64Array;
  status: BlkStatus;
  disk: Gendisk | null;
  /** Called once when the bio is done, in the context that completed it; must not sleep. */
  endIo: ((bio: Bio) => void) | null;
  /** The user's own. */
  private: unknown;
  /** Cookie for polling. @kernel include/linux/blk_types.h bio.bi_cookie */
  cookie: number;
  /** Owned by the block layer while the bio is in flight. */
  next: Bio | null;
  /** Set with `bioIntegrityAttach`, or by the block layer while the bio is in flight. @kernel include/linux/bio.h bio_integrity */
  readonly integrity: BioIntegrityPayload | null;
}

/** Bios in a row, linked by `next`. @kernel include/linux/bio.h bio_list */
export interface BioList {
  head: Bio | null;
  tail: Bio | null;
}

/** Bios submitted together: one flush, one doorbell. @kernel include/linux/blkdev.h blk_plug */
export interface BlkPlug {
  readonly count: number;
}
