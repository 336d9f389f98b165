/**
 * What differs between kernel profiles in drivers/nvme/host/core.c, as data and ordered steps.
 * 6.12 is measured; the other rows hold what is known of them and grow with the flows that use them.
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import { WQ_MEM_RECLAIM, WQ_SYSFS, WQ_UNBOUND } from '@nvme-stack/workqueue/ports';
import type { NvmeCtrlState } from './ports.js';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_DELETING_NOIO,
  NVME_CTRL_LIVE,
  NVME_CTRL_NEW,
  NVME_CTRL_RESETTING,
} from './ports.js';

/** A step of nvme_init_ctrl_finish after the controller was identified. */
export type FinishStep = 'apst' | 'timestamp' | 'host-behaviour' | 'hwmon' | 'keep-alive';

/**
 * What a passthrough command's effects lead to: nothing; the queues frozen around commands that must run alone, a scan
 * where namespaces may have changed, and after changed capabilities another initialisation, or a line in the log.
 */
export type PassthruEffects = 'none' | 'initialise-again' | 'note';

/** The ioctls of an era. */
export interface EraIoctls {
  /** NVME_IOCTL_ADMIN64_CMD and NVME_IOCTL_IO64_CMD. */
  readonly wide: boolean;
  /** NVME_IOCTL_IO64_CMD_VEC. */
  readonly vectored: boolean;
  /** Who may send a command: whoever nvme_cmd_allowed lets, or an administrator only. */
  readonly permission: 'by-command' | 'administrator';
  /** NVME_IOCTL_RESET, NVME_IOCTL_SUBSYS_RESET and NVME_IOCTL_RESCAN are an administrator's. */
  readonly managementIsAdministrators: boolean;
  /** A namespace's node takes commands for that namespace only. */
  readonly checksNsid: boolean;
  readonly effects: PassthruEffects;
  /** NVME_IOCTL_SUBSYS_RESET: the transport's affair; or NSSR is written, and the controller reset by itself, or not. */
  readonly subsystemReset: 'transport' | 'write-and-reset' | 'write';
}

/** Statuses that nvme_error_status knows: all of them; those of media, capacity and optional commands; capacity only. */
export type KnownStatuses = 'all' | 'media' | 'capacity';

/** A step of nvme_start_ctrl. */
export type StartStep = 'enable-aen' | 'queue-scan' | 'queue-async-events' | 'start-queues' | 'uevent';

/** A step of nvme_scan_work before namespaces are looked at. */
export type ScanStep = 'non-mdts-limits' | 'identify-ctrl' | 'clear-changed-log';

/** A workqueue of the module. */
export interface EraWorkqueue {
  readonly name: string;
  readonly flags: number;
}

/** One era's choices. */
export interface NvmeCoreEra {
  /** From which states each state may be entered. */
  readonly enteredFrom: Readonly<Record<NvmeCtrlState, readonly NvmeCtrlState[]>>;
  /** CC is written once, with EN, or first without and then with it. */
  readonly enableWrites: 'once' | 'twice';
  /** Between the two writes CC is read, to flush the first. */
  readonly readsCcBack: boolean;
  /** nvme_enable_ctrl reads CAP itself; before, the transport gave it. */
  readonly enableReadsCap: boolean;
  /** There are command sets: CC.CSS follows CAP.CSS, and Identify asks for what a set says. */
  readonly commandSets: boolean;
  /** Commands of users wait while the controller is not live. */
  readonly checksReady: boolean;
  /** How often CSTS is looked at while it changes, microseconds from and to; for a shutdown too. */
  readonly readyPollUs: readonly [number, number];
  /** A controller that is not ready in time is logged with its CSTS. */
  readonly notReadyShowsCsts: boolean;
  /** A shutdown is nvme_shutdown_ctrl, with a line of its own when it takes too long; else nvme_disable_ctrl does it. */
  readonly shutdownByItself: boolean;
  /** The state RESETTING is entered by who asks for a reset, or by the reset work. */
  readonly resettingFrom: 'request' | 'work';
  /** Resets are the transport's own: its `resetCtrl` queues and waits. */
  readonly transportResets: boolean;
  /** Who waits for a reset learns that it failed. */
  readonly reportsFailedReset: boolean;
  /** Bits 15:12 of a CID count the uses of its tag. */
  readonly cidGeneration: boolean;
  /** Null: its works run on the system's. */
  readonly workqueue: EraWorkqueue | null;
  /** Null: resets and deletions run on the one workqueue. */
  readonly resetWorkqueue: EraWorkqueue | null;
  readonly deleteWorkqueue: EraWorkqueue | null;
  readonly finishSteps: readonly FinishStep[];
  readonly startSteps: readonly StartStep[];
  readonly scanSteps: readonly ScanStep[];
  /** Subsystems are objects of their own, in sysfs and for checks of duplicate identifiers. */
  readonly subsystems: boolean;
  /** SUBNQN is read, and its absence logged. */
  readonly readsSubnqn: boolean;
  /** The Commands Supported and Effects log is read. */
  readonly effectsLog: boolean;
  /** Namespaces have character devices too: ngXnY. */
  readonly genericDevices: boolean;
  /** PM QoS latency tolerance, which APST follows. */
  readonly latencyTolerance: boolean;
  /**
   * How a namespace is identified: its descriptors (CNS 03h), then itself, and itself again when the disk is updated; or
   * itself once, and then its descriptors, where the kernel knows them.
   */
  readonly namespaceIdentify: 'descriptors-first' | 'then-descriptors' | 'no-descriptors';
  /** A failed command is sent again after the delay that the controller asks for, not at once. */
  readonly retriesLater: boolean;
  /** A command that fails gets a line of its own in the log (nvme_log_error), beside the block layer's. */
  readonly logsErrors: boolean;
  /** Which statuses mean more to the block layer than that I/O failed. */
  readonly knownStatuses: KnownStatuses;
  /** Attribute passthru_err_log_enabled. */
  readonly passthruErrLog: boolean;
  /** Attributes metadata_bytes and nuse of a namespace. */
  readonly nsUsageAttributes: boolean;
  /** Files of a controller (on PCI) and of a namespace that came later. */
  readonly laterCtrlFiles: readonly string[];
  readonly laterNamespaceFiles: readonly string[];
  readonly ioctls: EraIoctls;
  /** Namespaces of a list are scanned side by side (async_schedule), or in turn. */
  readonly scansInParallel: boolean;
  /** The queue's limits are set within the freeze that reads a namespace's metadata, or all at once after it was read. */
  readonly readsMetadataFrozen: boolean;
  /** NVME_QUIRK_IDENTIFY_CNS counts below version 1.2 only; before, for every version. */
  readonly identifyCnsQuirkBelow12: boolean;
  /** When it is asked whether peer devices may be mapped: before or after the disk is allocated. */
  readonly asksP2p: 'before' | 'after' | 'never';
  /** Events of a controller say NVME_TRTYPE. */
  readonly ueventsNameTransport: boolean;
  /** Trace events of the nvme subsystem, since 4.17. */
  readonly traceEvents: boolean;
  /** Symbols that have another name in that era, or none. */
  readonly symbols: Readonly<Record<string, string | null>>;
}

