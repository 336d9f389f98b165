/**
 * What blk-mq owns: bios, requests, tag sets, the operations a driver implements, disks and partitions.
 * Types and constants only. Counterparts: include/linux/blk-mq.h, blkdev.h, bio.h, blk_types.h.
 *
 * Hot path: everything from `submitBio` to `endIo` is synchronous and allocates nothing. Requests and the driver's
 * per-request data are made once per tag; bios are made once by their user and reused.
 */
import type { AttributeGroup, Device, FileOperations } from '@nvme-stack/device-core/ports';
import type { HasKernel, Kernel, ScatterList } from '@nvme-stack/kernel';

// ------------------------------------------------------------------------------------------ operations and status

/** @kernel include/linux/blk_types.h req_op */
export const REQ_OP_READ = 0;
export const REQ_OP_WRITE = 1;
export const REQ_OP_FLUSH = 2;
export const REQ_OP_DISCARD = 3;
export const REQ_OP_SECURE_ERASE = 5;
export const REQ_OP_WRITE_ZEROES = 9;
export const REQ_OP_DRV_IN = 34;
export const REQ_OP_DRV_OUT = 35;
export const REQ_OP_MASK = 0xff;

/** @kernel include/linux/blk_types.h req_flag_bits */
export const REQ_FAILFAST_DEV = 1 << 8;
export const REQ_FAILFAST_TRANSPORT = 1 << 9;
export const REQ_FAILFAST_DRIVER = 1 << 10;
export const REQ_SYNC = 1 << 11;
export const REQ_META = 1 << 12;
export const REQ_PRIO = 1 << 13;
export const REQ_NOMERGE = 1 << 14;
export const REQ_IDLE = 1 << 15;
export const REQ_FUA = 1 << 17;
export const REQ_PREFLUSH = 1 << 18;
export const REQ_RAHEAD = 1 << 19;
export const REQ_NOWAIT = 1 << 21;
export const REQ_POLLED = 1 << 22;

/** Result of I/O, 0 is success; kept as a small number. @kernel include/linux/blk_types.h blk_status_t */
export const BLK_STS_OK = 0;
export const BLK_STS_NOTSUPP = 1;
export const BLK_STS_TIMEOUT = 2;
export const BLK_STS_NOSPC = 3;
export const BLK_STS_TRANSPORT = 4;
export const BLK_STS_TARGET = 5;
export const BLK_STS_RESV_CONFLICT = 6;
export const BLK_STS_MEDIUM = 7;
export const BLK_STS_PROTECTION = 8;
export const BLK_STS_RESOURCE = 9;
export const BLK_STS_IOERR = 10;
export const BLK_STS_DM_REQUEUE = 11;
export const BLK_STS_AGAIN = 12;
export const BLK_STS_DEV_RESOURCE = 13;
export const BLK_STS_OFFLINE = 16;
export type BlkStatus = number;

export const SECTOR_SHIFT = 9;
export const SECTOR_SIZE = 512;

// ------------------------------------------------------------------------------------------ bios

/** A piece of I/O. Made by `allocBio`, refilled by its user. @kernel include/linux/blk_types.h bio */
export interface Bio {
  /** REQ_OP_* | flags. */
  opf: number;
  /** First 512-byte sector on the disk or partition it is sent to. */
  sector: number;
  /** Bytes of data; for discard and write zeroes the length of the range (no vectors). */
  sizeBytes: number;
  /** Physical pieces; `vcnt` in use. */
  vcnt: number;
  readonly vecAddr: Float64Array;
  readonly vecLengthBytes: Float64Array;
  status: BlkStatus;
  disk: Gendisk | null;
  /** Called once when the bio is done, in the context that completed it; must not sleep. */
  endIo: ((bio: Bio) => void) | null;
  /** The user's own. */
  private: unknown;
  /** Cookie for polling. @kernel include/linux/blk_types.h bio.bi_cookie */
  cookie: number;
  /** Owned by the block layer while the bio is in flight. */
  next: Bio | null;
}

/** Bios submitted together: one flush, one doorbell. @kernel include/linux/blkdev.h blk_plug */
export interface BlkPlug {
  readonly count: number;
}

// ------------------------------------------------------------------------------------------ requests

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
  startTimeNs: number;
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
  /** Polled queues; returns how many requests it completed. */
  poll?(hctx: BlkMqHwCtx, iob: IoCompBatch | null): number;
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
}

/** A request queue. @kernel include/linux/blkdev.h request_queue */
export interface RequestQueue extends HasKernel {
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
  ioctl?: FileOperations['unlockedIoctl'];
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

// ------------------------------------------------------------------------------------------ the subsystem

/** The block layer of one machine. */
export interface BlkMq {
  readonly kernel: Kernel;

  /** Makes `kblockd`, once, at boot; without it the first queue does. Task context. @kernel block/blk-core.c blk_dev_init */
  blkDevInit(): void;

