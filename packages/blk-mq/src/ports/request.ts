/** Requests, tag sets, queues, disks, and what a driver implements. Counterpart: include/linux/blk-mq.h, blkdev.h. Types and constants only. */

import type { Device, OpenFile } from '@nvme-stack/device-core/ports';
import type { HasKernel } from '@nvme-stack/kernel';
import type { Bio } from './bio.js';
import type { BlkIntegrity } from './integrity.js';
import type { BlkStatus } from './operations.js';

/** State of a request's tag. @kernel include/linux/blk-mq.h mq_rq_state */
export const MQ_RQ_IDLE = 0;
export const MQ_RQ_IN_FLIGHT = 1;
export const MQ_RQ_COMPLETE = 2;

/** @kernel include/linux/blk-mq.h RQF_* */
export const RQF_STARTED = 1 << 1;
export const RQF_FLUSH_SEQ = 1 << 4;
export const RQF_DONTPREP = 1 << 7;
export const RQF_FAILED = 1 << 10;
export const RQF_QUIET = 1 << 11;
export const RQF_IO_STAT = 1 << 13;
export const RQF_TIMED_OUT = 1 << 21;
export const RQF_RESERVED = 1 << 23;

/** What to do after an `endIo` of a driver-private request. @kernel include/linux/blk-mq.h rq_end_io_ret */
export const RQ_END_IO_NONE = 0;
export const RQ_END_IO_FREE = 1;
export type RqEndIoRet = 0 | 1;

/** A request: one tag's worth of work. Made once per tag. @kernel include/linux/blk-mq.h request */
export interface Request {
  readonly q: RequestQueue;
  readonly mqHctx: BlkMqHwCtx;
  readonly tag: number;
  /** REQ_OP_* | flags. */
  cmdFlags: number;
  rqFlags: number;
  state: number;
  /** First 512-byte sector on the disk. */
  sector: number;
  dataLengthBytes: number;
  /** Physical segments of all its bios. */
  nrPhysSegments: number;
  /** Bios, first to last, linked by `next`; null for driver-private requests without data. */
  bio: Bio | null;
  /** CPU that submitted it: completes there (rq_affinity 1). */
  cpu: number;
  /** The driver's per-request data, made by `initRequest`. @kernel include/linux/blk-mq.h blk_mq_rq_to_pdu */
  pdu: unknown;
  /** Time-out of this request; 0: the queue's. */
  timeoutNs: number;
  deadlineNs: number;
  /** When its bio was submitted, if that is counted in the disk's statistics; otherwise 0. */
  startTimeNs: number;
  /** When its driver started it last. @kernel include/linux/blk-mq.h request.io_start_time_ns */
  readonly ioStartTimeNs: number;
  /** Driver-private requests: called instead of ending bios. Any context; must not sleep. */
  endIo: ((rq: Request, status: BlkStatus) => RqEndIoRet) | null;
  endIoData: unknown;
  /** Link in plug, batch, requeue and dispatch lists. */
  next: Request | null;
}

/** Requests completed together. @kernel include/linux/blkdev.h io_comp_batch */
export interface IoCompBatch {
  first: Request | null;
  last: Request | null;
  needTs: boolean;
  timeNs: number;
  /** Set by the driver that adds first. */
  complete: ((iob: IoCompBatch) => void) | null;
}

/** Passed to queueRq; made once per hardware queue. @kernel include/linux/blk-mq.h blk_mq_queue_data */
export interface BlkMqQueueData {
  rq: Request;
  /** No further request follows at once: ring the doorbell. */
  last: boolean;
}

/** @kernel include/linux/blk-mq.h blk_eh_timer_return */
export const BLK_EH_DONE = 0;
export const BLK_EH_RESET_TIMER = 1;

