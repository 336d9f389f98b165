/**
 * What nvme-core owns: controllers, namespaces, the operations a transport implements, and command set-up.
 * Types and constants only. Counterparts: drivers/nvme/host/nvme.h, core.c.
 */
import type {
  BlkMqHwCtx,
  BlkMqOps,
  BlkMqTagSet,
  BlkStatus,
  Gendisk,
  IoCompBatch,
  Request,
  RequestQueue,
} from '@nvme-stack/blk-mq/ports';
import type { AttributeGroup, Cdev, Device, DeviceClass } from '@nvme-stack/device-core/ports';
import type { HasKernel, Kernel } from '@nvme-stack/kernel';
import type { WorkqueueStruct, WorkStruct } from '@nvme-stack/workqueue/ports';

export * from './ioctl-ports.js';

/** @kernel drivers/nvme/host/nvme.h nvme_ctrl_state */
export const NVME_CTRL_NEW = 0;
export const NVME_CTRL_LIVE = 1;
export const NVME_CTRL_RESETTING = 2;
export const NVME_CTRL_CONNECTING = 3;
export const NVME_CTRL_DELETING = 4;
export const NVME_CTRL_DELETING_NOIO = 5;
export const NVME_CTRL_DEAD = 6;
export type NvmeCtrlState = 0 | 1 | 2 | 3 | 4 | 5 | 6;

/** In the words of the `state` file. @kernel drivers/nvme/host/sysfs.c nvme_sysfs_show_state */
export const NVME_CTRL_STATE_NAMES: Readonly<Record<NvmeCtrlState, string>> = {
  0: 'new',
  1: 'live',
  2: 'resetting',
  3: 'connecting',
  4: 'deleting',
  5: 'deleting (no IO)',
  6: 'dead',
};

/** Quirk bits. @kernel drivers/nvme/host/nvme.h nvme_quirks */
export const NVME_QUIRK_STRIPE_SIZE = 1 << 0;
export const NVME_QUIRK_IDENTIFY_CNS = 1 << 1;
export const NVME_QUIRK_DEALLOCATE_ZEROES = 1 << 2;
export const NVME_QUIRK_DELAY_BEFORE_CHK_RDY = 1 << 3;
export const NVME_QUIRK_NO_APST = 1 << 4;
export const NVME_QUIRK_NO_DEEPEST_PS = 1 << 5;
export const NVME_QUIRK_QDEPTH_ONE = 1 << 6;
export const NVME_QUIRK_MEDIUM_PRIO_SQ = 1 << 7;
export const NVME_QUIRK_IGNORE_DEV_SUBNQN = 1 << 8;
export const NVME_QUIRK_DISABLE_WRITE_ZEROES = 1 << 9;
export const NVME_QUIRK_SIMPLE_SUSPEND = 1 << 10;
export const NVME_QUIRK_SINGLE_VECTOR = 1 << 11;
export const NVME_QUIRK_128_BYTES_SQES = 1 << 12;
export const NVME_QUIRK_SHARED_TAGS = 1 << 13;
export const NVME_QUIRK_NO_TEMP_THRESH_CHANGE = 1 << 14;
export const NVME_QUIRK_NO_NS_DESC_LIST = 1 << 15;
export const NVME_QUIRK_DMA_ADDRESS_BITS_48 = 1 << 16;
export const NVME_QUIRK_SKIP_CID_GEN = 1 << 17;
export const NVME_QUIRK_BOGUS_NID = 1 << 18;
export const NVME_QUIRK_NO_SECONDARY_TEMP_THRESH = 1 << 19;
export const NVME_QUIRK_FORCE_NO_SIMPLE_SUSPEND = 1 << 20;
export const NVME_QUIRK_BROKEN_MSI = 1 << 21;
export const NVME_QUIRK_DMAPOOL_ALIGN_512 = 1 << 22;
/** Up to 5.14: Open-Channel drives, for which a kernel without CONFIG_NVM does nothing special. */
export const NVME_QUIRK_LIGHTNVM = 1 << 23;

/** Per-request flags. @kernel drivers/nvme/host/nvme.h NVME_REQ_* */
export const NVME_REQ_CANCELLED = 1 << 0;
export const NVME_REQ_USERCMD = 1 << 1;
export const NVME_MPATH_IO_STATS = 1 << 2;
export const NVME_MPATH_CNT_ACTIVE = 1 << 3;

/** Status of a request that was cancelled by the host. @kernel include/linux/nvme.h NVME_SC_HOST_ABORTED_CMD */
export const NVME_SC_HOST_ABORTED_CMD = 0x371;

