/** Bios for tests. */
import type { Kernel } from '@nvme-stack/kernel';
import type { Bio, BlkMq, Gendisk } from '../ports.js';
import { SECTOR_SIZE } from '../ports.js';

/** A bio over one piece of fresh memory (`sectors` up to 8 per page), or over none for operations without data. */
export function makeBio(blkMq: BlkMq, disk: Gendisk, opf: number, sector: number, sectors: number, data = true): Bio {
  const bio = blkMq.allocBio(1);
  refill(bio, disk, opf, sector, sectors);
  if (!data) return bio;
  bio.vcnt = 1;
  bio.vecAddr[0] = allocBytes(blkMq.kernel, sectors * SECTOR_SIZE);
  bio.vecLengthBytes[0] = sectors * SECTOR_SIZE;
  return bio;
}

export function refill(bio: Bio, disk: Gendisk, opf: number, sector: number, sectors: number): void {
  bio.opf = opf;
  bio.disk = disk;
  bio.sector = sector;
  bio.sizeBytes = sectors * SECTOR_SIZE;
}

/** Whole pages that hold so many bytes. */
export function allocBytes(kernel: Kernel, bytes: number): number {
  return kernel.memory.allocPages(Math.max(1, Math.floor((bytes + 4095) / 4096)), 'test');
}
