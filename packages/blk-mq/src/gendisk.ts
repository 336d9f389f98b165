/**
 * Disks: what they hold, their capacity and their end as objects.
 * Kernel counterpart: block/genhd.c (__alloc_disk_node, set_capacity, put_disk).
 */
import type { Device, DevT, Kobject } from '@nvme-stack/device-core/ports';
import { type HasKernel, type Kernel, KernelError, Mutex, traced } from '@nvme-stack/kernel';
import { Stats } from './account.js';
import type { Blk } from './blk.js';
import { validateLimits } from './limits.js';
import type { PartitionImpl } from './partitions/partition.js';
import type { BlockDeviceOperations, Gendisk, QueueLimits } from './ports.js';
import { allocBioQueue, allocQueue, applyMaxSectors, exitQueue, type Queue } from './queue.js';
import type { TagSet } from './tag-set.js';

/** @kernel include/linux/major.h BLOCK_EXT_MAJOR */
export const BLOCK_EXT_MAJOR = 259;

/** @kernel include/linux/blkdev.h gendisk */
export class Disk implements Gendisk, HasKernel {
  readonly kernel: Kernel;
  readonly blk: Blk;
  name = '';
  readonly queue: Queue;
  ops: BlockDeviceOperations = {};
  private: unknown = null;
  capacitySectors = 0;
  readOnly = false;
  hidden = false;
  /** @kernel GD_SUPPRESS_PART_SCAN */
  suppressPartScan = false;
  /** Neither dead nor read-only nor bio-based, and without metadata: bios may take the short way. */
  isPlain = true;
  /** Its number; a hidden disk has one without a node. */
  devt: DevT | null = null;
  readonly partitions: PartitionImpl[] = [];
  readonly stats = new Stats();
  live = false;
  /** No I/O any more. @kernel GD_DEAD */
  dead = false;
  readonly diskseq: number;
  /** The warning about writing to a read-only disk was printed. */
  roWarned = false;
  /** How often it is open. */
  openers = 0;
  /** Serialises opening, closing, scanning and removal. @kernel gendisk.open_mutex */
  readonly openMutex: Mutex;
  device: Device | null = null;
  /** Its backing device while it is live. */
  bdi: Device | null = null;
  /** Directories below its own: mq, holders, slaves. */
  readonly dirs: Kobject[] = [];
  readAheadKb = 128;

  constructor(blk: Blk, queue: Queue) {
    this.kernel = blk.kernel;
    this.blk = blk;
    this.queue = queue;
    this.isPlain = !queue.isBioBased && queue.limits.integrity === null;
    this.diskseq = blk.nextDiskseq++;
    this.openMutex = new Mutex(blk.kernel, 'open_mutex');
  }

  get dev(): Device {
    return this.device ?? this.kernel.ex.bug(`disk ${this.name}: no device before device_add_disk`);
  }
}

/** Lowest free minor number. @kernel block/genhd.c blk_alloc_ext_minor */
export function allocExtMinor(blk: Blk): DevT {
  let minor = 0;
  while (blk.minors[minor] === true) minor++;
  blk.minors[minor] = true;
  return { major: BLOCK_EXT_MAJOR, minor };
}

/** @kernel block/genhd.c blk_free_ext_minor */
export function freeExtMinor(blk: Blk, devt: DevT): void {
  blk.minors[devt.minor] = false;
}

/** Throws EINVAL for impossible limits. Task context. @kernel block/blk-mq.c __blk_mq_alloc_disk */
export const allocDisk = traced(
  '__blk_mq_alloc_disk',
  (set: TagSet, limits: Partial<QueueLimits> | null, queuedata: unknown): Disk => {
    const q = allocQueue(set, limits, queuedata);
    const disk = allocDiskNode(q);
    set.kernel.live.add('kobjects', 'gendisk');
    return disk;
  },
);