/** A 64-bit register as two words. */
export interface Uint64 {
  readonly lo: number;
  readonly hi: number;
}

/** The transport can pass metadata in a buffer of its own. @kernel drivers/nvme/host/nvme.h NVME_F_METADATA_SUPPORTED */
export const NVME_F_METADATA_SUPPORTED = 1 << 1;

/** What a transport implements. Register accesses may come from any context and never fail (a gone device reads all ones). @kernel drivers/nvme/host/nvme.h nvme_ctrl_ops */
export interface NvmeCtrlOps {
  readonly name: string;
  /** NVME_F_*; absent: none. */
  readonly flags?: number;
  /** Trace nvme_pci_reg_read32 … are the transport's. */
  regRead32(ctrl: NvmeCtrl, offset: number): number;
  regWrite32(ctrl: NvmeCtrl, offset: number, value: number): void;
  regRead64(ctrl: NvmeCtrl, offset: number): Uint64;
  /** The last reference is gone. */
  freeCtrl(ctrl: NvmeCtrl): void;
  submitAsyncEvent(ctrl: NvmeCtrl): void;
  /** NVM subsystem reset, since 6.11; before, the core writes NSSR itself. Throws ENODEV (no registers), EBUSY (a reset is under way). Task context. */
  subsystemReset?(ctrl: NvmeCtrl): Promise<void>;
  /** Resets and waits, where resets are the transport's own (until 4.12). Throws ENODEV, EBUSY. @kernel drivers/nvme/host/pci.c nvme_pci_reset_ctrl */
  resetCtrl?(ctrl: NvmeCtrl): Promise<void>;
  /** Queues the reset work, where the transport keeps it (until 4.12); false when it is queued already. Any context. @kernel drivers/nvme/host/pci.c nvme_reset */
  queueReset?(ctrl: NvmeCtrl): boolean;
  /** `address` attribute. */
  getAddress(ctrl: NvmeCtrl): string;
  printDeviceInfo(ctrl: NvmeCtrl): void;
  supportsPciP2pdma(ctrl: NvmeCtrl): boolean;
  /** Files of the transport's own, beside the core's. @kernel drivers/nvme/host/nvme.h nvme_ctrl_ops.dev_attr_groups */
  devAttrGroups?(ctrl: NvmeCtrl): readonly AttributeGroup[];
}

/** A controller as nvme-core knows it; the transport embeds it by `transport`. @kernel drivers/nvme/host/nvme.h nvme_ctrl */
export interface NvmeCtrl extends HasKernel {
  readonly kernel: Kernel;
  readonly instance: number;
  readonly name: string;
  /** The transport's own object (container_of). */
  readonly transport: unknown;
  readonly ops: NvmeCtrlOps;
  /** The transport's device (a PCI function). */
  readonly dev: Device;
  /** /sys/class/nvme/nvmeN and /dev/nvmeN. */
  readonly device: Device;
  quirks: number;
  /** Read with `nvmeCtrlState`, changed with `nvmeChangeCtrlState`. */
  readonly state: NvmeCtrlState;
  readonly numaNode: number;

  adminTagset: BlkMqTagSet | null;
  adminQ: RequestQueue | null;
  tagset: BlkMqTagSet | null;

  cap: Uint64;
  vs: number;
  ctrlConfig: number;
  /** 0-based depth of I/O queues; CAP.MQES and io_queue_depth bound it. */
  sqsize: number;
  /** Admin queue included. */
  queueCount: number;
  /** Bytes of a memory page, from CC.MPS. */
  pageSizeBytes: number;
  maxHwSectors: number;
  maxSegments: number;
  /** Pieces of metadata a command takes. */
  maxIntegritySegments: number;
  /** From Identify Controller. */
  oacs: number;
  oncs: number;
  oaes: number;
  vwc: number;
  sgls: number;
  aerl: number;
  abortLimit: number;
  hmpre: number;
  hmmin: number;
  hmminds: number;
  hmmaxd: number;
  cntlid: number;
  npss: number;
  apsta: number;
  serial: string;
  model: string;
  firmwareRev: string;
  subsysNqn: string;
  shutdownTimeoutNs: number;

  /** Reset work: made by the transport, queued by `nvmeResetCtrl`; null where the transport keeps its own (`queueReset`). */
  resetWork: WorkStruct | null;
  readonly scanWork: WorkStruct;
  readonly asyncEventWork: WorkStruct;
  /** In order of nsid. */
  readonly namespaces: readonly NvmeNs[];
  /** Names of the AER commands outstanding now: how many. */
  asyncEventsOutstanding: number;
}

