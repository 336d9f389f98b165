/**
 * What a scan has found so far, and the sectors it reads: through the I/O path, page by page, each page once.
 * Kernel counterpart: block/partitions/check.h parsed_partitions, block/partitions/core.c read_part_sector.
 */
import {
  Completion,
  complete,
  type HasKernel,
  type Kernel,
  KernelError,
  NO_PAGE,
  PAGE_SIZE,
  traced,
  waitForCompletion,
} from '@nvme-stack/kernel';
import { BioImpl, bioAddPiece } from '../bio.js';
import type { Disk } from '../gendisk.js';
import { type Bio, BLK_STS_OK, REQ_OP_READ, SECTOR_SIZE } from '../ports.js';
import { submitBio } from '../submit.js';
import { partitionPrefix } from './partition.js';

/** @kernel include/linux/genhd.h DISK_MAX_PARTS */
const MAX_PARTS = 256;

/** A partition in 512-byte sectors. */
export interface FoundPartition {
  readonly startSector: number;
  readonly sectors: number;
  readonly typeGuid: string | null;
  readonly uuid: string | null;
  readonly label: string;
}

/** @kernel block/partitions/check.h parsed_partitions */
export class ParsedPartitions implements HasKernel {
  readonly kernel: Kernel;
  readonly disk: Disk;
  readonly parts = new Map<number, FoundPartition>();
  /** The line the log will show. */
  text: string;
  /** Number of the next logical partition. */
  next = 1;
  readonly limit = MAX_PARTS;
  accessBeyondEod = false;
  /** Pages read so far, by index. */
  private readonly pages = new Map<number, number>();
  private readonly pageBytes: number;

  constructor(disk: Disk) {
    this.kernel = disk.kernel;
    this.disk = disk;
    this.text = ` ${disk.name}:`;
    this.pageBytes = Math.max(PAGE_SIZE, disk.queue.limits.logicalBlockSizeBytes);
  }

  get sectors(): number {
    return this.disk.capacitySectors;
  }

  get logicalBlockSizeBytes(): number {
    return this.disk.queue.limits.logicalBlockSizeBytes;
  }

  /** @kernel block/partitions/check.h put_partition */
  put(number: number, found: FoundPartition): void {
    if (number >= this.limit) return;
    this.parts.set(number, found);
    const prefix = partitionPrefix(this.disk.name);
    this.text += ` ${prefix === '' ? this.disk.name : prefix}${number}`;
  }

  /** The page that holds a sector, from memory or from the disk; throws EIO, ENOMEM. */
  async page(sector: number): Promise<number> {
    const perPage = this.pageBytes / SECTOR_SIZE;
    const index = Math.floor(sector / perPage);
    let addr = this.pages.get(index);
    if (addr !== undefined) return addr;
    addr = this.kernel.memory.allocPages(this.pageBytes / PAGE_SIZE, 'page cache');
    if (addr === NO_PAGE) throw new KernelError('ENOMEM', 'page cache');
    try {
      await readPage(this.disk, index * perPage, addr, this.pageBytes);
    } catch (error) {
      this.kernel.memory.freePages(addr, this.pageBytes / PAGE_SIZE);
      throw error;
    }
    this.pages.set(index, addr);
    return addr;
  }

  /** Bytes of a sector within its page. */
  offsetInPage(sector: number): number {
    return (sector % (this.pageBytes / SECTOR_SIZE)) * SECTOR_SIZE;
  }

  /** The cache goes with the last opener. @kernel block/bdev.c kill_bdev */
  release(): void {
    for (const addr of this.pages.values()) this.kernel.memory.freePages(addr, this.pageBytes / PAGE_SIZE);
    this.pages.clear();
  }
}

/** The block size of the disk's pages: the largest that divides its size, up to a page. @kernel block/bdev.c set_init_blocksize */
function initialBlockSize(disk: Disk, pageBytes: number): number {
  const sizeBytes = disk.capacitySectors * SECTOR_SIZE;
  let size = disk.queue.limits.logicalBlockSizeBytes;
  while (size < pageBytes && sizeBytes % (size * 2) === 0) size *= 2;
  return size;
}

/** Reads the blocks of one page that lie on the disk. @kernel fs/buffer.c block_read_full_folio */
async function readPage(disk: Disk, startSector: number, addr: number, pageBytes: number): Promise<void> {
  const { blk } = disk;
  const block = initialBlockSize(disk, pageBytes);
  const bytes = Math.min(pageBytes, (disk.capacitySectors - startSector) * SECTOR_SIZE);
  const bios: BioImpl[] = [];
  const done = new Completion(blk.kernel, `page at sector ${startSector} of ${disk.name}`);
  for (let offset = 0; offset < bytes; offset += block) {
    const bio = new BioImpl(1);
    bio.opf = REQ_OP_READ;
    bio.disk = disk;
    bio.sector = startSector + offset / SECTOR_SIZE;
    bioAddPiece(bio, addr + offset, Math.min(block, bytes - offset));
    bio.endIo = endBufferRead;
    bio.private = done;
    bios.push(bio);
  }
  for (const bio of bios) submitBio(blk, bio);
  for (const _ of bios) await waitForCompletion(done);
  for (const bio of bios) {
    if (bio.status === BLK_STS_OK) continue;
    const at = (bio.sector * SECTOR_SIZE) / block;
    blk.kernel.printk.print('err', `Buffer I/O error on dev ${disk.name}, logical block ${at}, async page read`);
    throw new KernelError('EIO', `page at sector ${startSector} of ${disk.name}`);
  }
}

/** @kernel fs/buffer.c end_buffer_async_read */
function endBufferRead(bio: Bio): void {
  complete(bio.private as Completion);
}

/** A sector's 512 bytes; null beyond the disk. Throws EIO. Task context. @kernel block/partitions/core.c read_part_sector */
export const readPartSector = traced(
  'read_part_sector',
  async (state: ParsedPartitions, sector: number): Promise<DataView | null> => {
    if (sector >= state.sectors) {
      state.accessBeyondEod = true;
      return null;
    }
    const addr = await state.page(sector);
    const { buffer, byteOffset } = state.kernel.memory.bytes;
    return new DataView(buffer, byteOffset + addr + state.offsetInPage(sector), SECTOR_SIZE);
  },
);
