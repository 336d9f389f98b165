/**
 * Limits of a queue: defaults, checks, and what follows from them.
 * Kernel counterpart: block/blk-settings.c.
 */
import { KernelError, PAGE_SIZE } from '@nvme-stack/kernel';
import { validateIntegrity } from './integrity/profile.js';
import type { QueueLimits } from './ports.js';
import { SECTOR_SIZE } from './ports.js';

/** @kernel include/linux/blkdev.h BLK_SAFE_MAX_SECTORS */
const SAFE_MAX_SECTORS = 255;
const UINT32_MAX = 4294967295;
const USHRT_MAX = 65535;
/** Sectors of one request that a user gets without asking. @kernel block/blk.h BLK_DEF_MAX_SECTORS_CAP */
export const DEF_MAX_SECTORS_CAP = 2560;

/** @kernel block/blk-settings.c blk_set_default_limits */
export function defaultLimits(): QueueLimits {
  return {
    maxHwSectors: SAFE_MAX_SECTORS,
    maxSegments: 128,
    maxSegmentSizeBytes: 65536,
    virtBoundaryMask: 0,
    dmaAlignmentMask: 511,
    logicalBlockSizeBytes: SECTOR_SIZE,
    physicalBlockSizeBytes: SECTOR_SIZE,
    ioMinBytes: SECTOR_SIZE,
    ioOptBytes: 0,
    chunkSectors: 0,
    maxDiscardSectors: 0,
    maxDiscardSegments: 1,
    discardGranularityBytes: 0,
    maxWriteZeroesSectors: 0,
    writeCache: false,
    fua: false,
    maxIntegritySegments: 0,
    integrity: null,
  };
}

/** Limits that touch nothing. @kernel block/blk-settings.c blk_set_stacking_limits */
export function stackingLimits(): QueueLimits {
  return {
    ...defaultLimits(),
    maxHwSectors: UINT32_MAX,
    maxSegments: USHRT_MAX,
    maxSegmentSizeBytes: UINT32_MAX,
    maxDiscardSegments: USHRT_MAX,
    maxWriteZeroesSectors: UINT32_MAX,
  };
}

/** What is possible on both: the narrower of what bounds a request, the wider of what forms a block. @kernel block/blk-settings.c blk_stack_limits */
export function stackLimits(top: QueueLimits, bottom: QueueLimits): QueueLimits {
  const narrow = (a: number, b: number): number => (a === 0 || b === 0 ? Math.max(a, b) : Math.min(a, b));
  return {
    ...top,
    maxHwSectors: Math.min(top.maxHwSectors, bottom.maxHwSectors),
    maxSegments: Math.min(top.maxSegments, bottom.maxSegments),
    maxSegmentSizeBytes: narrow(top.maxSegmentSizeBytes, bottom.maxSegmentSizeBytes),
    virtBoundaryMask: narrow(top.virtBoundaryMask, bottom.virtBoundaryMask),
    dmaAlignmentMask: Math.max(top.dmaAlignmentMask, bottom.dmaAlignmentMask),
    logicalBlockSizeBytes: Math.max(top.logicalBlockSizeBytes, bottom.logicalBlockSizeBytes),
    physicalBlockSizeBytes: Math.max(top.physicalBlockSizeBytes, bottom.physicalBlockSizeBytes),
    ioMinBytes: Math.max(top.ioMinBytes, bottom.ioMinBytes),
    ioOptBytes: leastCommonMultiple(top.ioOptBytes, bottom.ioOptBytes),
    chunkSectors: bottom.chunkSectors === 0 ? top.chunkSectors : divisor(top.chunkSectors, bottom.chunkSectors),
    maxDiscardSectors: narrow(top.maxDiscardSectors, bottom.maxDiscardSectors),
    maxDiscardSegments: Math.min(top.maxDiscardSegments, bottom.maxDiscardSegments),
    discardGranularityBytes: Math.max(top.discardGranularityBytes, bottom.discardGranularityBytes),
    maxWriteZeroesSectors: Math.min(top.maxWriteZeroesSectors, bottom.maxWriteZeroesSectors),
    writeCache: top.writeCache || bottom.writeCache,
    fua: top.fua || bottom.fua,
  };
}

/** The greatest common one; of 0 and a number the number. @kernel lib/math/gcd.c gcd */
function divisor(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** Of numbers that are not 0. @kernel lib/math/lcm.c lcm_not_zero */
function leastCommonMultiple(a: number, b: number): number {
  return a === 0 || b === 0 ? Math.max(a, b) : (a / divisor(a, b)) * b;
}

/** Completes `limits` and refuses impossible ones with EINVAL. @kernel block/blk-settings.c blk_validate_limits */
export function validateLimits(limits: QueueLimits): QueueLimits {
  const lim = { ...limits };
  const lbs = lim.logicalBlockSizeBytes;
  if (!isPowerOfTwo(lbs) || lbs < SECTOR_SIZE || lbs > 65536)
    throw new KernelError('EINVAL', `logical block size ${lbs} is not a power of two from 512 to 65536`);
  lim.physicalBlockSizeBytes = Math.max(lim.physicalBlockSizeBytes, lbs);
  if (!isPowerOfTwo(lim.physicalBlockSizeBytes))
    throw new KernelError('EINVAL', `physical block size ${lim.physicalBlockSizeBytes} is not a power of two`);
  lim.ioMinBytes = Math.max(lim.ioMinBytes, lim.physicalBlockSizeBytes);
  if (lim.maxHwSectors < PAGE_SIZE / SECTOR_SIZE)
    throw new KernelError('EINVAL', `max_hw_sectors ${lim.maxHwSectors} is less than a page`);
  if (lim.maxSegments < 1) throw new KernelError('EINVAL', `max_segments ${lim.maxSegments} is less than 1`);
  if (lim.virtBoundaryMask !== 0) {
    // With a virtual boundary, hardware has no segment size of its own.
    lim.maxSegmentSizeBytes = UINT32_MAX;
  } else if (lim.maxSegmentSizeBytes < PAGE_SIZE) {
    throw new KernelError('EINVAL', `max_segment_size ${lim.maxSegmentSizeBytes} is less than a page`);
  }
  if (lim.maxDiscardSectors > 0 && lim.discardGranularityBytes < lim.physicalBlockSizeBytes)
    lim.discardGranularityBytes = lim.physicalBlockSizeBytes;
  if (lim.maxDiscardSegments < 1) lim.maxDiscardSegments = 1;
  if (lim.fua && !lim.writeCache) lim.fua = false;
  if (lim.integrity !== null) lim.integrity = validateIntegrity(lim.integrity, lbs);
  const blockSectors = lbs / SECTOR_SIZE;
  lim.maxHwSectors = roundDown(lim.maxHwSectors, blockSectors);
  if (lim.chunkSectors !== 0 && lim.chunkSectors % blockSectors !== 0)
    throw new KernelError('EINVAL', `chunk_sectors ${lim.chunkSectors} is not a multiple of the logical block`);
  return lim;
}

/** Sectors a request may have: the hardware's limit, capped by the user's or the default. */
export function maxSectors(lim: QueueLimits, userMaxSectors: number): number {
  const cap = userMaxSectors > 0 ? userMaxSectors : Math.max(DEF_MAX_SECTORS_CAP, lim.ioOptBytes / SECTOR_SIZE);
  return roundDown(Math.min(lim.maxHwSectors, cap), lim.logicalBlockSizeBytes / SECTOR_SIZE);
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && (n & (n - 1)) === 0;
}

/** Rounds down to a multiple. */
export function roundDown(value: number, multiple: number): number {
  return value - (value % multiple);
}