/** @kernel drivers/nvme/host/nvme.h nvme_ns */
export interface NvmeNs extends HasKernel {
  readonly ctrl: NvmeCtrl;
  readonly nsid: number;
  readonly queue: RequestQueue;
  readonly disk: Gendisk;
  readonly lbaShift: number;
  /** Deallocated blocks read as zeroes; write zeroes may deallocate. */
  readonly features: number;
}

/** What every transport's per-request data holds; `rq.pdu` is an object with this in `nvme`. @kernel drivers/nvme/host/nvme.h nvme_request */
export interface NvmeRequest {
  readonly ctrl: NvmeCtrl;
  /** The command, 16 little-endian words; `nvmeSetupCmd` fills it, the transport copies it into a slot. */
  readonly cmd: Uint32Array;
  /** Generation counter of this tag (CID bits 15:12). */
  genctr: number;
  /** Completion dword 0 and 1. */
  result: number;
  resultHi: number;
  /** Status field without the phase bit. */
  status: number;
  retries: number;
  flags: number;
  /**
   * A payload in place of the bios' data (the ranges of Dataset Management): one piece, mapped to the device; a length
   * of 0 means none. Set by `nvmeSetupCmd`, freed by `nvmeCleanupCmd` and `nvmeCompleteRq`.
   * @kernel include/linux/blk-mq.h request.special_vec
   */
  specialVecAddr: number;
  specialVecLengthBytes: number;
}

/** `rq.pdu` of every request of an NVMe queue. */
export interface NvmePdu {
  readonly nvme: NvmeRequest;
}

/** Outcome of a synchronous command. */
export interface NvmeSyncResult {
  /** NVMe status (0 = success) or a negative errno when it never reached the controller. */
  readonly status: number;
  readonly result: number;
}

/** A command's data buffer: whole kernel pages or pieces of them. */
export interface NvmeSyncBuffer {
  readonly physAddr: number;
  readonly lengthBytes: number;
}

/** What tag sets of a transport need. */
export interface NvmeTagSetInit {
  readonly ops: BlkMqOps;
  readonly nrMaps: number;
  readonly driverData: unknown;
  /** Tags; the admin queue's are 30 unless told. */
  readonly queueDepth?: number;
}

/** The NVMe core of one machine (nvme-core.ko). Functions are in task context unless they say otherwise. */
export interface NvmeCore extends HasKernel {
  readonly kernel: Kernel;
  /** Parameters under Linux's names, with defaults; the module loader shows them. Structurally a modules ModuleParam list. */
  readonly params: readonly {
    readonly name: string;
    readonly type: 'bool' | 'int' | 'uint' | 'ulong' | 'charp';
    readonly defaultValue: number | boolean | string;
    readonly mode: number;
    readonly description: string;
    set?(value: number | boolean | string): number | boolean | string;
  }[];
  /** Creates workqueues, classes and character device regions. Throws. @kernel drivers/nvme/host/core.c nvme_core_init */
  nvmeCoreInit(params: Readonly<Record<string, number | boolean | string>>): Promise<void>;
  /** @kernel drivers/nvme/host/core.c nvme_core_exit */
  nvmeCoreExit(): Promise<void>;
  readonly nvmeWq: WorkqueueStruct;
  readonly nvmeResetWq: WorkqueueStruct;
  readonly nvmeDeleteWq: WorkqueueStruct;
  readonly nvmeClass: DeviceClass;

  /** Trace nvme_init_ctrl. Instance number, device object, works. Throws. @kernel drivers/nvme/host/core.c nvme_init_ctrl */
  nvmeInitCtrl(dev: Device, ops: NvmeCtrlOps, quirks: number, transport: unknown): NvmeCtrl;
  /** Trace nvme_add_ctrl → cdev_device_add. /dev/nvmeN. @kernel drivers/nvme/host/core.c nvme_add_ctrl */
  nvmeAddCtrl(ctrl: NvmeCtrl): Promise<void>;
  /** Removes /dev/nvmeN. @kernel drivers/nvme/host/core.c nvme_uninit_ctrl */
  nvmeUninitCtrl(ctrl: NvmeCtrl): Promise<void>;
  nvmeGetCtrl(ctrl: NvmeCtrl): void;
  nvmePutCtrl(ctrl: NvmeCtrl): void;

