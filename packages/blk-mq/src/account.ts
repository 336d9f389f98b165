/**
 * What /proc/diskstats counts: I/Os, merges, sectors, times, and what is in flight.
 * Kernel counterpart: block/blk-mq.c (blk_account_io_start, blk_account_io_done), include/linux/part_stat.h.
 */

import type { Blk } from './blk.js';
import type { Disk } from './gendisk.js';
import type { PartitionImpl } from './partitions/partition.js';
import { type DiskStats, REQ_OP_DISCARD, REQ_OP_FLUSH, REQ_OP_MASK, RQF_FLUSH_SEQ, RQF_IO_STAT } from './ports.js';
import { isPassthrough, type RequestImpl, RQF_STATED } from './request.js';
import { bytesToSectors } from './sectors.js';

/** Groups of counters; reads are 0 and writes 1, as bit 0 of an operation says. @kernel include/linux/blk_types.h stat_group */
const STAT_DISCARD = 2;
const STAT_FLUSH = 3;

/** Counters of a disk or a partition. @kernel include/linux/part_stat.h disk_stats */
export class Stats implements DiskStats {
  readonly ios = new Float64Array(4);
  readonly merges = new Float64Array(4);
  readonly sectors = new Float64Array(4);
  readonly ticksNs = new Float64Array(4);
  /** In flight: reads, writes; and both. */
  readonly inFlight = new Int32Array(2);
  inFlightTotal = 0;
  /** Time with something in flight before the present spell, and when that began. */
  busyNs = -0;
  busySinceNs = -0;
}

/** Time with something in flight, until now. @kernel include/linux/part_stat.h io_ticks */
export function busyNs(stats: Stats, nowNs: number): number {
  return stats.busyNs + (stats.inFlightTotal > 0 ? nowNs - stats.busySinceNs : 0);
}

/** @kernel include/linux/blk_types.h op_stat_group */
export function statGroup(opf: number): number {
  const op = opf & REQ_OP_MASK;
  if (op === REQ_OP_DISCARD) return STAT_DISCARD;
  return op & 1;
}

function enter(stats: Stats, write: number, nowNs: number): void {
  if (stats.inFlightTotal++ === 0) stats.busySinceNs = nowNs;
  stats.inFlight[write]++;
}

function leave(stats: Stats, write: number, nowNs: number): void {
  stats.inFlight[write]--;
  if (--stats.inFlightTotal === 0) stats.busyNs += nowNs - stats.busySinceNs;
}

/** @kernel block/blk-mq.c blk_account_io_start */
export function accountIoStart(rq: RequestImpl): void {
  if ((rq.rqFlags & RQF_IO_STAT) === 0) return;
  const { disk } = rq.q;
  if (disk === null || isPassthrough(rq)) return;
  rq.rqFlags |= RQF_STATED;
  const write = rq.cmdFlags & 1;
  enter(disk.stats, write, rq.startTimeNs);
  rq.part = disk.partitions.length === 0 ? null : partitionOf(disk, rq.sector);
  if (rq.part !== null) enter(rq.part.stats, write, rq.startTimeNs);
}

function partitionOf(disk: Disk, sector: number): PartitionImpl | null {
  for (const part of disk.partitions) {
    if (sector >= part.startSector && sector < part.startSector + part.sectors) return part;
  }
  return null;
}

/** Sectors of a request that ended well, wholly or in part. @kernel block/blk-mq.c blk_account_io_completion */
export function accountIoCompletion(blk: Blk, rq: RequestImpl, bytes: number): void {
  if ((rq.rqFlags & RQF_STATED) === 0) return;
  const { trace } = blk;
  if (blk.functions) {
    trace.enter('blk_account_io_completion');
    trace.exit();
  }
  const disk = rq.q.disk as Disk;
  const group = statGroup(rq.cmdFlags);
  const sectors = bytesToSectors(bytes);
  disk.stats.sectors[group] += sectors;
  if (rq.part !== null) rq.part.stats.sectors[group] += sectors;
}

/** @kernel block/blk-mq.c blk_account_io_done */
export function accountIoDone(rq: RequestImpl, nowNs: number): void {
  // A step of a flush sequence is not the end of its request.
  if ((rq.rqFlags & RQF_STATED) === 0 || (rq.rqFlags & RQF_FLUSH_SEQ) !== 0) return;
  const disk = rq.q.disk as Disk;
  done(disk.stats, rq, nowNs);
  if (rq.part !== null) done(rq.part.stats, rq, nowNs);
}

function done(stats: Stats, rq: RequestImpl, nowNs: number): void {
  leave(stats, rq.cmdFlags & 1, nowNs);
  const group = statGroup(rq.cmdFlags);
  stats.ios[group]++;
  stats.ticksNs[group] += nowNs - rq.startTimeNs;
}

/** Counts I/O on a disk as a whole that starts; returns the time. @kernel block/blk-core.c bdev_start_io_acct */
export function bdevStartIoAcct(disk: Disk, op: number): number {
  const nowNs = disk.kernel.ex.now();
  enter(disk.stats, op & 1, nowNs);
  return nowNs;
}

/** And that ends. @kernel block/blk-core.c bdev_end_io_acct */
export function bdevEndIoAcct(disk: Disk, op: number, sectors: number, startNs: number): void {
  const nowNs = disk.kernel.ex.now();
  const { stats } = disk;
  const group = statGroup(op);
  leave(stats, op & 1, nowNs);
  stats.ios[group]++;
  stats.sectors[group] += sectors;
  stats.ticksNs[group] += nowNs - startNs;
}

/** A flush the device was sent. @kernel block/blk-flush.c blk_account_io_flush */
export function accountFlush(disk: Disk | null, ns: number): void {
  if (disk === null) return;
  disk.stats.ios[STAT_FLUSH]++;
  disk.stats.ticksNs[STAT_FLUSH] += ns;
}

/** @kernel block/blk-merge.c blk_account_io_merge_bio */
export function accountMerge(rq: RequestImpl): void {
  if ((rq.rqFlags & RQF_STATED) === 0) return;
  const disk = rq.q.disk as Disk;
  const group = statGroup(rq.cmdFlags);
  disk.stats.merges[group]++;
  if (rq.part !== null) rq.part.stats.merges[group]++;
}

/** The kind of a request for latency statistics: 0 read, 1 write, 2 other. */
export function latencyKind(cmdFlags: number): number {
  const op = cmdFlags & REQ_OP_MASK;
  return op < REQ_OP_FLUSH ? op : 2;
}