/** Operations of a driver. All but the init and exit calls may come from any context and never sleep. @kernel include/linux/blk-mq.h blk_mq_ops */
export interface BlkMqOps {
  /** Returns BLK_STS_*; RESOURCE and DEV_RESOURCE requeue. */
  queueRq(hctx: BlkMqHwCtx, bd: BlkMqQueueData): BlkStatus;
  /** Takes a whole list linked by `next`; returns what could not be queued (a list), or null. */
  queueRqs?(list: Request): Request | null;
  /** Rings the doorbell for requests queued without `last`. */
  commitRqs?(hctx: BlkMqHwCtx): void;
  /** Runs on the submitting CPU when the driver completed the request elsewhere. */
  complete?(rq: Request): void;
  /** Runs in the time-out work (kblockd), so it may sleep. Returns BLK_EH_*. */
  timeout?(rq: Request): Promise<number> | number;
  /** Polled queues; returns how many requests it completed. Before 5.0: any queue, and whether the request of `tag` has ended. */
  poll?(hctx: BlkMqHwCtx, iob: IoCompBatch | null, tag: number): number;
  initHctx?(hctx: BlkMqHwCtx, driverData: unknown, index: number): void;
  exitHctx?(hctx: BlkMqHwCtx, index: number): void;
  /** Makes `rq.pdu`; hctxIndex and node tell where it will live. */
  initRequest?(set: BlkMqTagSet, rq: Request, hctxIndex: number, numaNode: number): void;
  exitRequest?(set: BlkMqTagSet, rq: Request, hctxIndex: number): void;
  /** Fills `set.map`; default: CPUs evenly. */
  mapQueues?(set: BlkMqTagSet): void;
  cleanupRq?(rq: Request): void;
}

/** Kinds of hardware queues. @kernel include/linux/blk-mq.h hctx_type */
export const HCTX_TYPE_DEFAULT = 0;
export const HCTX_TYPE_READ = 1;
export const HCTX_TYPE_POLL = 2;
export const HCTX_MAX_TYPES = 3;

/** CPU → hardware queue. @kernel include/linux/blk-mq.h blk_mq_queue_map */
export interface BlkMqQueueMap {
  readonly mqMap: Int32Array;
  nrQueues: number;
  queueOffset: number;
}

/** @kernel include/linux/blk-mq.h */
export const BLK_MQ_F_NO_SCHED = 1 << 4;
export const BLK_MQ_F_BLOCKING = 1 << 5;
export const BLK_MQ_F_STACKING = 1 << 2;

/** Tags and hardware queues that several request queues share. Made by `allocTagSet`. @kernel include/linux/blk-mq.h blk_mq_tag_set */
export interface BlkMqTagSet extends HasKernel {
  readonly ops: BlkMqOps;
  readonly name: string;
  nrHwQueues: number;
  readonly queueDepth: number;
  readonly reservedTags: number;
  readonly numaNode: number;
  timeoutNs: number;
  readonly flags: number;
  readonly driverData: unknown;
  nrMaps: number;
  readonly map: readonly BlkMqQueueMap[];
  /** Request of a tag, or null when the tag is not in use. Any context. @kernel block/blk-mq.c blk_mq_tag_to_rq */
  tagToRq(hwQueue: number, tag: number): Request | null;
  /** The request of a tag that its driver has started and not completed; null when there is none. Any context. */
  inFlightRq(hwQueue: number, tag: number): Request | null;
}

/** What a tag set is made from. */
export interface BlkMqTagSetInit {
  readonly name: string;
  readonly ops: BlkMqOps;
  readonly nrHwQueues: number;
  readonly nrMaps: number;
  readonly queueDepth: number;
  readonly reservedTags: number;
  readonly numaNode: number;
  readonly timeoutNs: number;
  readonly flags: number;
  readonly driverData: unknown;
}

/** A hardware queue of one request queue. @kernel include/linux/blk-mq.h blk_mq_hw_ctx */
export interface BlkMqHwCtx extends HasKernel {
  readonly queue: RequestQueue;
  readonly queueNum: number;
  readonly type: number;
  /** CPUs mapped to it. */
  readonly cpus: readonly number[];
  /** Set by `initHctx`. */
  driverData: unknown;
}

/** Limits of a queue. @kernel include/linux/blkdev.h queue_limits */
export interface QueueLimits {
  maxHwSectors: number;
  maxSegments: number;
  maxSegmentSizeBytes: number;
  virtBoundaryMask: number;
  dmaAlignmentMask: number;
  logicalBlockSizeBytes: number;
  physicalBlockSizeBytes: number;
  ioMinBytes: number;
  ioOptBytes: number;
  chunkSectors: number;
  maxDiscardSectors: number;
  maxDiscardSegments: number;
  discardGranularityBytes: number;
  maxWriteZeroesSectors: number;
  /** Volatile write cache: flushes and FUA mean something. */
  writeCache: boolean;
  fua: boolean;
  /** Pieces of metadata a request may have. */
  maxIntegritySegments: number;
  /** Null: blocks have no metadata, or nobody here sees it. */
  integrity: BlkIntegrity | null;
}