  /** Any context. False when the transition is not allowed. Trace nvme_change_ctrl_state. @kernel drivers/nvme/host/core.c nvme_change_ctrl_state */
  nvmeChangeCtrlState(ctrl: NvmeCtrl, state: NvmeCtrlState): boolean;
  /** Waits until the state is RESETTING or the controller is going away. @kernel drivers/nvme/host/core.c nvme_wait_reset */
  nvmeWaitReset(ctrl: NvmeCtrl): Promise<boolean>;
  /** Any context. Throws EBUSY. @kernel drivers/nvme/host/core.c nvme_reset_ctrl */
  nvmeResetCtrl(ctrl: NvmeCtrl): void;
  nvmeResetCtrlSync(ctrl: NvmeCtrl): Promise<void>;

  /** Sets CC.SHN or clears CC.EN and waits. Throws ENODEV. Trace nvme_disable_ctrl → nvme_wait_ready. @kernel drivers/nvme/host/core.c nvme_disable_ctrl */
  nvmeDisableCtrl(ctrl: NvmeCtrl, shutdown: boolean): Promise<void>;
  /** Reads CAP, writes CC twice (6.1, 6.12) and waits. Throws ENODEV. Trace nvme_enable_ctrl. @kernel drivers/nvme/host/core.c nvme_enable_ctrl */
  nvmeEnableCtrl(ctrl: NvmeCtrl): Promise<void>;
  /** Trace nvme_init_ctrl_finish: VS, Identify, effects log, APST, timestamp, host behaviour, hwmon. Throws. @kernel drivers/nvme/host/core.c nvme_init_ctrl_finish */
  nvmeInitCtrlFinish(ctrl: NvmeCtrl, wasSuspended: boolean): Promise<void>;
  /** Enables AER, queues the scan, starts queues. Trace nvme_start_ctrl. @kernel drivers/nvme/host/core.c nvme_start_ctrl */
  nvmeStartCtrl(ctrl: NvmeCtrl): Promise<void>;
  /** Stops background work. @kernel drivers/nvme/host/core.c nvme_stop_ctrl */
  nvmeStopCtrl(ctrl: NvmeCtrl): Promise<void>;
  /** @kernel drivers/nvme/host/core.c nvme_remove_namespaces */
  nvmeRemoveNamespaces(ctrl: NvmeCtrl): Promise<void>;
  /** @kernel drivers/nvme/host/core.c nvme_mark_namespaces_dead */
  nvmeMarkNamespacesDead(ctrl: NvmeCtrl): void;
  /** Starts the admin queue, and lets every request of every namespace fail (until 6.1). @kernel drivers/nvme/host/core.c nvme_kill_queues */
  nvmeKillQueues(ctrl: NvmeCtrl): void;
  /** Asks for asynchronous events without choosing them (until 4.17). Any context. @kernel drivers/nvme/host/core.c nvme_queue_async_events */
  nvmeQueueAsyncEvents(ctrl: NvmeCtrl): void;
  /** Any context. @kernel drivers/nvme/host/core.c nvme_queue_scan */
  nvmeQueueScan(ctrl: NvmeCtrl): void;
  /** Set Features 07h: asks for `count` queues, returns how many were granted (0: none). @kernel drivers/nvme/host/core.c nvme_set_queue_count */
  nvmeSetQueueCount(ctrl: NvmeCtrl, count: number): Promise<number>;

  nvmeAllocAdminTagSet(ctrl: NvmeCtrl, init: NvmeTagSetInit): Promise<void>;
  nvmeRemoveAdminTagSet(ctrl: NvmeCtrl): Promise<void>;
  nvmeAllocIoTagSet(ctrl: NvmeCtrl, init: NvmeTagSetInit): Promise<void>;
  nvmeRemoveIoTagSet(ctrl: NvmeCtrl): Promise<void>;

  /** Trace nvme_submit_sync_cmd → __nvme_submit_sync_cmd. `cmd` is 16 words. @kernel drivers/nvme/host/core.c nvme_submit_sync_cmd */
  nvmeSubmitSyncCmd(q: RequestQueue, cmd: Uint32Array, buffer: NvmeSyncBuffer | null): Promise<NvmeSyncResult>;

