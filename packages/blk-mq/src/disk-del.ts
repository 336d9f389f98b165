/**
 * A disk goes: new I/O fails, I/O under way is waited for, nodes and files disappear.
 * Kernel counterpart: block/genhd.c (blk_mark_disk_dead, del_gendisk).
 */
import { traced, withMutex } from '@nvme-stack/kernel';
import { bdiUnregister } from './backing-dev.js';
import { blkMqFreezeQueueWait, blkQueueStartDrain } from './freeze.js';
import { type Disk, updatePlain } from './gendisk.js';
import { removeMqDirs } from './mq-sysfs.js';
import { dropPartitions } from './partitions/scan.js';
import { blkSyncQueue, cancelWorkSync, exitQueue } from './queue.js';
import { queueGroup } from './queue-sysfs.js';

/** Every request fails from now on; what waits to enter is told so. Any context. @kernel block/genhd.c __blk_mark_disk_dead */
export function markDiskDead(disk: Disk): void {
  if (disk.dead) return;
  disk.dead = true;
  updatePlain(disk);
  disk.queue.dying = true;
  blkQueueStartDrain(disk.queue);
}

/** The device is gone: its capacity is 0. @kernel block/genhd.c blk_mark_disk_dead */
export const blkMarkDiskDead = traced('blk_mark_disk_dead', (disk: Disk): void => {
  markDiskDead(disk);
  disk.capacitySectors = 0;
});

/** Task context. @kernel block/genhd.c del_gendisk */
export const delGendisk = traced('del_gendisk', async (disk: Disk): Promise<void> => {
  const { blk, queue } = disk;
  if (!disk.live) return;
  await blk.workqueues.flushWork(blk.delayedFput);
  await withMutex(disk.openMutex, async () => {
    await dropPartitions(disk);
    markDiskDead(disk);
  });
  const { deviceCore } = blk;
  const dev = disk.dev;
  queue.sysfsRegistered = false;
  deviceCore.sysfsRemoveGroup(dev.kobj, queueGroup(disk));
  removeMqDirs(disk);
  if (blk.blockDir !== null) deviceCore.sysfsRemoveLink(blk.blockDir, disk.name);
  await bdiUnregister(disk);
  if (!disk.hidden) deviceCore.removeNode(dev);
  disk.live = false;
  blk.disks.splice(blk.disks.indexOf(disk), 1);
  await deviceCore.deviceDel(dev);
  await blkMqFreezeQueueWait(queue);
  await blkSyncQueue(queue);
  await blk.integrity.flush(blk);
  await cancelWorkSync(queue);
  exitQueue(queue);
});