const MODERN_WQ_FLAGS = WQ_UNBOUND | WQ_MEM_RECLAIM | WQ_SYSFS;

const V6_12: NvmeCoreEra = {
  enteredFrom: {
    [NVME_CTRL_NEW]: [],
    [NVME_CTRL_LIVE]: [NVME_CTRL_CONNECTING],
    [NVME_CTRL_RESETTING]: [NVME_CTRL_NEW, NVME_CTRL_LIVE],
    [NVME_CTRL_CONNECTING]: [NVME_CTRL_NEW, NVME_CTRL_RESETTING],
    [NVME_CTRL_DELETING]: [NVME_CTRL_LIVE, NVME_CTRL_RESETTING, NVME_CTRL_CONNECTING],
    [NVME_CTRL_DELETING_NOIO]: [NVME_CTRL_DELETING, NVME_CTRL_DEAD],
    [NVME_CTRL_DEAD]: [NVME_CTRL_DELETING],
  },
  enableWrites: 'twice',
  readsCcBack: false,
  enableReadsCap: true,
  commandSets: true,
  checksReady: true,
  readyPollUs: [1000, 2000],
  notReadyShowsCsts: true,
  shutdownByItself: false,
  resettingFrom: 'request',
  transportResets: false,
  reportsFailedReset: true,
  cidGeneration: true,
  workqueue: { name: 'nvme-wq', flags: MODERN_WQ_FLAGS },
  resetWorkqueue: { name: 'nvme-reset-wq', flags: MODERN_WQ_FLAGS },
  deleteWorkqueue: { name: 'nvme-delete-wq', flags: MODERN_WQ_FLAGS },
  finishSteps: ['apst', 'timestamp', 'host-behaviour', 'hwmon', 'keep-alive'],
  startSteps: ['enable-aen', 'queue-scan', 'start-queues', 'uevent'],
  scanSteps: ['non-mdts-limits', 'clear-changed-log'],
  subsystems: true,
  readsSubnqn: true,
  effectsLog: true,
  genericDevices: true,
  latencyTolerance: true,
  namespaceIdentify: 'descriptors-first',
  retriesLater: true,
  logsErrors: true,
  knownStatuses: 'all',
  passthruErrLog: true,
  nsUsageAttributes: true,
  laterCtrlFiles: [],
  laterNamespaceFiles: [],
  ioctls: {
    wide: true,
    vectored: true,
    permission: 'by-command',
    managementIsAdministrators: true,
    checksNsid: true,
    effects: 'note',
    subsystemReset: 'transport',
  },
  scansInParallel: true,
  readsMetadataFrozen: false,
  identifyCnsQuirkBelow12: true,
  asksP2p: 'before',
  ueventsNameTransport: true,
  traceEvents: true,
  symbols: {
    nvme_remove_invalid_namespaces: null,
    nvme_features: null,
    nvme_set_queue_limits: null,
    nvme_update_disk_info: null,
  },
};