  /** Allocates tags and requests (calls initRequest). Throws EINVAL, ENOMEM. Task context. @kernel block/blk-mq.c blk_mq_alloc_tag_set */
  blkMqAllocTagSet(init: BlkMqTagSetInit): BlkMqTagSet;
  blkMqFreeTagSet(set: BlkMqTagSet): void;
  /** Fewer or more hardware queues after a reset; freezes every queue of the set. @kernel block/blk-mq.c blk_mq_update_nr_hw_queues */
  blkMqUpdateNrHwQueues(set: BlkMqTagSet, nrHwQueues: number): Promise<void>;
  /** Trace blk_mq_update_queue_map's default mapping. @kernel block/blk-mq-cpumap.c blk_mq_map_queues */
  blkMqMapQueues(map: BlkMqQueueMap): void;
  /** By interrupt affinity of a device's vectors. @kernel block/blk-mq-pci.c blk_mq_pci_map_queues */
  blkMqHctxMapQueues(map: BlkMqQueueMap, dev: Device, vectorOffset: number): void;

  /** A queue without a disk (admin). Trace blk_mq_alloc_queue → blk_mq_init_allocated_queue. Task context. @kernel block/blk-mq.c blk_mq_alloc_queue */
  blkMqAllocQueue(set: BlkMqTagSet, limits: Partial<QueueLimits> | null, queuedata: unknown): RequestQueue;
  /** @kernel block/blk-mq.c blk_mq_destroy_queue */
  blkMqDestroyQueue(q: RequestQueue): Promise<void>;
  /** A queue with a disk, not yet live. Trace __blk_mq_alloc_disk. @kernel block/blk-mq.c __blk_mq_alloc_disk */
  blkMqAllocDisk(set: BlkMqTagSet, limits: Partial<QueueLimits> | null, queuedata: unknown): Gendisk;
  /** Names it before it goes live. */
  setDiskName(disk: Gendisk, name: string, ops: BlockDeviceOperations, priv: unknown): void;
  /** Throws EINVAL for impossible limits; nothing changes then. @kernel block/blk-settings.c queue_limits_commit_update */
  queueLimitsCommitUpdate(q: RequestQueue, limits: Partial<QueueLimits>): void;
  /** Sends uevent `change` with RESIZE=1 when live. Returns whether it changed. @kernel block/genhd.c set_capacity_and_notify */
  setCapacityAndNotify(disk: Gendisk, sectors: number): boolean;
  setDiskRo(disk: Gendisk, readOnly: boolean): void;
  /** Makes it visible (sysfs, /dev, uevents) and scans partitions. Throws. Task context. @kernel block/genhd.c device_add_disk */
  deviceAddDisk(parent: Device, disk: Gendisk, groups: readonly AttributeGroup[]): Promise<void>;
  /** Fails new I/O, waits for what is in flight, removes nodes. @kernel block/genhd.c del_gendisk */
  delGendisk(disk: Gendisk): Promise<void>;
  /** Every request fails from now on. @kernel block/genhd.c blk_mark_disk_dead */
  blkMarkDiskDead(disk: Gendisk): void;
  /** @kernel block/genhd.c put_disk */
  putDisk(disk: Gendisk): void;
  readonly disks: readonly Gendisk[];
  /** A disk or partition by node name: the disk, its first sector and its length. */
  lookup(name: string): { readonly disk: Gendisk; readonly startSector: number; readonly sectors: number } | null;

  /** @kernel block/bio.c bio_alloc */
  allocBio(maxVecs: number): Bio;
  /** Never sleeps. Any context. @kernel block/blk-core.c submit_bio */
  submitBio(bio: Bio): void;
  /** Task context; returns the status. @kernel block/bio.c submit_bio_wait */
  submitBioWait(bio: Bio): Promise<BlkStatus>;
  /** Polls for a REQ_POLLED bio; returns how many completed. @kernel block/blk-core.c bio_poll */
  bioPoll(bio: Bio): number;
  /** @kernel block/blk-core.c blk_start_plug */
  blkStartPlug(): BlkPlug;
  /** Issues what gathered. @kernel block/blk-core.c blk_finish_plug */
  blkFinishPlug(plug: BlkPlug): void;

  /** A driver-private request; op is REQ_OP_DRV_IN or _OUT. `reserved`/`nowait` as flags; `hctxIndex` -1: by CPU. Task context (may wait for a tag) unless nowait; null when none is free then. @kernel block/blk-mq.c blk_mq_alloc_request */
  blkMqAllocRequest(
    q: RequestQueue,
    opf: number,
    flags: { readonly nowait?: boolean; readonly reserved?: boolean; readonly hctxIndex?: number },
  ): Promise<Request>;
  /** Never sleeps; null when no tag is free. Any context. */
  blkMqTryAllocRequest(
    q: RequestQueue,
    opf: number,
    flags: { readonly reserved?: boolean; readonly hctxIndex?: number },
  ): Request | null;
  blkMqFreeRequest(rq: Request): void;
  /** Attaches physical pieces as data of a driver-private request. @kernel block/blk-map.c blk_rq_map_kern */
  blkRqMapKern(rq: Request, physAddr: number, lengthBytes: number): void;
  blkRqMapPages(rq: Request, addrs: readonly number[], lengths: readonly number[]): void;
  /** Inserts, runs, waits; returns the status. Trace blk_execute_rq. Task context. @kernel block/blk-mq.c blk_execute_rq */
  blkExecuteRq(rq: Request, atHead: boolean): Promise<BlkStatus>;
  /** Inserts and runs; `rq.endIo` tells the end. Any context. @kernel block/blk-mq.c blk_execute_rq_nowait */
  blkExecuteRqNowait(rq: Request, atHead: boolean): void;