/** @kernel block/genhd.c __alloc_disk_node */
const allocDiskNode = traced('__alloc_disk_node', (q: Queue): Disk => {
  const disk = new Disk(q.blk, q);
  q.disk = disk;
  return disk;
});

/** A disk that takes bios itself. Throws EINVAL for impossible limits. Task context. @kernel block/genhd.c __blk_alloc_disk */
export const allocBioDisk = traced(
  '__blk_alloc_disk',
  (blk: Blk, limits: Partial<QueueLimits> | null, numaNode: number): Disk => {
    const disk = allocDiskNode(allocBioQueue(blk, limits, numaNode));
    blk.kernel.live.add('kobjects', 'gendisk');
    return disk;
  },
);

/** Only the partition scan may be allowed later. */
export function setDiskFlags(disk: Disk, flags: { hidden?: boolean; suppressPartScan?: boolean }): void {
  if (flags.suppressPartScan !== undefined) disk.suppressPartScan = flags.suppressPartScan;
  if (flags.hidden === undefined) return;
  if (disk.live) throw new KernelError('EBUSY', `disk ${disk.name} is live: whether it is hidden is settled`);
  disk.hidden = flags.hidden;
}

/** Recomputes what the short way of submission asks first. */
export function updatePlain(disk: Disk): void {
  disk.isPlain = !disk.dead && !disk.readOnly && !disk.queue.isBioBased && disk.queue.limits.integrity === null;
}

/** Before it goes live. */
export function setDiskName(disk: Disk, name: string, ops: BlockDeviceOperations, priv: unknown): void {
  if (disk.live) throw new KernelError('EBUSY', `disk ${disk.name} is live: its name is settled`);
  disk.name = name;
  disk.ops = ops;
  disk.private = priv;
}

/** Throws EINVAL for impossible limits; nothing changes then. @kernel block/blk-settings.c queue_limits_commit_update */
export function commitLimits(q: Queue, limits: Partial<QueueLimits>): void {
  q.limits = validateLimits({ ...q.limits, ...limits });
  applyMaxSectors(q);
  if (q.limits.integrity !== null) q.blk.integrity.initWorkqueue(q.blk);
  if (q.disk !== null) updatePlain(q.disk);
}

/** @kernel block/genhd.c set_capacity_and_notify */
export const setCapacityAndNotify = traced('set_capacity_and_notify', (disk: Disk, sectors: number): boolean => {
  const before = disk.capacitySectors;
  disk.capacitySectors = sectors;
  if (before === sectors || !disk.live || disk.hidden) return false;
  const { blk } = disk;
  blk.kernel.printk.print('info', `${disk.name}: detected capacity change from ${before} to ${sectors}`);
  // Changes to and from an empty device are not announced.
  if (before === 0 || sectors === 0) return false;
  blk.deviceCore.deviceUevent(disk.dev, 'change', { RESIZE: '1' });
  return true;
});

/** @kernel block/genhd.c set_disk_ro */
export function setDiskRo(disk: Disk, readOnly: boolean): void {
  if (disk.readOnly === readOnly) return;
  disk.readOnly = readOnly;
  updatePlain(disk);
  if (!readOnly) disk.roWarned = false;
  if (disk.live && !disk.hidden)
    disk.blk.deviceCore.deviceUevent(disk.dev, 'change', { DISK_RO: readOnly ? '1' : '0' });
}

/** Drops the driver's reference; a live disk must be deleted first. @kernel block/genhd.c put_disk */
export const putDisk = traced('put_disk', (disk: Disk): void => {
  const { blk, device } = disk;
  if (disk.live) blk.ex.bug(`put_disk of ${disk.name}, which is live`);
  if (device !== null) blk.deviceCore.putDevice(device);
  else diskRelease(disk);
});

/** The last reference is gone. @kernel block/genhd.c disk_release */
export function diskRelease(disk: Disk): void {
  exitQueue(disk.queue);
  disk.kernel.live.remove('kobjects', 'gendisk');
}
