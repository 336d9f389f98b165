/**
 * The partition scan: asks each format in turn and makes a device of every partition found.
 * Kernel counterpart: block/partitions/core.c (check_partition, blk_add_partitions, bdev_disk_changed).
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import type { Disk } from '../gendisk.js';
import { type FoundPartition, ParsedPartitions } from './parsed.js';
import { addPartition, dropPartition } from './partition.js';
import { PARTITION_PROBES, type PartitionProbe, unreadable } from './probes.js';

/** Throws EBUSY while a partition is open. Task context. @kernel block/partitions/core.c bdev_disk_changed */
export async function scanPartitions(disk: Disk): Promise<void> {
  if (disk.partitions.some((part) => part.openers > 0))
    throw new KernelError('EBUSY', `a partition of ${disk.name} is open`);
  await dropPartitions(disk);
  if (disk.capacitySectors === 0) return;
  const state = new ParsedPartitions(disk);
  try {
    if (await checkPartition(state)) await addPartitions(disk, state);
  } finally {
    state.release();
  }
}

/** Last partition first. */
export async function dropPartitions(disk: Disk): Promise<void> {
  for (let i = disk.partitions.length - 1; i >= 0; i--) await dropPartition(disk, disk.partitions[i]);
}

/** Whether a format recognised its table; prints what it found. @kernel block/partitions/core.c check_partition */
const checkPartition = traced('check_partition', async (state: ParsedPartitions): Promise<boolean> => {
  const { printk } = state.kernel;
  let failed = false;
  for (const probe of PARTITION_PROBES) {
    state.parts.clear();
    const result = await runProbe(probe, state);
    if (result > 0) {
      printk.print('info', state.text);
      return true;
    }
    if (result < 0) failed = true;
  }
  if (failed || state.accessBeyondEod) printk.print('info', unreadable(state.disk));
  return false;
});

/** What cannot be read counts against the format that asked. */
async function runProbe(probe: PartitionProbe, state: ParsedPartitions): Promise<number> {
  try {
    return await probe.check(state);
  } catch (error) {
    if (KernelError.is(error)) return -1;
    throw error;
  }
}

/** @kernel block/partitions/core.c blk_add_partitions */
async function addPartitions(disk: Disk, state: ParsedPartitions): Promise<void> {
  disk.blk.deviceCore.deviceUevent(disk.dev, 'change');
  for (const number of [...state.parts.keys()].sort((a, b) => a - b)) {
    const found = clamp(disk, number, state.parts.get(number) as FoundPartition);
    if (found !== null) await addPartition(disk, number, found);
  }
}

/** A partition that reaches beyond the disk is cut short; one that starts there is left out. @kernel block/partitions/core.c blk_add_partition */
function clamp(disk: Disk, number: number, found: FoundPartition): FoundPartition | null {
  const { startSector, sectors } = found;
  const capacity = disk.capacitySectors;
  const warn = (text: string): void => disk.kernel.printk.print('warn', `${disk.name}: p${number} ${text}`);
  if (sectors === 0) return null;
  if (startSector >= capacity) {
    warn(`start ${startSector} is beyond EOD, truncated`);
    return null;
  }
  if (startSector + sectors <= capacity) return found;
  warn(`size ${sectors} extends beyond EOD, truncated`);
  return { ...found, sectors: capacity - startSector };
}
