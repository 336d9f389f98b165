/**
 * What differs between kernel profiles in drivers/nvme/host/pci.c: ordered lists of named steps, and data.
 * probe.ts, reset.ts and enable.ts have the steps and run the lists. 6.12 and 6.1 are measured; 4.13 and 4.10 follow
 * those kernels' sources in order and behaviour.
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import { WQ_MEM_RECLAIM, WQ_UNBOUND } from '@nvme-stack/workqueue/ports';

/** A step of nvme_probe. */
export type ProbeStep =
  | 'init-ctrl'
  | 'dma-mask'
  | 'add-ctrl'
  | 'map'
  | 'pools'
  | 'announce'
  | 'bind'
  | 'enable'
  | 'bring-up'
  | 'start'
  | 'flush-scan'
  | 'enter-resetting'
  | 'reset-ctrl'
  | 'queue-reset'
  | 'async-probe';

/** A step that brings a controller up, in nvme_probe or in nvme_reset_work. */
export type BringUpStep =
  | 'refuse-unless-resetting'
  | 'warn-unless-resetting'
  | 'warn-if-resetting'
  | 'disable-if-enabled'
  | 'enter-resetting'
  | 'sync-queues'
  | 'lock'
  | 'unlock'
  | 'enable'
  | 'configure-admin-queue'
  | 'init-admin-queue'
  | 'admin-tags'
  | 'restart-admin'
  | 'limits'
  | 'connecting'
  | 'init-finish'
  | 'dbbuf-alloc'
  | 'host-mem'
  | 'io-queues'
  | 'async-events'
  | 'watchdog'
  | 'io-tags'
  | 'update-queues'
  | 'dbbuf-set'
  | 'dbbuf-set-again'
  | 'dbbuf-set-first'
  | 'start-queues'
  | 'wait-freeze'
  | 'unfreeze'
  | 'warn-without-tags'
  | 'warn-not-created'
  | 'warn-lost'
  | 'mark-dead'
  | 'kill-queues'
  | 'remove-namespaces'
  | 'free-tags'
  | 'live'
  | 'start'
  | 'scan';

/** One way for a controller with I/O queues, another for one without. */
export interface QueueBranch {
  readonly withQueues: readonly BringUpStep[];
  readonly withoutQueues: readonly BringUpStep[];
}
export type BringUpSteps = readonly (BringUpStep | QueueBranch)[];

/** A step of nvme_remove. */
export type RemoveStep =
  | 'deleting'
  | 'dead-if-absent'
  | 'flush-reset'
  | 'stop'
  | 'remove-namespaces'
  | 'disable'
  | 'free-tags'
  | 'free-host-mem'
  | 'remove-admin'
  | 'free-dbbuf'
  | 'free-queues'
  | 'release-pools'
  | 'unmap'
  | 'uninit'
  | 'put';

/** A step of nvme_remove_dead_ctrl, and of the work that it queues. */
export type DeadStep = 'deleting' | 'disable' | 'kill-queues';

/** A step of nvme_pci_enable; what stands before `vector-or-leak` is not undone when that fails. */
export type EnableStep =
  | 'set-master'
  | 'dma-mask'
  | 'alive'
  | 'vector'
  | 'vector-or-leak'
  | 'capabilities'
  | 'cmb'
  | 'cmb-from-1.2'
  | 'save-state'
  | 'configure-admin-queue';

/** How a queue becomes ready: empty in memory, and its interrupt. */
export type QueueStep = 'init' | 'irq';

/** A step of nvme_timeout; the first that has an answer gives it. */
export type TimeoutStep = 'terminal' | 'bus-recovers' | 'failed' | 'poll' | 'starting' | 'reset' | 'abort';

/** A workqueue of the module. */
export interface EraWorkqueue {
  readonly name: string;
  readonly flags: number;
}

