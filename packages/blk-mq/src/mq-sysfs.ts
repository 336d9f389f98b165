/**
 * /sys/block/…/mq: one directory per hardware queue, with its CPUs.
 * Kernel counterpart: block/blk-mq-sysfs.c.
 */
import type { Kobject } from '@nvme-stack/device-core/ports';
import type { Disk } from './gendisk.js';
import type { HwCtx } from './hw-ctx.js';

/** @kernel block/blk-mq-sysfs.c blk_mq_sysfs_register */
export function addMqDirs(disk: Disk): void {
  const { deviceCore } = disk.blk;
  const mq = deviceCore.kobjectCreate('mq', disk.dev.kobj, false);
  disk.dirs.push(mq);
  for (const hctx of disk.queue.hctxs) addHctxDir(disk, mq, hctx);
}

function addHctxDir(disk: Disk, mq: Kobject, hctx: HwCtx): void {
  const { deviceCore } = disk.blk;
  const dir = deviceCore.kobjectCreate(String(hctx.queueNum), mq, false);
  const file = (name: string, show: () => string): void =>
    deviceCore.sysfsCreateFile(dir, { name, mode: 0o444, show: () => `${show()}\n` });
  file('nr_tags', () => String(hctx.tags.nrTags));
  file('nr_reserved_tags', () => String(hctx.tags.nrReserved));
  file('cpu_list', () => hctx.cpus.join(', '));
  for (const cpu of hctx.cpus) deviceCore.kobjectCreate(`cpu${cpu}`, dir, false);
}

/** @kernel block/blk-mq-sysfs.c blk_mq_sysfs_unregister */
export function removeMqDirs(disk: Disk): void {
  for (const dir of disk.dirs) disk.blk.deviceCore.kobjectDel(dir);
  disk.dirs.length = 0;
}
