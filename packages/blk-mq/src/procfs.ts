/**
 * /proc/partitions and /proc/diskstats.
 * Kernel counterpart: block/genhd.c (show_partition, diskstats_show).
 */

import type { DevT } from '@nvme-stack/device-core/ports';
import type { Stats } from './account.js';
import type { Blk } from './blk.js';
import { statColumns } from './disk-sysfs.js';

interface Row {
  readonly devt: DevT;
  readonly name: string;
  readonly sectors: number;
  readonly stats: Stats;
  readonly hidden: boolean;
}

function rows(blk: Blk): Row[] {
  const all: Row[] = [];
  for (const disk of blk.disks) {
    const { name, capacitySectors: sectors, stats } = disk;
    all.push({ devt: disk.devt as DevT, name, sectors, stats, hidden: disk.hidden });
    for (const part of disk.partitions) {
      all.push({
        devt: part.dev.devt as DevT,
        name: part.name,
        sectors: part.sectors,
        stats: part.stats,
        hidden: false,
      });
    }
  }
  return all;
}

const pad = (value: number, width: number): string => String(value).padStart(width);

/** @kernel block/genhd.c show_partition */
export function showPartitions(blk: Blk): string {
  const lines = rows(blk)
    .filter(({ sectors, hidden }) => sectors > 0 && !hidden)
    .map(
      ({ devt, name, sectors }) =>
        `${pad(devt.major, 4)}  ${pad(devt.minor, 7)} ${pad(Math.floor(sectors / 2), 10)} ${name}\n`,
    );
  return lines.length === 0 ? '' : `major minor  #blocks  name\n\n${lines.join('')}`;
}

/** @kernel block/genhd.c diskstats_show */
export function showDiskstats(blk: Blk): string {
  const now = blk.ex.now();
  return rows(blk)
    .map(
      ({ devt, name, stats }) =>
        `${pad(devt.major, 4)} ${pad(devt.minor, 7)} ${name} ${statColumns(stats, now).join(' ')}\n`,
    )
    .join('');
}
