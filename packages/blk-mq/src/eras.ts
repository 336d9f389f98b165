/**
 * What differs between kernel profiles in the block layer: steps as data, and the symbols of each era.
 * Kernel counterpart: block/blk-core.c and blk-mq.c of 4.10, 4.13, 6.1 and 6.12.
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import { BLK_STS_IOERR, BLK_STS_RESOURCE, type BlkStatus, type WriteHints } from './ports.js';

/** Metadata of one profile's bios. */
export interface EraIntegrity {
  /** It is made before a bio is split, not for each of its parts. */
  readonly beforeSplit: boolean;
  /** Another function says whether it is needed at all. */
  readonly asksFirst: boolean;
  /** Also metadata without a checksum goes to the worker that checks. */
  readonly verifiesNop: boolean;
  /** When memory is short: what the log says, and how the bio ends. */
  readonly noMemoryLine: string | null;
  readonly noMemoryStatus: BlkStatus;
  /** The switches refuse what is no number, and freeze the queue. */
  readonly strictSwitches: boolean;
  /** A disk with a profile has `stable_writes`. */
  readonly needsStableWrites: boolean;
}

/** The block layer of one profile. */
export interface BlkEra {
  /** `__submit_bio` brings a plug of its own, so that even one bio goes through `queueRqs`. */
  readonly submitOwnsPlug: boolean;
  /** A plug hands its whole list to `queueRqs` when the driver has it. */
  readonly plugUsesQueueRqs: boolean;
  /** blkdev_write_iter plugs, so that a direct write goes out when its task sleeps. */
  readonly writesArePlugged: boolean;
  /** A file that a kernel thread opened is closed by a worker (fput), or at once (blkdev_put). */
  readonly closesInWorker: boolean;
  /** Any queue may be polled, for one tag that the cookie names; or only poll queues. */
  readonly pollsByTag: boolean;
  /** A request of a queue with one hardware queue for several CPUs is ended in a softirq. */
  readonly oneQueueEndsInSoftirq: boolean;
  readonly integrity: EraIntegrity;
  /** What becomes of hints of how long data live. */
  readonly writeHints: WriteHints;
  /** Queues of this block layer can have I/O schedulers, since 4.11. */
  readonly schedulers: boolean;
  /** How the line of a failed request begins and what it tells: all; or its place only, after the function's name. */
  readonly errorLine: 'full' | 'print_req_error' | 'blk_update_request';
  /** What a reservation conflict is called there. */
  readonly reservationName: 'reservation conflict' | 'critical nexus';
  /** I/O priority class that error lines show for I/O without one. */
  readonly prioClass: number;
  /** Files of `queue` that are of request queues only: a bio-based disk has them not. */
  readonly requestFiles: readonly string[];
  /** Function ids with another symbol, or none, in this era. */
  readonly symbols: Readonly<Record<string, string | null>>;
}

const INTEGRITY_6_12: EraIntegrity = {
  beforeSplit: false,
  asksFirst: false,
  verifiesNop: false,
  noMemoryLine: null,
  noMemoryStatus: BLK_STS_RESOURCE,
  strictSwitches: true,
  needsStableWrites: false,
};

const INTEGRITY_6_1: EraIntegrity = {
  ...INTEGRITY_6_12,
  verifiesNop: true,
  noMemoryLine: 'could not allocate integrity buffer',
  strictSwitches: false,
  needsStableWrites: true,
};

/** Ids that only older kernels have. */
const BEFORE_6_12 = {
  blk_mq_init_queue: null,
  blk_mq_attempt_bio_merge: null,
  bio_uninit: null,
  blk_mq_sched_insert_request: null,
  __blk_mq_delay_run_hw_queue: null,
  __blk_mq_run_hw_queue: null,
  __alloc_disk_node: null,
  blkdev_get_by_dev: null,
} as const;

const SYMBOLS_6_1 = {
  blk_mq_finish_request: null,
  blk_mq_insert_request: null,
  blk_mq_alloc_queue: 'blk_mq_init_queue_data',
  delayed_fput: null,
  bio_split_rw: null,
  bio_split_rw_at: null,
  bvec_split_segs: null,
  bdev_open: null,
} as const;

const SYMBOLS_4_13 = {
  ...BEFORE_6_12,
  ...SYMBOLS_6_1,
  submit_bio_noacct: 'generic_make_request',
  submit_bio_noacct_nocheck: null,
  __submit_bio: null,
  __submit_bio_noacct: null,
  blk_mq_submit_bio: 'blk_mq_make_request',
  __blk_mq_alloc_requests: 'blk_mq_get_request',
  bio_split_rw: 'blk_queue_split',
  blk_mq_sched_insert_request: 'blk_mq_sched_insert_request',
  __blk_flush_plug: 'blk_flush_plug_list',
  __blk_mq_alloc_disk: null,
  blk_mq_alloc_queue: 'blk_mq_init_queue',
  blk_mq_init_queue: null,
  __alloc_disk_node: 'alloc_disk_node',
  blk_mq_complete_request_remote: 'blk_mq_complete_request',
  blk_mq_freeze_queue_wait: 'blk_mq_freeze_queue_wait',
  bdev_disk_changed: 'rescan_partitions',
  disk_scan_partitions: 'register_disk',
  blk_stat_add: null,
  blkdev_get_whole: '__blkdev_get',
  read_part_sector: 'read_dev_sector',
} as const;

const ERA_4_13: BlkEra = {
  submitOwnsPlug: false,
  plugUsesQueueRqs: false,
  writesArePlugged: true,
  closesInWorker: false,
  pollsByTag: true,
  oneQueueEndsInSoftirq: false,
  integrity: INTEGRITY_6_1,
  writeHints: 'counted',
  schedulers: true,
  errorLine: 'print_req_error',
  reservationName: 'critical nexus',
  prioClass: 0,
  requestFiles: ['io_timeout'],
  symbols: SYMBOLS_4_13,
};

/** The block layer of each profile. */
export const BLK_ERAS: Readonly<Record<KernelProfile, BlkEra>> = {
  '6.12': {
    submitOwnsPlug: true,
    plugUsesQueueRqs: true,
    writesArePlugged: false,
    closesInWorker: true,
    pollsByTag: false,
    oneQueueEndsInSoftirq: true,
    integrity: INTEGRITY_6_12,
    writeHints: 'carried',
    schedulers: true,
    errorLine: 'full',
    reservationName: 'reservation conflict',
    prioClass: 2,
    requestFiles: ['nr_requests', 'scheduler', 'rq_affinity', 'io_timeout', 'wbt_lat_usec'],
    symbols: BEFORE_6_12,
  },
  '6.1': {
    submitOwnsPlug: false,
    plugUsesQueueRqs: true,
    writesArePlugged: true,
    closesInWorker: false,
    pollsByTag: false,
    oneQueueEndsInSoftirq: true,
    integrity: INTEGRITY_6_1,
    writeHints: 'ignored',
    schedulers: true,
    errorLine: 'full',
    reservationName: 'critical nexus',
    prioClass: 2,
    requestFiles: ['io_timeout'],
    symbols: SYMBOLS_6_1,
  },
  '4.13': ERA_4_13,
  '4.10': {
    ...ERA_4_13,
    writeHints: 'unknown',
    schedulers: false,
    errorLine: 'blk_update_request',
    symbols: { ...SYMBOLS_4_13, __blk_mq_alloc_requests: 'blk_mq_map_request' },
    integrity: { ...INTEGRITY_6_1, beforeSplit: true, asksFirst: true, noMemoryStatus: BLK_STS_IOERR },
  },
};
