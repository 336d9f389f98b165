/** Bios and plugs. Counterpart: include/linux/blk_types.h, bio.h. Types and constants only. */
import type { BlkStatus } from './operations.js';
import type { Gendisk } from './request.js';

/** A piece of I/O. Made by `allocBio`, refilled by its user. @kernel include/linux/blk_types.h bio */
export interface Bio {
  /** REQ_OP_* | flags. */
  opf: number;
  /** First 512-byte sector on the disk or partition it is sent to. */
  sector: number;
  /** Bytes of data; for discard and write zeroes the length of the range (no vectors). */
  sizeBytes: number;
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
}

/** Bios submitted together: one flush, one doorbell. @kernel include/linux/blkdev.h blk_plug */
export interface BlkPlug {
  readonly count: number;
}