const V6_1: NvmeCoreEra = {
  ...V6_12,
  enteredFrom: {
    ...V6_12.enteredFrom,
    [NVME_CTRL_LIVE]: [NVME_CTRL_NEW, NVME_CTRL_RESETTING, NVME_CTRL_CONNECTING],
  },
  readsCcBack: true,
  shutdownByItself: true,
  passthruErrLog: false,
  nsUsageAttributes: false,
  ioctls: {
    ...V6_12.ioctls,
    permission: 'administrator',
    effects: 'initialise-again',
    subsystemReset: 'write-and-reset',
  },
  scansInParallel: false,
  readsMetadataFrozen: true,
  asksP2p: 'after',
  symbols: {
    nvme_remove_nsid_range: null,
    nvme_init_ctrl: null,
    nvme_add_ctrl: 'nvme_init_ctrl',
    nvme_alloc_admin_tag_set: 'nvme_pci_alloc_admin_tag_set',
    nvme_alloc_io_tag_set: 'nvme_pci_alloc_tag_set',
    nvme_quiesce_io_queues: 'nvme_stop_queues',
    nvme_unquiesce_io_queues: 'nvme_start_queues',
    nvme_quiesce_admin_queue: 'nvme_stop_admin_queue',
    nvme_unquiesce_admin_queue: 'nvme_start_admin_queue',
    nvme_mark_namespaces_dead: 'nvme_kill_queues',
  },
};

const SYMBOLS_4 = {
  ...V6_1.symbols,
  cdev_device_add: 'device_create_with_groups',
  cdev_device_del: 'device_destroy',
  nvme_alloc_admin_tag_set: 'nvme_alloc_admin_tags',
  nvme_alloc_io_tag_set: 'nvme_dev_add',
  nvme_remove_admin_tag_set: 'blk_cleanup_queue',
  nvme_init_ctrl_finish: 'nvme_init_identify',
  nvme_init_identify: null,
  nvme_init_request: 'nvme_alloc_request',
  nvme_features: 'nvme_set_features',
  nvme_scan_ns: 'nvme_validate_ns',
  nvme_update_ns_info: '__nvme_revalidate_disk',
  nvme_update_ns_info_block: null,
  nvme_init_ns_head: null,
  nvme_subsys_check_duplicate_ids: null,
  nvme_identify_ns_descs: 'nvme_report_ns_ids',
  nvme_ns_open: null,
  nvme_sync_queues: null,
  __nvme_check_ready: null,
} as const;

const V4_13: NvmeCoreEra = {
  ...V6_1,
  enteredFrom: {
    ...V6_1.enteredFrom,
    [NVME_CTRL_DELETING_NOIO]: [],
  },
  enableReadsCap: false,
  commandSets: false,
  checksReady: false,
  readyPollUs: [100_000, 100_000],
  notReadyShowsCsts: false,
  enableWrites: 'once',
  readsCcBack: false,
  reportsFailedReset: false,
  cidGeneration: false,
  resetWorkqueue: null,
  deleteWorkqueue: null,
  finishSteps: ['apst', 'keep-alive'],
  startSteps: ['queue-scan', 'queue-async-events', 'start-queues'],
  scanSteps: ['identify-ctrl'],
  subsystems: false,
  effectsLog: false,
  retriesLater: false,
  logsErrors: false,
  knownStatuses: 'media',
  genericDevices: false,
  namespaceIdentify: 'then-descriptors',
  identifyCnsQuirkBelow12: false,
  laterCtrlFiles: ['address', 'cntrltype', 'dctype', 'kato', 'numa_node', 'queue_count', 'sqsize', 'subsysnqn'],
  asksP2p: 'never',
  readsMetadataFrozen: false,
  ioctls: {
    wide: false,
    vectored: false,
    permission: 'administrator',
    managementIsAdministrators: false,
    checksNsid: false,
    effects: 'none',
    subsystemReset: 'write',
  },
  ueventsNameTransport: false,
  traceEvents: false,
  symbols: SYMBOLS_4,
};

/** Before APST, namespace descriptors and SUBNQN; resets are the transport's, and one function does the whole start. */
const V4_10: NvmeCoreEra = {
  ...V4_13,
  resettingFrom: 'work',
  transportResets: true,
  workqueue: null,
  finishSteps: ['keep-alive'],
  startSteps: [],
  readsSubnqn: false,
  knownStatuses: 'capacity',
  latencyTolerance: false,
  namespaceIdentify: 'no-descriptors',
  laterNamespaceFiles: ['nguid'],
  symbols: { ...SYMBOLS_4, nvme_complete_rq: null },
};

/** The table. */
export const NVME_CORE_ERAS: Readonly<Record<KernelProfile, NvmeCoreEra>> = {
  '6.12': V6_12,
  '6.1': V6_1,
  '4.13': V4_13,
  '4.10': V4_10,
};
