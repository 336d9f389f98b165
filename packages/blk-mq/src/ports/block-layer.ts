/** The block layer of one machine. Counterpart: include/linux/blk-mq.h, blkdev.h. Types and constants only. */

import type { AttributeGroup, Device } from '@nvme-stack/device-core/ports';
import type { Kernel, ScatterList } from '@nvme-stack/kernel';
import type { WorkStruct } from '@nvme-stack/workqueue/ports';
import type { Bio, BioList, BlkPlug, WriteHints } from './bio.js';
import type { BioIntegrityPayload } from './integrity.js';
import type { BlkStatus } from './operations.js';
import type {
  BlkMqQueueMap,
  BlkMqTagSet,
  BlkMqTagSetInit,
  BlockDeviceOperations,
  Gendisk,
  IoCompBatch,
  IoSchedulerType,
  QueueLimits,
  Request,
  RequestQueue,
} from './request.js';

/** The block layer of one machine. */
export interface BlkMq {
  readonly kernel: Kernel;

  /** Makes `kblockd` and `kintegrityd`, once, at boot; without it the first queue does. Task context. @kernel block/blk-core.c blk_dev_init */
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
  /** A disk whose operations have `submitBio`, not yet live; null: nothing is known of the limits. Throws EINVAL for impossible ones. Task context. @kernel block/genhd.c __blk_alloc_disk */
  blkAllocDisk(limits: Partial<QueueLimits> | null, numaNode: number): Gendisk;
  /** Before the disk goes live, and `suppressPartScan` also afterwards. @kernel include/linux/blkdev.h GENHD_FL_HIDDEN, GD_SUPPRESS_PART_SCAN */
  setDiskFlags(disk: Gendisk, flags: { readonly hidden?: boolean; readonly suppressPartScan?: boolean }): void;
  /** Whether bios for a bio-based disk may be polled for. @kernel include/linux/blkdev.h BLK_FEAT_POLL */
  setQueuePoll(q: RequestQueue, canPoll: boolean): void;
  /** Limits that touch nothing, to stack others on. @kernel block/blk-settings.c blk_set_stacking_limits */
  blkSetStackingLimits(): QueueLimits;
  /** What a disk over disks of both limits can do. @kernel block/blk-settings.c blk_stack_limits */
  blkStackLimits(top: QueueLimits, bottom: QueueLimits): QueueLimits;
  /** Tells userland of a live disk. Any context. @kernel block/genhd.c disk_uevent */
  diskUevent(disk: Gendisk, action: 'change'): void;
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
  /** Passes a bio that is under way on to `bio.disk`; from within a disk's `submitBio` it is submitted when that has returned. Any context with a CPU. @kernel block/blk-core.c submit_bio_noacct */
  submitBioNoacct(bio: Bio): void;
  /** The part of a bio that its disk's limits allow, the rest being submitted after it; null: it has ended. Within a disk's `submitBio`. @kernel block/blk-merge.c bio_split_to_limits */
  bioSplitToLimits(bio: Bio): Bio | null;
  /** Ends a bio that is under way. Any context. @kernel include/linux/bio.h bio_io_error */
  bioIoError(bio: Bio): void;
  /** Emits trace event block_bio_remap: `bio` was sent to `from`. @kernel include/trace/events/block.h block_bio_remap */
  traceBlockBioRemap(bio: Bio, from: Gendisk): void;
  /** Moves a request's bios behind those of `list`; the request has no data then, and can be ended. Any context. @kernel block/blk-core.c blk_steal_bios */
  blkStealBios(list: BioList, rq: Request): void;
  /** Counts the start of I/O on a disk as a whole; returns the time. Any context. @kernel block/blk-core.c bdev_start_io_acct */
  bdevStartIoAcct(disk: Gendisk, op: number): number;
  /** And its end. @kernel block/blk-core.c bdev_end_io_acct */
  bdevEndIoAcct(disk: Gendisk, op: number, sectors: number, startNs: number): void;
  /** Any context; false when it is queued already. @kernel block/blk-core.c kblockd_schedule_work */
  kblockdScheduleWork(work: WorkStruct): boolean;
  /** Task context; returns the status. @kernel block/bio.c submit_bio_wait */
  submitBioWait(bio: Bio): Promise<BlkStatus>;
  /** Polls for a REQ_POLLED bio; returns how many completed. @kernel block/blk-core.c bio_poll */
  bioPoll(bio: Bio): number;
  /** Whoever writes for user space plugs, so that the request goes out when the task sleeps. @kernel block/fops.c blkdev_write_iter */
  readonly writesArePlugged: boolean;
  /** What becomes of `Bio.writeHint`. */
  readonly writeHints: WriteHints;
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
  /**
   * Gives a driver-private request with data metadata too: a physically contiguous piece, whose owner the caller stays.
   * @kernel block/blk-integrity.c blk_rq_integrity_map_user
   */
  blkRqIntegrityMapKern(rq: Request, physAddr: number, lengthBytes: number, seed: number): void;
  /** The metadata of a request that has REQ_INTEGRITY: that of its first bio. Any context. @kernel include/linux/blk-integrity.h rq_integrity_vec */
  rqIntegrityVec(rq: Request): BioIntegrityPayload | null;
  /** Turns a write's reference tags into its blocks' numbers, once; `blkMqStartRequest` does it at the latest. Any context. @kernel block/t10-pi.c blk_integrity_prepare */
  blkIntegrityPrepare(rq: Request): void;
  /** Gives a bio metadata of its submitter's, who checks it too; null takes it away. @kernel block/bio-integrity.c bio_integrity_add_page */
  bioIntegrityAttach(bio: Bio, payload: BioIntegrityPayload | null): void;
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
  /** Allows what `suppressPartScan` forbade, and scans, while nobody opens or removes the disk. Throws EIO, EBUSY. Task context. @kernel block/partitions/core.c bdev_disk_changed */
  scanSuppressed(disk: Gendisk): Promise<void>;
}