/** One era's choices. */
export interface NvmePciEra {
  /** The module's own workqueue, made by nvme_init; null: it uses the core's. */
  readonly workqueue: EraWorkqueue | null;
  readonly probeType: 'prefer-asynchronous' | 'default';
  readonly probeSteps: readonly ProbeStep[];
  /** What nvme_probe does at `bring-up`. */
  readonly bringUpSteps: BringUpSteps;
  readonly resetSteps: BringUpSteps;
  /** A reset that fails leaves a dead controller bound, or unbinds the driver from it. */
  readonly afterFailedReset: 'dead' | 'unbind';
  /** What nvme_remove_dead_ctrl does, and then the work that it queues, before that unbinds the driver. */
  readonly deadSteps: readonly DeadStep[];
  readonly unbindSteps: readonly DeadStep[];
  readonly removeSteps: readonly RemoveStep[];
  /** What "failed to mark controller live" ends with. */
  readonly liveFailureSuffix: string;
  /** Who says that a controller is being reset: who asks for it, or the work itself. */
  readonly resettingFrom: 'request' | 'work';
  readonly enableSteps: readonly EnableStep[];
  readonly adminQueueSteps: readonly QueueStep[];
  /** nvme_configure_admin_queue reads CAP by itself, and maps the admin doorbells when they lie beyond the mapping. */
  readonly adminQueueReadsCap: boolean;
  readonly adminQueueRemaps: boolean;
  /** A controller that ignores CC.EN = 0 gets a function level reset. */
  readonly flrOnFailedDisable: boolean;
  /** Entries of the admin queue; the block layer has two tags less. @kernel drivers/nvme/host/pci.c NVME_AQ_DEPTH */
  readonly adminQueueDepth: number;
  /** The admin queue has a vector of its own, or shares the first one with I/O queue 1. */
  readonly adminVector: 'own' | 'shared';
  /** A controller that is disabled has its queues frozen first; and its I/O queues suspended before they are deleted. */
  readonly freezesOnDisable: boolean;
  readonly suspendsBeforeDelete: boolean;
  /** I/O queues may be set up again with fewer, under the shutdown lock, while the state is CONNECTING. */
  readonly locksSetUp: boolean;
  /** Extra sets of queues (write_queues, poll_queues), and the line that counts them. */
  readonly queueSets: boolean;
  /** The order in which a new I/O queue becomes ready. */
  readonly ioQueueSteps: readonly QueueStep[];
  /** Several doorbell values in one write: `last`, commit_rqs, and queue_rqs where there is one. */
  readonly batchesDoorbells: boolean;
  readonly queueRqs: boolean;
  /** Completions are collected and ended together. */
  readonly batchesCompletions: boolean;
  /** nvme_queue_rq looks for completions after each command. */
  readonly reapsOnSubmit: boolean;
  /** Polls any queue for one tag (hctx, tag), or the poll queues only. */
  readonly pollsAnyQueue: boolean;
  readonly timeoutSteps: readonly TimeoutStep[];
  /** How the log names a command that takes too long: its tag; and the kind of queue; or all there is to say. */
  readonly timeoutNames: 'tag' | 'kind' | 'full';
  /** A link that reads all ones gets advice on power saving. */
  readonly advisesOnPower: boolean;
  /** Most segments of a request. @kernel drivers/nvme/host/pci.c NVME_MAX_SEGS */
  readonly maxSegments: number;
  /** The state in which a command that takes too long stops the controller instead of resetting it. */
  readonly startingState: 'connecting' | 'resetting';
  /** What comes first when a controller is to be reset: its state, or that it is stopped. */
  readonly recoversFirst: 'state' | 'stop';
  /** Sleep, shutdown and function resets wait until no other reset is under way. */
  readonly waitsForReset: boolean;
  /** A sleep that leaves the power on may leave the controller on, in its lowest power state. */
  readonly hostManagedSleep: boolean;
  /** Symbols that have another name in that era, or none. */
  readonly symbols: Readonly<Record<string, string | null>>;
}

const V6_12_RESET: BringUpSteps = [
  'refuse-unless-resetting',
  'disable-if-enabled',
  'sync-queues',
  'lock',
  'enable',
  'restart-admin',
  'unlock',
  'connecting',
  'init-finish',
  'dbbuf-alloc',
  'host-mem',
  'io-queues',
  {
    withQueues: ['dbbuf-set', 'start-queues', 'wait-freeze', 'update-queues', 'unfreeze'],
    withoutQueues: ['warn-lost', 'mark-dead', 'start-queues', 'remove-namespaces', 'free-tags'],
  },
  'live',
  'start',
];

