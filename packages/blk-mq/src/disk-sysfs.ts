/**
 * /sys/block/… files of disks and partitions.
 * Kernel counterpart: block/genhd.c (disk_attr_group), block/partitions/core.c (part_attr_group).
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import { busyNs, type Stats } from './account.js';
import type { Disk } from './gendisk.js';
import type { PartitionImpl } from './partitions/partition.js';
import { SECTOR_SIZE } from './ports.js';

const NS_PER_MS = 1e6;

/** A read-only file of one line. */
export function lineFile(name: string, show: () => string | number): Attribute {
  return { name, mode: 0o444, show: () => `${show()}\n` };
}

const whole = (ms: number): number => Math.floor(ms);

/** Columns of `stat`: I/Os, merges, sectors and ms by kind, in flight, busy ms, waited ms. */
export function statColumns(stats: Stats, nowNs: number): number[] {
  const { ios, merges, sectors, ticksNs, inFlight } = stats;
  const kind = (k: number): number[] => [ios[k], merges[k], sectors[k], whole(ticksNs[k] / NS_PER_MS)];
  const waited = ticksNs[0] + ticksNs[1] + ticksNs[2] + ticksNs[3];
  return [
    ...kind(0),
    ...kind(1),
    inFlight[0] + inFlight[1],
    whole(busyNs(stats, nowNs) / NS_PER_MS),
    whole(waited / NS_PER_MS),
    ...kind(2),
    ios[3],
    whole(ticksNs[3] / NS_PER_MS),
  ];
}

/** @kernel block/genhd.c part_stat_show */
export function statLine(stats: Stats, nowNs: number): string {
  return `${statColumns(stats, nowNs)
    .map((n) => String(n).padStart(8))
    .join(' ')}\n`;
}

/** @kernel block/genhd.c part_inflight_show */
function inflightLine({ inFlight }: Stats): string {
  return `${String(inFlight[0]).padStart(8)} ${String(inFlight[1]).padStart(8)}\n`;
}

/** How far the first byte is from a boundary the device likes. @kernel block/blk-settings.c queue_limit_alignment_offset */
function alignmentOffset(disk: Disk, startSector: number): number {
  const granularity = Math.max(disk.queue.limits.physicalBlockSizeBytes, disk.queue.limits.ioMinBytes);
  const over = (startSector * SECTOR_SIZE) % granularity;
  return over === 0 ? 0 : granularity - over;
}

/** @kernel block/blk-settings.c queue_limit_discard_alignment */
function discardAlignment(disk: Disk, startSector: number): number {
  const granularity = disk.queue.limits.discardGranularityBytes;
  if (disk.queue.limits.maxDiscardSectors === 0 || granularity === 0) return 0;
  const over = (startSector * SECTOR_SIZE) % granularity;
  return over === 0 ? 0 : granularity - over;
}

/** A disk without removable media has no events to poll for. @kernel block/disk-events.c disk_events_poll_msecs_store */
function eventsPollMsecs(): Attribute {
  return {
    name: 'events_poll_msecs',
    mode: 0o644,
    show: () => '-1\n',
    store: () => {
      throw new KernelError('ENODEV', 'events_poll_msecs: the disk has no events');
    },
  };
}

/** A 0 or 1 that is kept, and that nothing of this block layer asks; `initial` until something is written. Throws EINVAL. */
export function switchFile(path: string, initial: () => boolean): Attribute {
  let on: boolean | null = null;
  return {
    name: path.slice(path.indexOf('/') + 1),
    mode: 0o644,
    show: () => ((on ?? initial()) ? '1\n' : '0\n'),
    store: (text) => {
      const value = Number(text.trim());
      if (text.trim() === '' || !(value >= 0 && value % 1 === 0))
        throw new KernelError('EINVAL', `${path}: '${text.trim()}' is not a number from 0`);
      on = value !== 0;
    },
  };
}

/** @kernel block/genhd.c disk_attrs */
export function diskGroup(disk: Disk): AttributeGroup {
  const now = (): number => disk.kernel.ex.now();
  return {
    attributes: [
      lineFile('range', () => 0),
      lineFile('ext_range', () => 256),
      lineFile('removable', () => 0),
      lineFile('hidden', () => (disk.hidden ? 1 : 0)),
      lineFile('ro', () => (disk.readOnly ? 1 : 0)),
      lineFile('size', () => disk.capacitySectors),
      lineFile('alignment_offset', () => alignmentOffset(disk, 0)),
      lineFile('discard_alignment', () => discardAlignment(disk, 0)),
      lineFile('capability', () => 0),
      { name: 'stat', mode: 0o444, show: () => statLine(disk.stats, now()) },
      { name: 'inflight', mode: 0o444, show: () => inflightLine(disk.stats) },
      { name: 'events', mode: 0o444, show: () => '' },
      { name: 'events_async', mode: 0o444, show: () => '' },
      eventsPollMsecs(),
      lineFile('diskseq', () => disk.diskseq),
    ],
  };
}

/** @kernel block/partitions/core.c part_attrs */
export function partitionGroup(disk: Disk, part: PartitionImpl): AttributeGroup {
  const now = (): number => disk.kernel.ex.now();
  return {
    attributes: [
      lineFile('partition', () => part.number),
      lineFile('start', () => part.startSector),
      lineFile('size', () => part.sectors),
      lineFile('ro', () => (disk.readOnly ? 1 : 0)),
      lineFile('alignment_offset', () => alignmentOffset(disk, part.startSector)),
      lineFile('discard_alignment', () => discardAlignment(disk, part.startSector)),
      { name: 'stat', mode: 0o444, show: () => statLine(part.stats, now()) },
      { name: 'inflight', mode: 0o444, show: () => inflightLine(part.stats) },
    ],
  };
}
