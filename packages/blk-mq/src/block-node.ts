/**
 * Block device nodes: opening, closing, and the ioctls every disk answers.
 * Kernel counterpart: block/fops.c, block/ioctl.c.
 */
import type { FileOperations, OpenFile } from '@nvme-stack/device-core/ports';
import { KernelError, withMutex } from '@nvme-stack/kernel';
import { BioImpl } from './bio.js';
import { bdevDiskChanged, openBdev, releaseBdev } from './disk-add.js';
import { blkStatusToErrno, errnoOfStatus } from './error-log.js';
import { type Disk, setDiskRo } from './gendisk.js';
import type { PartitionImpl } from './partitions/partition.js';
import {
  BLK_STS_OK,
  BLKDISCARD,
  BLKFLSBUF,
  BLKGETSIZE,
  BLKGETSIZE64,
  BLKIOMIN,
  BLKIOOPT,
  BLKPBSZGET,
  BLKROGET,
  BLKROSET,
  BLKRRPART,
  BLKSSZGET,
  BLKZEROOUT,
  type BlkIoctlRange,
  type BlkIoctlValue,
  REQ_OP_DISCARD,
  REQ_OP_WRITE_ZEROES,
  SECTOR_SIZE,
} from './ports.js';
import { submitBioWait } from './submit.js';

/** Operations of a disk's node, or of a partition's. @kernel block/fops.c def_blk_fops */
export function blockNodeOps(disk: Disk, part: PartitionImpl | null): FileOperations {
  return {
    open: async (file) => {
      if (file.writable && disk.readOnly) throw new KernelError('EACCES', `${file.path} is read-only`);
      await openBdev(disk, false);
      if (part !== null) part.openers++;
    },
    release: async () => {
      if (part !== null) part.openers--;
      await releaseBdev(disk);
    },
    unlockedIoctl: (file, command, argument) => blkdevIoctl(disk, part, file, command, argument),
  };
}

/** @kernel block/ioctl.c blkdev_ioctl */
async function blkdevIoctl(
  disk: Disk,
  part: PartitionImpl | null,
  file: OpenFile,
  command: number,
  argument: unknown,
): Promise<number> {
  switch (command) {
    case BLKROSET:
      setDiskRo(disk, (argument as BlkIoctlValue).value !== 0);
      return 0;
    case BLKRRPART:
      return await rereadPartitions(disk, part);
    case BLKFLSBUF:
      // Buffers are never dirty: there is no page cache to write back.
      return 0;
    case BLKDISCARD:
      return await rangeIoctl(disk, part, file, REQ_OP_DISCARD, argument as BlkIoctlRange);
    case BLKZEROOUT:
      return await rangeIoctl(disk, part, file, REQ_OP_WRITE_ZEROES, argument as BlkIoctlRange);
    default:
      break;
  }
  const value = readValue(disk, part, command);
  if (value !== null) {
    (argument as BlkIoctlValue).value = value;
    return 0;
  }
  if (disk.ops.ioctl !== undefined) return await disk.ops.ioctl(file, command, argument, part !== null);
  throw new KernelError('ENOTTY', `ioctl 0x${command.toString(16)} on ${file.path}`);
}

function readValue(disk: Disk, part: PartitionImpl | null, command: number): number | null {
  const { limits } = disk.queue;
  const sectors = part === null ? disk.capacitySectors : part.sectors;
  switch (command) {
    case BLKGETSIZE:
      return sectors;
    case BLKGETSIZE64:
      return sectors * SECTOR_SIZE;
    case BLKSSZGET:
      return limits.logicalBlockSizeBytes;
    case BLKPBSZGET:
      return limits.physicalBlockSizeBytes;
    case BLKIOMIN:
      return limits.ioMinBytes;
    case BLKIOOPT:
      return limits.ioOptBytes;
    case BLKROGET:
      return disk.readOnly ? 1 : 0;
    default:
      return null;
  }
}

/** Throws EINVAL on a partition, EBUSY while a partition is open. @kernel block/ioctl.c blkdev_reread_part */
async function rereadPartitions(disk: Disk, part: PartitionImpl | null): Promise<number> {
  if (part !== null) throw new KernelError('EINVAL', 'BLKRRPART on a partition');
  await withMutex(disk.openMutex, async () => {
    await bdevDiskChanged(disk);
  });
  return 0;
}

/** @kernel block/ioctl.c blk_ioctl_discard, blk_ioctl_zeroout */
async function rangeIoctl(
  disk: Disk,
  part: PartitionImpl | null,
  file: OpenFile,
  op: number,
  range: BlkIoctlRange,
): Promise<number> {
  const { offsetBytes, lengthBytes } = range;
  const { logicalBlockSizeBytes: block, maxDiscardSectors, maxWriteZeroesSectors } = disk.queue.limits;
  if (!file.writable) throw new KernelError('EBADF', `${file.path} is not open for writing`);
  const supported = op === REQ_OP_DISCARD ? maxDiscardSectors : maxWriteZeroesSectors;
  if (supported === 0) throw new KernelError('EOPNOTSUPP', `${file.path} cannot do that`);
  const limit = (part === null ? disk.capacitySectors : part.sectors) * SECTOR_SIZE;
  const fits = offsetBytes >= 0 && lengthBytes >= 0 && offsetBytes + lengthBytes <= limit;
  if (!fits || offsetBytes % block !== 0 || lengthBytes % block !== 0)
    throw new KernelError(
      'EINVAL',
      `range ${offsetBytes}+${lengthBytes} of ${file.path} (${limit} bytes, blocks of ${block})`,
    );
  if (lengthBytes === 0) return 0;
  const bio = new BioImpl(0);
  bio.opf = op;
  bio.disk = disk;
  bio.sector = (part === null ? 0 : part.startSector) + offsetBytes / SECTOR_SIZE;
  bio.sizeBytes = lengthBytes;
  const status = await submitBioWait(disk.blk, bio);
  if (status !== BLK_STS_OK) throw new KernelError(blkStatusToErrno(status), `${file.path}: ${errnoOfStatus(status)}`);
  return 0;
}