const V6_12: NvmePciEra = {
  workqueue: null,
  probeType: 'prefer-asynchronous',
  probeSteps: [
    'init-ctrl',
    'dma-mask',
    'add-ctrl',
    'map',
    'pools',
    'announce',
    'enable',
    'bring-up',
    'bind',
    'start',
    'flush-scan',
  ],
  bringUpSteps: [
    'admin-tags',
    'connecting',
    'init-finish',
    'dbbuf-alloc',
    'host-mem',
    'io-queues',
    { withQueues: ['io-tags', 'dbbuf-set'], withoutQueues: [] },
    'warn-without-tags',
    'live',
  ],
  resetSteps: V6_12_RESET,
  afterFailedReset: 'dead',
  deadSteps: [],
  unbindSteps: [],
  removeSteps: [
    'deleting',
    'dead-if-absent',
    'flush-reset',
    'stop',
    'remove-namespaces',
    'disable',
    'free-host-mem',
    'free-tags',
    'remove-admin',
    'free-dbbuf',
    'free-queues',
    'release-pools',
    'unmap',
    'uninit',
    'put',
  ],
  liveFailureSuffix: ' state',
  resettingFrom: 'request',
  enableSteps: ['set-master', 'alive', 'vector', 'capabilities', 'cmb', 'save-state', 'configure-admin-queue'],
  adminQueueSteps: ['init', 'irq'],
  adminQueueReadsCap: false,
  adminQueueRemaps: true,
  flrOnFailedDisable: true,
  adminQueueDepth: 32,
  adminVector: 'own',
  freezesOnDisable: true,
  suspendsBeforeDelete: false,
  locksSetUp: true,
  queueSets: true,
  ioQueueSteps: ['init', 'irq'],
  batchesDoorbells: true,
  queueRqs: true,
  batchesCompletions: true,
  reapsOnSubmit: false,
  pollsAnyQueue: false,
  timeoutSteps: ['terminal', 'bus-recovers', 'failed', 'poll', 'starting', 'reset', 'abort'],
  timeoutNames: 'full',
  advisesOnPower: true,
  maxSegments: 128,
  startingState: 'connecting',
  recoversFirst: 'state',
  waitsForReset: true,
  hostManagedSleep: true,
  symbols: {},
};

/**
 * Those kernels tell a controller of its shadow doorbells only when all that waited has been sent, so that after a reset
 * it may miss commands, and wait_freeze then never ends. That is mended here: after a reset it is told before.
 */
const RESTART_UNTIL_6_1 = [
  'dbbuf-set-again',
  'start-queues',
  'wait-freeze',
  'update-queues',
  'dbbuf-set-first',
  'unfreeze',
] as const;

const V6_1: NvmePciEra = {
  ...V6_12,
  maxSegments: 127,
  timeoutSteps: ['bus-recovers', 'failed', 'poll', 'starting', 'reset', 'abort'],
  timeoutNames: 'kind',
  recoversFirst: 'stop',
  probeType: 'default',
  probeSteps: ['init-ctrl', 'dma-mask', 'add-ctrl', 'map', 'pools', 'announce', 'bind', 'reset-ctrl', 'async-probe'],
  bringUpSteps: [],
  resetSteps: [
    'refuse-unless-resetting',
    'disable-if-enabled',
    'sync-queues',
    'lock',
    'enable',
    'configure-admin-queue',
    'admin-tags',
    'unlock',
    'connecting',
    'init-finish',
    'dbbuf-alloc',
    'host-mem',
    'io-queues',
    {
      withQueues: RESTART_UNTIL_6_1,
      withoutQueues: ['warn-not-created', 'kill-queues', 'remove-namespaces', 'free-tags'],
    },
    'live',
    'start',
  ],
  afterFailedReset: 'unbind',
  deadSteps: ['deleting', 'disable', 'kill-queues'],
  enableSteps: ['set-master', 'alive', 'vector', 'capabilities', 'cmb', 'save-state'],
  symbols: {
    nvme_delete_io_queues: 'nvme_disable_io_queues',
  },
};

/** What recovery is before 4.15: no look at the bus, one state for every start, no waiting for another reset. */
const V4_13_RECOVERY = {
  timeoutSteps: ['failed', 'poll', 'starting', 'reset', 'abort'],
  timeoutNames: 'tag',
  advisesOnPower: false,
  startingState: 'resetting',
  recoversFirst: 'stop',
  waitsForReset: false,
  hostManagedSleep: false,
} as const satisfies Partial<NvmePciEra>;

