/**
 * Partitions as devices.
 * Kernel counterpart: block/partitions/core.c (add_partition, drop_partition).
 */
import type { Device } from '@nvme-stack/device-core/ports';
import { traced } from '@nvme-stack/kernel';
import { Stats } from '../account.js';
import { blockNodeOps } from '../block-node.js';
import { partitionGroup } from '../disk-sysfs.js';
import { allocExtMinor, type Disk, freeExtMinor } from '../gendisk.js';
import type { Partition } from '../ports.js';
import type { FoundPartition } from './parsed.js';

/** @kernel include/linux/blk_types.h block_device (of a partition) */
export class PartitionImpl implements Partition {
  readonly number: number;
  readonly name: string;
  readonly startSector: number;
  readonly sectors: number;
  readonly typeGuid: string | null;
  readonly uuid: string | null;
  readonly stats = new Stats();
  openers = 0;
  device: Device | null = null;

  constructor(diskName: string, number: number, found: FoundPartition) {
    this.number = number;
    this.name = `${diskName}${partitionPrefix(diskName)}${number}`;
    this.startSector = found.startSector;
    this.sectors = found.sectors;
    this.typeGuid = found.typeGuid;
    this.uuid = found.uuid;
  }

  get dev(): Device {
    return this.device as Device;
  }
}

/** A `p` sets the number apart when the disk's name ends in a digit. */
export function partitionPrefix(diskName: string): string {
  const last = diskName.charCodeAt(diskName.length - 1);
  return last >= 48 && last <= 57 ? 'p' : '';
}

/** Task context. @kernel block/partitions/core.c add_partition */
export const addPartition = traced(
  'add_partition',
  async (disk: Disk, number: number, found: FoundPartition): Promise<void> => {
    const { blk } = disk;
    const part = new PartitionImpl(disk.name, number, found);
    const devt = allocExtMinor(blk);
    const env: Record<string, string> = { DISKSEQ: String(disk.diskseq), PARTN: String(number) };
    if (found.label !== '') env.PARTNAME = found.label;
    part.device = blk.deviceCore.deviceInitialize({
      name: part.name,
      parent: disk.dev,
      container: part,
      class: blk.blockClass,
      groups: [partitionGroup(disk, part)],
      devt,
      type: 'partition',
      uevent: () => env,
      release: () => freeExtMinor(blk, devt),
      noSysfsParentDir: true,
    });
    part.device.ueventSuppress = true;
    await blk.deviceCore.deviceAdd(part.device);
    part.device.ueventSuppress = false;
    blk.deviceCore.addNode(part.device, blockNodeOps(disk, part), part);
    disk.partitions.push(part);
    // A disk that is not announced yet will announce its partitions.
    if (!disk.dev.ueventSuppress) blk.deviceCore.deviceUevent(part.device, 'add');
  },
);

/** Task context. @kernel block/partitions/core.c drop_partition */
export const dropPartition = traced('drop_partition', async (disk: Disk, part: PartitionImpl): Promise<void> => {
  const { deviceCore } = disk.blk;
  disk.partitions.splice(disk.partitions.indexOf(part), 1);
  deviceCore.removeNode(part.dev);
  await deviceCore.deviceDel(part.dev);
  deviceCore.putDevice(part.dev);
});