/** A request queue. @kernel include/linux/blkdev.h request_queue */
export interface RequestQueue extends HasKernel {
  /** Of a bio-based disk: one without hardware queues. */
  readonly tagSet: BlkMqTagSet;
  readonly limits: QueueLimits;
  readonly hctxs: readonly BlkMqHwCtx[];
  readonly disk: Gendisk | null;
  /** The driver's own (a namespace, a controller). @kernel include/linux/blkdev.h request_queue.queuedata */
  queuedata: unknown;
  readonly quiesced: boolean;
  readonly frozen: boolean;
  readonly dying: boolean;
  /** I/O scheduler's name, `none` for none. */
  readonly scheduler: string;
  /** Of requests that have none of their own. @kernel include/linux/blkdev.h request_queue.rq_timeout */
  readonly timeoutNs: number;
  /** I/O is counted. @kernel include/linux/blkdev.h blk_queue_io_stat */
  readonly ioStat: boolean;
  /** REQ_POLLED means something. */
  readonly canPoll: boolean;
  /** Sectors written, by stream: none, then each hint; the driver counts. @kernel include/linux/blkdev.h request_queue.write_hints */
  readonly writeHints: Float64Array;
}

/** Statistics of a disk or partition, as /proc/diskstats has them. */
export interface DiskStats {
  readonly ios: Float64Array;
  readonly merges: Float64Array;
  readonly sectors: Float64Array;
  readonly ticksNs: Float64Array;
}

/** A partition found on a disk. */
export interface Partition {
  readonly number: number;
  readonly name: string;
  readonly startSector: number;
  readonly sectors: number;
  readonly typeGuid: string | null;
  readonly uuid: string | null;
  readonly dev: Device;
}

/** Operations of a disk's node. @kernel include/linux/blkdev.h block_device_operations */
export interface BlockDeviceOperations {
  open?(disk: Gendisk): Promise<void>;
  release?(disk: Gendisk): Promise<void>;
  /** Bio-based disks only: takes each bio in place of request queues; ends it, or passes it on with `submitBioNoacct`. Any context with a CPU; never sleeps. */
  submitBio?(bio: Bio): void;
  /** What the block layer itself does not answer; `partition`: asked through a partition's node. */
  ioctl?(file: OpenFile, command: number, argument: unknown, partition: boolean): Promise<number>;
}

/** A disk. @kernel include/linux/blkdev.h gendisk */
export interface Gendisk extends HasKernel {
  readonly name: string;
  readonly queue: RequestQueue;
  readonly dev: Device;
  readonly ops: BlockDeviceOperations;
  readonly private: unknown;
  /** 512-byte sectors. */
  readonly capacitySectors: number;
  readonly readOnly: boolean;
  readonly partitions: readonly Partition[];
  readonly stats: DiskStats;
  readonly live: boolean;
  readonly diskseq: number;
  /** No node, no events: a disk that only another driver's disk uses. @kernel include/linux/blkdev.h GENHD_FL_HIDDEN */
  readonly hidden: boolean;
}

/** @kernel include/uapi/linux/fs.h BLKGETSIZE64 and its neighbours */
export const BLKROSET = 0x125d;
export const BLKROGET = 0x125e;
export const BLKRRPART = 0x125f;
export const BLKGETSIZE = 0x1260;
export const BLKFLSBUF = 0x1261;
export const BLKSSZGET = 0x1268;
export const BLKDISCARD = 0x1277;
export const BLKIOMIN = 0x1278;
export const BLKIOOPT = 0x1279;
export const BLKPBSZGET = 0x127b;
export const BLKZEROOUT = 0x127f;
export const BLKGETSIZE64 = 0x80081272;

/** Argument of the ioctls that read or set one number. */
export interface BlkIoctlValue {
  value: number;
}

/** Argument of BLKDISCARD and BLKZEROOUT, in bytes. */
export interface BlkIoctlRange {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** Orders requests between submission and dispatch. Any context; never sleeps. @kernel include/linux/elevator.h elevator_mq_ops */
export interface IoScheduler {
  readonly name: string;
  insert(hctx: BlkMqHwCtx, rq: Request, atHead: boolean): void;
  /** Next request to dispatch, or null. */
  dispatch(hctx: BlkMqHwCtx): Request | null;
  hasWork(hctx: BlkMqHwCtx): boolean;
  /** A queued request that `bio` may be appended to, or null. */
  findMerge?(hctx: BlkMqHwCtx, bio: Bio): Request | null;
  completed?(rq: Request): void;
}

/** Makes one scheduler per request queue. */
export interface IoSchedulerType {
  readonly name: string;
  create(queue: RequestQueue): IoScheduler;
}