  // ---- hot path: any context, never sleeps or allocates
  /** Makes the core's part of a request's data; called from initRequest. */
  nvmeInitRequestData(ctrl: NvmeCtrl, rq: Request): NvmeRequest;
  /** Takes the place of blkMqStartRequest, which it calls. Any context. @kernel drivers/nvme/host/nvme.h nvme_start_request */
  nvmeStartRequest(rq: Request): void;
  /** Builds the command. Trace nvme_setup_cmd. @kernel drivers/nvme/host/core.c nvme_setup_cmd */
  nvmeSetupCmd(ns: NvmeNs | null, rq: Request): BlkStatus;
  /**
   * nvmeCheckReady and nvmeSetupCmd for a list, linked by `next`, of one hardware queue. False when the list must be set
   * up one by one, as if this had not been called: something is traced, the controller is not live, a request is neither
   * read nor write or is of another hardware queue.
   */
  nvmeSetupCmds(ctrl: NvmeCtrl, hctx: BlkMqHwCtx, list: Request): boolean;
  nvmeCleanupCmd(rq: Request): void;
  /** Whether the controller takes commands now. Trace __nvme_check_ready where the controller is not live. @kernel drivers/nvme/host/nvme.h nvme_check_ready */
  nvmeCheckReady(ctrl: NvmeCtrl, rq: Request, queueLive: boolean): boolean;
  nvmeFailNonreadyCommand(ctrl: NvmeCtrl, rq: Request): BlkStatus;
  /** Request of a CID, with its generation checked; null: none ("invalid id"). Logs as Linux does. @kernel drivers/nvme/host/nvme.h nvme_find_rq */
  nvmeFindRq(ctrl: NvmeCtrl, tags: BlkMqTagSet, hwQueue: number, cid: number): Request | null;
  /** Takes over a command for a driver-private request: time-out, flags, CID-free words. Trace nvme_init_request. @kernel drivers/nvme/host/core.c nvme_init_request */
  nvmeInitRequest(rq: Request, cmd: Uint32Array): void;
  /** Stores status and result; true when the request will complete elsewhere. @kernel drivers/nvme/host/nvme.h nvme_try_complete_req */
  nvmeTryCompleteReq(rq: Request, status: number, result: number, resultHi: number): boolean;
  /**
   * nvmeFindRq and what nvmeTryCompleteReq stores, for the success of a request without an end of its own, which has
   * nobody to ask for its result; the caller completes it. Null, with nothing done or logged: there is no such request.
   */
  nvmeTakeSuccess(ctrl: NvmeCtrl, tags: BlkMqTagSet, hwQueue: number, cid: number): Request | null;
  /** Retries or ends it. Trace nvme_complete_rq. @kernel drivers/nvme/host/core.c nvme_complete_rq */
  nvmeCompleteRq(rq: Request): void;
  /** Ends a batch after `unmap` for each. Trace nvme_complete_batch_req per request, then blk_mq_end_request_batch. @kernel drivers/nvme/host/nvme.h nvme_complete_batch */
  nvmeCompleteBatch(iob: IoCompBatch, unmap: (rq: Request) => void): void;
  /** Completion of an AER. Any context. @kernel drivers/nvme/host/core.c nvme_complete_async_event */
  nvmeCompleteAsyncEvent(ctrl: NvmeCtrl, status: number, result: number): void;
  /** Marks it NVME_REQ_CANCELLED and completes it. @kernel drivers/nvme/host/core.c nvme_cancel_request */
  nvmeCancelRequest(rq: Request, ctrl: NvmeCtrl): boolean;
  /** Emits trace event nvme_sq. */
  traceNvmeSq(rq: Request, sqHead: number, sqTail: number): void;

  // ---- queues of a controller
  nvmeQuiesceIoQueues(ctrl: NvmeCtrl): Promise<void>;
  nvmeUnquiesceIoQueues(ctrl: NvmeCtrl): void;
  nvmeQuiesceAdminQueue(ctrl: NvmeCtrl): Promise<void>;
  nvmeUnquiesceAdminQueue(ctrl: NvmeCtrl): void;
  nvmeStartFreeze(ctrl: NvmeCtrl): void;
  nvmeWaitFreeze(ctrl: NvmeCtrl): Promise<void>;
  nvmeWaitFreezeTimeout(ctrl: NvmeCtrl, timeoutNs: number): Promise<boolean>;
  nvmeUnfreeze(ctrl: NvmeCtrl): void;
  nvmeSyncQueues(ctrl: NvmeCtrl): Promise<void>;
  nvmeSyncIoQueues(ctrl: NvmeCtrl): Promise<void>;
  nvmeCancelTagset(ctrl: NvmeCtrl): Promise<void>;
  nvmeCancelAdminTagset(ctrl: NvmeCtrl): Promise<void>;
  /** Controllers, in order of instance. */
  readonly controllers: readonly NvmeCtrl[];
  /** What a parameter holds now. */
  param(name: string): number | boolean | string;
}

/** For tests and transports that keep a driver's hardware queue in `hctx.driverData`. */
export type NvmeHwCtx = BlkMqHwCtx;
/** The character device of a controller. */
export type NvmeCdev = Cdev;
