/**
 * Finding a disk or a partition by the name of its node.
 * Kernel counterpart: block/bdev.c lookup_bdev.
 */
import type { Blk } from './blk.js';
import type { BlkMq } from './ports.js';

/** The disk, first sector and length behind a node's name; null when there is none. */
export function lookupNode(blk: Blk, name: string): ReturnType<BlkMq['lookup']> {
  for (const disk of blk.disks) {
    if (disk.hidden) continue;
    if (disk.name === name) return { disk, startSector: 0, sectors: disk.capacitySectors };
    for (const part of disk.partitions) {
      if (part.name === name) return { disk, startSector: part.startSector, sectors: part.sectors };
    }
  }
  return null;
}
