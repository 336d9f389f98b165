/**
 * What an era is made of: the names of the steps that its lists put in order, and its data. eras.ts has the eras.
 * Kernel counterpart: drivers/nvme/host/pci.c of 4.10, 4.13, 6.1 and 6.12.
 */

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
  | 'cancel-reset'
  | 'dead-if-absent'
  | 'disable-if-absent'
  | 'shutdown-if-absent'
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
  | 'error-reporting'
  | 'save-state'
  | 'configure-admin-queue';

/** How a queue becomes ready: empty in memory, and its interrupt. */
export type QueueStep = 'init' | 'irq';

/** A step of nvme_timeout; the first that has an answer gives it. */
export type TimeoutStep =
  | 'disconnected'
  | 'terminal'
  | 'bus-recovers'
  | 'failed'
  | 'poll'
  | 'starting'
  | 'reset'
  | 'abort';

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
  /** A function whose NUMA node nobody knows is put on the first one. */
  readonly takesFirstNode: boolean;
  /** What the array of a device's queues holds. @kernel drivers/nvme/host/pci.c nvme_dev.queues */
  readonly queueArray: 'pointers' | 'structures';
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
  /** Which of the two structures has the reset work in it. */
  readonly resetWorkIn: 'device' | 'controller';
  /** Who says that a controller is being reset: who asks for it, or the work itself. */
  readonly resettingFrom: 'request' | 'work';
  readonly enableSteps: readonly EnableStep[];
  /** What the lock of a queue is called. */
  readonly queueLock: 'sq_lock' | 'q_lock';
  readonly adminQueueSteps: readonly QueueStep[];
  /**
   * nvme_configure_admin_queue reads CAP by itself, and maps the admin doorbells when they lie beyond the mapping; where it
   * does not, they cannot be used.
   */
  readonly adminQueueReadsCap: boolean;
  readonly adminQueueRemaps: boolean;
  /** A controller that ignores CC.EN = 0 gets a function level reset. */
  readonly flrOnFailedDisable: boolean;
  /** Entries of the admin queue; the block layer has two tags less. @kernel drivers/nvme/host/pci.c NVME_AQ_DEPTH */
  readonly adminQueueDepth: number;
  /** I/O submission queues have medium priority, or only those of controllers with a quirk. */
  readonly queuePriority: 'medium' | 'by-quirk';
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
  /** A command that was to be aborted gets a line when it ends, however it does. */
  readonly namesAborted: boolean;
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