/** 4.10 has its watchdog look for a failed controller, and does not look for a lost interrupt. */
const V4_10_RECOVERY = {
  ...V4_13_RECOVERY,
  timeoutSteps: ['starting', 'reset', 'abort'],
} as const satisfies Partial<NvmePciEra>;

/** Nobody waits for the reset work, which brings the controller up; one vector less, one doorbell a command. */
const V4_13: NvmePciEra = {
  ...V6_1,
  ...V4_13_RECOVERY,
  probeSteps: ['map', 'pools', 'init-ctrl', 'add-ctrl', 'enter-resetting', 'announce', 'bind', 'queue-reset'],
  resetSteps: [
    'warn-unless-resetting',
    'disable-if-enabled',
    'enable',
    'configure-admin-queue',
    'admin-tags',
    'init-finish',
    'dbbuf-alloc',
    'host-mem',
    'io-queues',
    {
      withQueues: RESTART_UNTIL_6_1,
      withoutQueues: ['warn-not-created', 'kill-queues', 'remove-namespaces'],
    },
    'live',
    'start',
  ],
  deadSteps: ['disable'],
  unbindSteps: ['kill-queues'],
  liveFailureSuffix: '',
  enableSteps: ['set-master', 'dma-mask', 'alive', 'vector-or-leak', 'capabilities', 'cmb-from-1.2', 'save-state'],
  flrOnFailedDisable: false,
  adminVector: 'shared',
  suspendsBeforeDelete: true,
  locksSetUp: false,
  queueSets: false,
  batchesDoorbells: false,
  queueRqs: false,
  batchesCompletions: false,
  reapsOnSubmit: true,
  pollsAnyQueue: true,
  symbols: {
    ...V6_1.symbols,
    nvme_prep_rq: null,
    nvme_poll_irqdisable: '__nvme_poll',
    nvme_delete_io_queues: 'nvme_disable_io_queues',
  },
};

/** The module has its own workqueue, the work says that it resets, and a timer looks after the controller. */
const V4_10: NvmePciEra = {
  ...V4_13,
  ...V4_10_RECOVERY,
  workqueue: { name: 'nvme', flags: WQ_UNBOUND | WQ_MEM_RECLAIM },
  probeSteps: ['map', 'pools', 'init-ctrl', 'add-ctrl', 'announce', 'bind', 'queue-reset'],
  resetSteps: [
    'warn-if-resetting',
    'disable-if-enabled',
    'enter-resetting',
    'enable',
    'configure-admin-queue',
    'init-admin-queue',
    'admin-tags',
    'init-finish',
    'io-queues',
    { withQueues: ['async-events'], withoutQueues: [] },
    'watchdog',
    {
      withQueues: ['start-queues', 'update-queues'],
      withoutQueues: ['warn-not-created', 'kill-queues', 'remove-namespaces'],
    },
    'live',
    { withQueues: ['scan'], withoutQueues: [] },
  ],
  removeSteps: [
    'deleting',
    'dead-if-absent',
    'flush-reset',
    'stop',
    'remove-namespaces',
    'uninit',
    'disable',
    'free-tags',
    'remove-admin',
    'free-queues',
    'release-pools',
    'unmap',
    'put',
  ],
  resettingFrom: 'work',
  adminQueueReadsCap: true,
  adminQueueRemaps: false,
  adminQueueSteps: ['irq'],
  adminQueueDepth: 256,
  freezesOnDisable: false,
  ioQueueSteps: ['irq', 'init'],
  symbols: {
    ...V4_13.symbols,
    nvme_pci_configure_admin_queue: 'nvme_configure_admin_queue',
    nvme_remap_bar: null,
    nvme_pci_complete_rq: 'nvme_complete_rq',
    nvme_process_cq: '__nvme_process_cq',
  },
};

/** The table. */
export const NVME_PCI_ERAS: Readonly<Record<KernelProfile, NvmePciEra>> = {
  '6.12': V6_12,
  '6.1': V6_1,
  '4.13': V4_13,
  '4.10': V4_10,
};
