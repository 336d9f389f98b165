/**
 * /sys/block/…/queue: limits to read, tunables to write.
 * Kernel counterpart: block/blk-sysfs.c.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import { lineFile, switchFile } from './disk-sysfs.js';
import { elevatorList, elevatorSwitch } from './elevator.js';
import type { Disk } from './gendisk.js';
import { BLKDEV_MIN_RQ, updateNrRequests } from './nr-requests.js';
import { BLK_MQ_F_NO_SCHED, SECTOR_SIZE } from './ports.js';
import { applyMaxSectors } from './queue.js';
import { WBT_LAT_DEFAULT_USEC } from './stat.js';
import { setQueueTimeout } from './timeout.js';

const NS_PER_MS = 1e6;
const KIB_SECTORS = 2;
const PAGE_KIB = 4;
const UINT32_MAX = 4294967295;

/** A tunable: a number within bounds. */
function numberFile(
  name: string,
  show: () => number,
  bounds: readonly [number, number],
  store: (value: number) => Promise<void> | void,
): Attribute {
  return {
    name,
    mode: 0o644,
    show: () => `${show()}\n`,
    store: (text) => {
      const value = Number(text.trim());
      if (text.trim() === '' || !(value >= bounds[0] && value <= bounds[1]) || value % 1 !== 0)
        throw new KernelError(
          'EINVAL',
          `queue/${name}: '${text.trim()}' is not a number from ${bounds[0]} to ${bounds[1]}`,
        );
      return store(value);
    },
  };
}

/** @kernel block/blk-sysfs.c queue_attrs */
export function queueGroup(disk: Disk): AttributeGroup {
  const attributes = [...limitFiles(disk), ...fixedFiles(disk), ...tunables(disk)];
  const { isBioBased, blk } = disk.queue;
  return {
    name: 'queue',
    attributes: isBioBased ? attributes.filter(({ name }) => !blk.era.requestFiles.includes(name)) : attributes,
  };
}

function limitFiles(disk: Disk): Attribute[] {
  const q = disk.queue;
  const bytes = (sectors: number): number => sectors * SECTOR_SIZE;
  return [
    lineFile('logical_block_size', () => q.limits.logicalBlockSizeBytes),
    lineFile('hw_sector_size', () => q.limits.logicalBlockSizeBytes),
    lineFile('physical_block_size', () => q.limits.physicalBlockSizeBytes),
    lineFile('minimum_io_size', () => q.limits.ioMinBytes),
    lineFile('optimal_io_size', () => q.limits.ioOptBytes),
    lineFile('chunk_sectors', () => q.limits.chunkSectors),
    lineFile('max_hw_sectors_kb', () => q.limits.maxHwSectors / KIB_SECTORS),
    lineFile('max_segments', () => q.limits.maxSegments),
    lineFile('max_segment_size', () => q.limits.maxSegmentSizeBytes),
    lineFile('max_integrity_segments', () => q.limits.maxIntegritySegments),
    lineFile('max_discard_segments', () => q.limits.maxDiscardSegments),
    lineFile('discard_granularity', () => q.limits.discardGranularityBytes),
    lineFile('discard_max_hw_bytes', () => bytes(q.limits.maxDiscardSectors)),
    lineFile('write_zeroes_max_bytes', () => bytes(q.limits.maxWriteZeroesSectors)),
    lineFile('virt_boundary_mask', () => q.limits.virtBoundaryMask),
    lineFile('dma_alignment', () => q.limits.dmaAlignmentMask),
    lineFile('fua', () => (q.limits.fua ? 1 : 0)),
  ];
}

/** What this block layer does not do, as Linux shows it for a device that cannot either. */
function fixedFiles(disk: Disk): Attribute[] {
  return [
    lineFile('dax', () => 0),
    lineFile('discard_zeroes_data', () => 0),
    lineFile('nr_zones', () => 0),
    lineFile('write_same_max_bytes', () => 0),
    lineFile('zone_append_max_bytes', () => 0),
    lineFile('zone_write_granularity', () => 0),
    lineFile('zoned', () => 'none'),
    ...pollFiles(disk),
    switchFile('queue/rotational', () => false),
    stableWritesFile(disk),
    switchFile('queue/add_random', () => false),
  ];
}

/** Nothing here changes data under way; a profile's checksums would not bear it. @kernel block/blk-sysfs.c queue_stable_writes_show */
function stableWritesFile({ queue, blk }: Disk): Attribute {
  return switchFile(
    'queue/stable_writes',
    () => blk.era.integrity.needsStableWrites && queue.limits.integrity !== null,
  );
}

