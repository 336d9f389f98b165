/**
 * Of debugfs what is known only there: how much was written under each hint.
 * Kernel counterpart: block/blk-mq-debugfs.c of 4.13 (write_hints); the other files of a queue are not modelled.
 */
import type { Attribute, Kobject } from '@nvme-stack/device-core/ports';
import type { Blk } from './blk.js';
import type { Disk } from './gendisk.js';

/** /sys/kernel/debug/block, made for the first disk and never taken away. @kernel block/blk-core.c blk_debugfs_root */
function debugRoot(blk: Blk): Kobject {
  const { deviceCore } = blk;
  if (blk.debugRoot === null) {
    const debug = deviceCore.kobjectCreate('debug', deviceCore.kobjectCreate('kernel', null, false), false);
    blk.debugRoot = deviceCore.kobjectCreate('block', debug, false);
  }
  return blk.debugRoot;
}

/** Sectors by hint; whatever is written to it sets them to 0. @kernel block/blk-mq-debugfs.c queue_write_hint_show, queue_write_hint_store */
function writeHints({ queue }: Disk): Attribute {
  return {
    name: 'write_hints',
    mode: 0o600,
    show: () => [...queue.writeHints].map((sectors, hint) => `hint${hint}: ${sectors}\n`).join(''),
    store: () => void queue.writeHints.fill(0),
  };
}

/** The disk's directory in debugfs, where its kernel counts hints; it goes with the disk's other directories. */
export function addDebugDir(disk: Disk): void {
  const { blk } = disk;
  if (blk.era.writeHints !== 'counted') return;
  const dir = blk.deviceCore.kobjectCreate(disk.name, debugRoot(blk), false);
  blk.deviceCore.sysfsCreateFile(dir, writeHints(disk));
  disk.dirs.push(dir);
}
