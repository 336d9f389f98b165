/**
 * A disk goes live: sysfs, its node, its queue's files, and the partition scan through real I/O.
 * Kernel counterpart: block/genhd.c device_add_disk, block/blk-sysfs.c blk_register_queue, block/bdev.c.
 */
import type { AttributeGroup, Device } from '@nvme-stack/device-core/ports';
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import { bdiRegister } from './backing-dev.js';
import type { Blk } from './blk.js';
import { blockNodeOps } from './block-node.js';
import { addDebugDir } from './debugfs.js';
import { diskGroup } from './disk-sysfs.js';
import { elevatorInitMq } from './elevator.js';
import { allocExtMinor, type Disk, diskRelease, freeExtMinor } from './gendisk.js';
import { integrityGroup } from './integrity/sysfs.js';
import { addMqDirs, removeMqDirs } from './mq-sysfs.js';
import { scanPartitions } from './partitions/scan.js';
import { queueGroup } from './queue-sysfs.js';

/** Throws EINVAL without a name, EEXIST for one that is taken. Task context. @kernel block/genhd.c device_add_disk */
export const deviceAddDisk = traced(
  'device_add_disk',
  async (disk: Disk, parent: Device, groups: readonly AttributeGroup[]): Promise<void> => {
    const { blk, queue } = disk;
    if (disk.name === '') throw new KernelError('EINVAL', 'device_add_disk: the disk has no name');
    if (disk.live) throw new KernelError('EEXIST', `disk ${disk.name} is live already`);
    if (!queue.isBioBased) await elevatorInitMq(queue);
    const devt = allocExtMinor(blk);
    const dev = blk.deviceCore.deviceInitialize({
      name: disk.name,
      parent,
      container: disk,
      class: blk.blockClass,
      groups: [diskGroup(disk), integrityGroup(disk), ...groups],
      ...(disk.hidden ? {} : { devt }),
      numaNode: queue.tagSet.numaNode,
      type: 'disk',
      uevent: () => ({ DISKSEQ: String(disk.diskseq) }),
      release: () => {
        freeExtMinor(blk, devt);
        diskRelease(disk);
      },
    });
    disk.device = dev;
    disk.devt = devt;
    // Whoever hears of the disk must find its partitions.
    dev.ueventSuppress = true;
    await blk.deviceCore.deviceAdd(dev);
    try {
      addDirs(disk);
      await registerQueue(disk);
      if (!disk.hidden) await bdiRegister(disk);
    } catch (error) {
      await undoAdd(disk);
      throw error;
    }
    if (!disk.hidden) blk.deviceCore.addNode(dev, blockNodeOps(disk, null), disk);
    disk.live = true;
    blk.disks.push(disk);
    // Nobody hears of a hidden disk.
    if (disk.hidden) return;
    if (disk.capacitySectors > 0 && !disk.suppressPartScan) await scanDiskPartitions(disk);
    dev.ueventSuppress = false;
    diskUevent(disk, 'add');
  },
);

/** Takes away again what is visible of a disk that does not go live. */
async function undoAdd(disk: Disk): Promise<void> {
  const { deviceCore, blockDir } = disk.blk;
  if (disk.queue.sysfsRegistered) {
    disk.queue.sysfsRegistered = false;
    deviceCore.sysfsRemoveGroup(disk.dev.kobj, queueGroup(disk));
    removeMqDirs(disk);
  }
  if (blockDir !== null) deviceCore.sysfsRemoveLink(blockDir, disk.name);
  await deviceCore.deviceDel(disk.dev);
}

/** The disk, then its partitions; of a hidden disk nobody hears. @kernel block/genhd.c disk_uevent */
export function diskUevent(disk: Disk, action: 'add' | 'change'): void {
  const { deviceCore } = disk.blk;
  if (!disk.live || disk.hidden || disk.dev.ueventSuppress) return;
  deviceCore.deviceUevent(disk.dev, action);
  for (const part of disk.partitions) deviceCore.deviceUevent(part.dev, action);
}

function addDirs(disk: Disk): void {
  const { deviceCore, blockDir } = disk.blk;
  const { kobj } = disk.dev;
  if (blockDir !== null) deviceCore.sysfsCreateLink(blockDir, disk.name, kobj);
  disk.dirs.push(deviceCore.kobjectCreate('holders', kobj, false), deviceCore.kobjectCreate('slaves', kobj, false));
}

/** @kernel block/blk-sysfs.c blk_register_queue */
const registerQueue = traced('blk_register_queue', async (disk: Disk): Promise<void> => {
  const { blk, queue } = disk;
  if (!queue.isBioBased) addMqDirs(disk);
  addDebugDir(disk);
  blk.deviceCore.sysfsCreateGroup(disk.dev.kobj, queueGroup(disk));
  queue.sysfsRegistered = true;
});

/** @kernel block/genhd.c disk_scan_partitions */
export const scanDiskPartitions = traced('disk_scan_partitions', async (disk: Disk): Promise<void> => {
  await openBdev(disk, true);
  if (disk.blk.era.closesInWorker) fput(disk);
  else await releaseBdev(disk);
});

/** Closes a file that a kernel thread opened: a worker does it. @kernel fs/file_table.c fput */
function fput(disk: Disk): void {
  const { blk } = disk;
  blk.closing.push(disk);
  blk.workqueues.scheduleWork(blk.delayedFput);
}

/** @kernel fs/file_table.c delayed_fput */
export const delayedFput = traced('delayed_fput', async (blk: Blk): Promise<void> => {
  for (const disk of blk.closing.splice(0)) await releaseBdev(disk);
});

/** Opens the whole disk, and scans it when asked to. @kernel block/bdev.c bdev_open */
export const openBdev = traced('bdev_open', async (disk: Disk, scan: boolean): Promise<void> => {
  await withMutex(disk.openMutex, async () => {
    await getWhole(disk, scan);
  });
});

/** @kernel block/bdev.c blkdev_get_whole */
const getWhole = traced('blkdev_get_whole', async (disk: Disk, scan: boolean): Promise<void> => {
  if (disk.dead) throw new KernelError('ENXIO', `disk ${disk.name} is gone`);
  await disk.ops.open?.(disk);
  disk.openers++;
  if (scan) await bdevDiskChanged(disk);
});

/** @kernel block/bdev.c bdev_release */
export async function releaseBdev(disk: Disk): Promise<void> {
  await withMutex(disk.openMutex, async () => {
    disk.openers--;
    await disk.ops.release?.(disk);
  });
}

/** Drops the partitions that were known and looks for those that are there. Task context. @kernel block/partitions/core.c bdev_disk_changed */
export const bdevDiskChanged = traced('bdev_disk_changed', async (disk: Disk): Promise<void> => {
  await scanPartitions(disk);
});

/** The partition scan of a disk that was added without. Nothing happens when it is allowed already. Task context. */
export async function scanSuppressed(disk: Disk): Promise<void> {
  if (!disk.suppressPartScan) return;
  disk.suppressPartScan = false;
  await withMutex(disk.openMutex, async () => {
    if (!disk.dead) await bdevDiskChanged(disk);
  });
}
