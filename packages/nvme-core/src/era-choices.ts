/**
 * What an era is made of: the names of the steps that its lists put in order, and its data. eras.ts has the eras.
 * Kernel counterpart: drivers/nvme/host/core.c of 4.10, 4.13, 6.1 and 6.12.
 */
import type { CoreQuirkEntry } from './core-quirks.js';
import type { PolicyName } from './module-params.js';
import type { NvmeCtrlState } from './ports.js';

/** A step of nvme_init_ctrl_finish after the controller was identified. */
export type FinishStep = 'apst' | 'directives' | 'timestamp' | 'host-behaviour' | 'hwmon' | 'keep-alive';

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

/** Metadata of namespaces. */
export interface EraMetadata {
  /** Where protection information may lie in the metadata: nowhere but alone, also first, or also last. */
  readonly piPlaces: 'alone' | 'first' | 'any';
  /** Guards may be named by a field of their own (QPIFS). */
  readonly qualifiedGuards: boolean;
  /** nvme_init_integrity runs for every namespace, and the limit of metadata pieces is set for each. */
  readonly alwaysInits: boolean;
  /** A user's metadata is refused where the disk has no integrity profile; or it is passed to any namespace, and ignored on the admin queue. */
  readonly userMetadata: 'with-profile' | 'any-namespace';
}

/** Statuses that nvme_error_status knows: all of them; those of media, capacity and optional commands; capacity only. */
export type KnownStatuses = 'all' | 'media' | 'capacity';

/** A step of nvme_start_ctrl. */
export type StartStep = 'enable-aen' | 'queue-scan' | 'queue-async-events' | 'start-queues' | 'update-paths' | 'uevent';

/** A step of nvme_scan_work before namespaces are looked at. */
export type ScanStep = 'non-mdts-limits' | 'identify-ctrl' | 'clear-changed-log';

/** A workqueue of the module. */
export interface EraWorkqueue {
  readonly name: string;
  readonly flags: number;
}

/** What namespaces say of sizes, and what becomes of it. */
export interface EraLimits {
  readonly maxSegmentSizeBytes: number;
  /** Ranges of one Dataset Management command at most. */
  readonly discardRanges: number;
  /** Preferred and atomic sizes (NPWG, NOWS, NAWUPF) become limits of the queue. */
  readonly preferredSizes: boolean;
  /** NOIOB becomes a boundary if it is a power of two, before that rounded down to one, and first of all not at all. */
  readonly noiob: 'power-of-two' | 'rounded-down' | 'ignored';
  /** NVME_QUIRK_DEALLOCATE_ZEROES makes Write Zeroes of deallocation. */
  readonly deallocatesForZeroes: boolean;
}

/** Native multipath, as CONFIG_NVME_MULTIPATH brings it. */
export interface EraMultipath {
  readonly policies: readonly PolicyName[];
  /** A head's disk counts the I/O of its paths. */
  readonly countsOnHead: boolean;
  /** Another policy has every path chosen anew at once, and a line in the log. */
  readonly policyChangeTells: boolean;
  /** Which of the two functions that make a controller known prepares it. */
  readonly preparesIn: 'nvme_init_ctrl' | 'nvme_add_ctrl';
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
  /** CAP is read once more when the controller is identified. */
  readonly identifyReadsCap: boolean;
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
  /** Null: a kernel before it. */
  readonly multipath: EraMultipath | null;
  /** SUBNQN is read, and its absence logged. */
  readonly readsSubnqn: boolean;
  /** When the Commands Supported and Effects log is asked for: the first time only, at every start (then it is known), or never. */
  readonly effectsLog: 'first-start' | 'every-start' | 'never';
  /** Quirks of controllers that Identify makes known. */
  readonly coreQuirks: readonly CoreQuirkEntry[];
  /** What a shutdown that the controller wants longer (RTD3E) is called in the log; null: the field is not looked at. */
  readonly rtd3eLine: 'D3 entry latency' | 'Shutdown timeout' | null;
  /** What the log calls the event of a controller that cannot go on; null: nobody asks what kind of error it is. */
  readonly persistentErrorName: 'persistent internal error' | 'AER' | null;
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
  /** A failed command is sent again only while it is younger than its time-out. */
  readonly retriesYoungOnly: boolean;
  /** What a command ends with that is cancelled with its controller; and whether who waits for it gets EINTR instead. */
  readonly cancelledStatus: number;
  readonly cancelInterrupts: boolean;
  /** A command whose time is up fails when the controller is reset for it; later it is sent again, like the others. */
  readonly lateCommandsFail: boolean;
  /** Asynchronous events that lead to something: all; or changed namespaces only, and the others get a line in the log. */
  readonly events: 'all' | 'changed-namespaces';
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
  /** When a namespace has the file `uuid`: with a UUID or an NGUID, with both, or with an NGUID, which it then shows. */
  readonly uuidFile: 'either' | 'both' | 'nguid';
  /** When /dev/nvmeN can be opened: while the controller is live, or from when it has an admin queue. */
  readonly opensWhen: 'live' | 'admin-queue';
  /** What can fail with a line that names the PCI function, not the controller. */
  readonly linesOfFunction: readonly ('queue-count' | 'identify-namespace')[];
  /** A list of namespaces that cannot be had: logged, and all ids are tried only if it never can; or they are just tried. */
  readonly missingList: 'logged' | 'tried';
  readonly ioctls: EraIoctls;
  /** Namespaces of a list are scanned side by side (async_schedule), or in turn. */
  readonly scansInParallel: boolean;
  readonly metadata: EraMetadata;
  /** The queue's limits are set within the freeze that reads a namespace's metadata, or all at once after it was read. */
  readonly readsMetadataFrozen: boolean;
  /** NVME_QUIRK_IDENTIFY_CNS counts below version 1.2 only; before, for every version. */
  readonly identifyCnsQuirkBelow12: boolean;
  /** When it is asked whether peer devices may be mapped: before or after the disk is allocated. */
  readonly asksP2p: 'before' | 'after' | 'never';
  /** Events of a controller say NVME_TRTYPE. */
  readonly ueventsNameTransport: boolean;
  readonly limits: EraLimits;
  /** Trace events of the nvme subsystem, since 4.17. */
  readonly traceEvents: boolean;
  /** Symbols that have another name in that era, or none. */
  readonly symbols: Readonly<Record<string, string | null>>;
}