  /** Any context. @kernel block/blk-mq.c blk_mq_start_request */
  blkMqStartRequest(rq: Request): void;
  /** The same for each request of a list, linked by `next`. Any context. */
  blkMqStartRequests(list: Request): void;
  /** Completes on the right CPU: true when an IPI or softirq will call `ops.complete`; false: the caller completes it now. Any context. @kernel block/blk-mq.c blk_mq_complete_request_remote */
  blkMqCompleteRequestRemote(rq: Request): boolean;
  blkMqCompleteRequest(rq: Request): void;
  /** Adds to a batch unless it failed or has its own end; false: complete it alone. @kernel include/linux/blk-mq.h blk_mq_add_to_batch */
  blkMqAddToBatch(
    rq: Request,
    iob: IoCompBatch | null,
    isError: boolean,
    complete: (iob: IoCompBatch) => void,
  ): boolean;
  /**
   * Completes successful requests without an end of their own, linked by `next`: each as blkMqCompleteRequestRemote and,
   * where that leaves it here, blkMqAddToBatch do; what the batch cannot take, as `ops.complete` does. Any context.
   */
  blkMqCompleteToBatch(list: Request, iob: IoCompBatch, complete: (iob: IoCompBatch) => void): void;
  /** @kernel block/blk-mq.c blk_mq_end_request */
  blkMqEndRequest(rq: Request, status: BlkStatus): void;
  /** @kernel block/blk-mq.c blk_mq_end_request_batch */
  blkMqEndRequestBatch(iob: IoCompBatch): void;
  /** Ends part of it; true when something is left. @kernel block/blk-mq.c blk_update_request */
  blkUpdateRequest(rq: Request, status: BlkStatus, bytes: number): boolean;
  /** @kernel block/blk-mq.c blk_mq_requeue_request */
  blkMqRequeueRequest(rq: Request, kick: boolean): void;
  blkMqDelayKickRequeueList(q: RequestQueue, delayNs: number): void;
  blkMqKickRequeueList(q: RequestQueue): void;
  blkMqRunHwQueues(q: RequestQueue): void;
  ioCompBatch(): IoCompBatch;

  /** Fills `sg` with the request's pieces, merging adjacent ones; returns the number of entries. Any context. Trace __blk_rq_map_sg. @kernel block/blk-merge.c __blk_rq_map_sg */
  blkRqMapSg(rq: Request, sg: ScatterList): number;

  /** Stops dispatch without waiting. @kernel block/blk-mq.c blk_mq_quiesce_queue_nowait */
  blkMqQuiesceQueueNowait(q: RequestQueue): void;
  blkMqUnquiesceQueue(q: RequestQueue): void;
  blkMqQuiesceTagset(set: BlkMqTagSet): void;
  blkMqUnquiesceTagset(set: BlkMqTagSet): void;
  /** @kernel block/blk-mq.c blk_freeze_queue_start */
  blkFreezeQueueStart(q: RequestQueue): void;
  /** Trace blk_mq_freeze_queue → blk_mq_freeze_queue_wait. Task context. */
  blkMqFreezeQueue(q: RequestQueue): Promise<void>;
  blkMqFreezeQueueWait(q: RequestQueue): Promise<void>;
  blkMqFreezeQueueWaitTimeout(q: RequestQueue, timeoutNs: number): Promise<boolean>;
  blkMqUnfreezeQueue(q: RequestQueue): void;
  /** Calls `fn` for every started request; `fn` returns false to stop. Any context. @kernel block/blk-mq-tag.c blk_mq_tagset_busy_iter */
  blkMqTagsetBusyIter(set: BlkMqTagSet, fn: (rq: Request) => boolean): void;
  /** Waits until completed requests have ended. @kernel block/blk-mq-tag.c blk_mq_tagset_wait_completed_request */
  blkMqTagsetWaitCompletedRequest(set: BlkMqTagSet): Promise<void>;
  /** Waits for time-out and requeue work. @kernel block/blk-core.c blk_sync_queue */
  blkSyncQueue(q: RequestQueue): Promise<void>;
  setQueueTimeout(q: RequestQueue, timeoutNs: number): void;

  /** Makes a scheduler known (`mq-deadline`, `none` …). */
  registerScheduler(type: IoSchedulerType): void;
  /** As writing to queue/scheduler does; throws EINVAL. */
  elevatorSwitch(q: RequestQueue, name: string): Promise<void>;
  /** @kernel block/partitions/core.c bdev_disk_changed */
  bdevDiskChanged(disk: Gendisk): Promise<void>;
}