/** Polling is the driver's to offer; what is written changes nothing since 5.17. @kernel block/blk-sysfs.c queue_poll_store, queue_poll_delay_store */
function pollFiles({ queue }: Disk): Attribute[] {
  const store = (): void => {
    if (!queue.canPoll) throw new KernelError('EINVAL', 'queue/io_poll: the driver has no poll queues');
  };
  return [
    { name: 'io_poll', mode: 0o644, show: () => (queue.canPoll ? '1\n' : '0\n'), store },
    { name: 'io_poll_delay', mode: 0o644, show: () => '-1\n', store: () => {} },
  ];
}

function tunables(disk: Disk): Attribute[] {
  const q = disk.queue;
  return [
    numberFile(
      'max_sectors_kb',
      () => q.maxSectors / KIB_SECTORS,
      [PAGE_KIB, q.limits.maxHwSectors / KIB_SECTORS],
      (kib) => {
        q.userMaxSectors = kib * KIB_SECTORS;
        applyMaxSectors(q);
      },
    ),
    numberFile(
      'discard_max_bytes',
      () => discardMaxBytes(disk),
      [0, UINT32_MAX],
      (value) => {
        const granularity = q.limits.discardGranularityBytes;
        if (granularity > 0 && value % granularity !== 0)
          throw new KernelError('EINVAL', `queue/discard_max_bytes: ${value} is not a multiple of ${granularity}`);
        q.userMaxDiscardSectors = Math.floor(value / SECTOR_SIZE);
      },
    ),
    numberFile(
      'io_timeout',
      () => Math.floor(q.timeoutNs / NS_PER_MS),
      [1, UINT32_MAX],
      (ms) => setQueueTimeout(q, ms * NS_PER_MS),
    ),
    numberFile(
      'iostats',
      () => (q.ioStat ? 1 : 0),
      [0, 1],
      (on) => {
        q.ioStat = on === 1;
      },
    ),
    numberFile(
      'nomerges',
      () => q.noMerges,
      [0, 2],
      (value) => {
        q.noMerges = value;
      },
    ),
    numberFile(
      'nr_requests',
      () => q.nrRequests,
      [1, UINT32_MAX],
      (nr) => {
        if (q.isBioBased) throw new KernelError('EINVAL', 'queue/nr_requests: the disk has no requests');
        return updateNrRequests(q, Math.max(nr, BLKDEV_MIN_RQ));
      },
    ),
    numberFile(
      'read_ahead_kb',
      () => disk.readAheadKb,
      [0, UINT32_MAX],
      (kib) => {
        disk.readAheadKb = kib;
      },
    ),
    numberFile(
      'rq_affinity',
      () => q.rqAffinity,
      [0, 2],
      (value) => {
        q.rqAffinity = value;
      },
    ),
    numberFile(
      'wbt_lat_usec',
      () => q.wbtLatUsec,
      [-1, UINT32_MAX],
      (usec) => {
        q.wbtLatUsec = usec === -1 ? WBT_LAT_DEFAULT_USEC : usec;
      },
    ),
    schedulerFile(disk),
    writeCacheFile(disk),
  ];
}

function discardMaxBytes({ queue: q }: Disk): number {
  return Math.min(q.limits.maxDiscardSectors, q.userMaxDiscardSectors) * SECTOR_SIZE;
}

/** @kernel block/elevator.c elv_iosched_store */
function schedulerFile({ queue: q }: Disk): Attribute {
  return {
    name: 'scheduler',
    mode: 0o644,
    show: () => ((q.tagSet.flags & BLK_MQ_F_NO_SCHED) !== 0 ? 'none\n' : `${elevatorList(q)}\n`),
    store: (text) => elevatorSwitch(q, text.trim()),
  };
}

/** @kernel block/blk-sysfs.c queue_wc_store */
function writeCacheFile({ queue: q }: Disk): Attribute {
  return {
    name: 'write_cache',
    mode: 0o644,
    show: () => (q.writeCache ? 'write back\n' : 'write through\n'),
    store: (text) => {
      const value = text.trim();
      if (value === 'write back') {
        if (!q.limits.writeCache) throw new KernelError('EINVAL', 'queue/write_cache: the device has no write cache');
        q.writeThrough = false;
      } else if (value === 'write through' || value === 'none') {
        q.writeThrough = true;
      } else {
        throw new KernelError('EINVAL', `queue/write_cache: '${value}' is neither 'write back' nor 'write through'`);
      }
    },
  };
}
