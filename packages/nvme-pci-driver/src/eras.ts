/**
 * What differs between kernel profiles in drivers/nvme/host/pci.c: ordered lists of named steps, and data.
 * probe.ts, reset.ts and enable.ts have the steps and run the lists. 6.12 and 6.1 are measured; 4.13 and 4.10 follow
 * those kernels' sources in order and behaviour.
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import { WQ_MEM_RECLAIM, WQ_UNBOUND } from '@nvme-stack/workqueue/ports';
import type { BringUpSteps, NvmePciEra } from './era-steps.js';

export type * from './era-steps.js';

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

/** What nvme_remove does once it knows whether the device is still there. */
const AFTER_ABSENCE = [
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
] as const;

const V6_12: NvmePciEra = {
  workqueue: null,
  probeType: 'prefer-asynchronous',
  takesFirstNode: false,
  queueArray: 'structures',
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
  removeSteps: ['deleting', 'dead-if-absent', 'shutdown-if-absent', ...AFTER_ABSENCE],
  liveFailureSuffix: ' state',
  resettingFrom: 'request',
  resetWorkIn: 'controller',
  enableSteps: ['set-master', 'alive', 'vector', 'capabilities', 'cmb', 'save-state', 'configure-admin-queue'],
  queueLock: 'sq_lock',
  adminQueueSteps: ['init', 'irq'],
  adminQueueReadsCap: false,
  adminQueueRemaps: true,
  flrOnFailedDisable: true,
  adminQueueDepth: 32,
  adminVector: 'own',
  queuePriority: 'by-quirk',
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
  timeoutSteps: ['disconnected', 'terminal', 'bus-recovers', 'failed', 'poll', 'starting', 'reset', 'abort'],
  timeoutNames: 'full',
  namesAborted: false,
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
  flrOnFailedDisable: false,
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
  enableSteps: ['set-master', 'alive', 'vector', 'capabilities', 'cmb', 'error-reporting', 'save-state'],
  symbols: {
    nvme_delete_io_queues: 'nvme_disable_io_queues',
    __nvme_delete_io_queues: '__nvme_disable_io_queues',
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
  namesAborted: true,
} as const satisfies Partial<NvmePciEra>;

/** Nobody waits for the reset work, which brings the controller up; one vector less, one doorbell a command. */
const V4_13: NvmePciEra = {
  ...V6_1,
  ...V4_13_RECOVERY,
  takesFirstNode: true,
  queueArray: 'pointers',
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
  enableSteps: [
    'set-master',
    'dma-mask',
    'alive',
    'vector-or-leak',
    'capabilities',
    'cmb-from-1.2',
    'error-reporting',
    'save-state',
  ],
  removeSteps: ['deleting', 'cancel-reset', 'dead-if-absent', 'disable-if-absent', ...AFTER_ABSENCE],
  queueLock: 'q_lock',
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
    __nvme_delete_io_queues: null,
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
  resetWorkIn: 'device',
  adminQueueReadsCap: true,
  adminQueueRemaps: false,
  adminQueueSteps: ['irq'],
  adminQueueDepth: 256,
  queuePriority: 'medium',
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
