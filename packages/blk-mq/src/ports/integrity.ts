/** Data integrity: a disk's profile and a bio's payload. Counterpart: include/linux/blk-integrity.h, bio-integrity.h. Types and constants only. */

/** How guard tags are made. @kernel include/linux/blkdev.h blk_integrity_checksum */
export const BLK_INTEGRITY_CSUM_NONE = 0;
/** 16 bits, as T10 defines it; tuples of 8 bytes. */
export const BLK_INTEGRITY_CSUM_CRC = 2;
/** 64 bits, as NVMe defines it; tuples of 16 bytes. */
export const BLK_INTEGRITY_CSUM_CRC64 = 3;
export type BlkIntegrityChecksum =
  | typeof BLK_INTEGRITY_CSUM_NONE
  | typeof BLK_INTEGRITY_CSUM_CRC
  | typeof BLK_INTEGRITY_CSUM_CRC64;

/** @kernel include/linux/blk-integrity.h blk_integrity_flags */
export const BLK_INTEGRITY_NOVERIFY = 1 << 0;
export const BLK_INTEGRITY_NOGENERATE = 1 << 1;
/** The device checks too. */
export const BLK_INTEGRITY_DEVICE_CAPABLE = 1 << 2;
/** Tuples say where their block lies. */
export const BLK_INTEGRITY_REF_TAG = 1 << 3;

/** Metadata that goes with each block of a disk. @kernel include/linux/blkdev.h blk_integrity */
export interface BlkIntegrity {
  readonly csumType: BlkIntegrityChecksum;
  /** BLK_INTEGRITY_*. */
  readonly flags: number;
  /** Metadata of one interval, bytes, at least 1. */
  readonly tupleSizeBytes: number;
  /** Where the protection information begins in it, bytes. */
  readonly piOffsetBytes: number;
  /** An interval is 2^this bytes; 0: a logical block. */
  readonly intervalExp: number;
  /** Bytes of it that nobody here looks at. */
  readonly tagSizeBytes: number;
}

/** Metadata of a bio: one physically contiguous piece. @kernel include/linux/bio-integrity.h bio_integrity_payload */
export interface BioIntegrityPayload {
  readonly addr: number;
  readonly lengthBytes: number;
  /** What the first reference tag is before it is remapped to the disk's blocks. */
  readonly seed: number;
}
