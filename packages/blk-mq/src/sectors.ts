/** Bytes as 512-byte sectors. Kernel counterpart: include/linux/blk_types.h SECTOR_SHIFT. */
import { SECTOR_SHIFT, SECTOR_SIZE } from './ports.js';

/** Below this a shift will do, which is quicker than a division. */
const SHIFTABLE_BYTES = 0x80000000;

/** Sectors in `bytes`, a multiple of 512 of any size. Any context. */
export function bytesToSectors(bytes: number): number {
  return bytes < SHIFTABLE_BYTES ? bytes >> SECTOR_SHIFT : bytes / SECTOR_SIZE;
}
