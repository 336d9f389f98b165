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
  /** Bits 15:12 of a CID count the uses of its tag. */
  readonly cidGeneration: boolean;
  readonly workqueue: EraWorkqueue;
  /** Null: resets and deletions run on the one workqueue. */
  readonly resetWorkqueue: EraWorkqueue | null;
  readonly deleteWorkqueue: EraWorkqueue | null;
  readonly finishSteps: readonly FinishStep[];
  /** uevent `change` with NVME_EVENT=connected when the controller starts. */
  readonly connectedUevent: boolean;
  /** Attribute passthru_err_log_enabled. */
  readonly passthruErrLog: boolean;
  /** Attributes metadata_bytes and nuse of a namespace. */
  readonly nsUsageAttributes: boolean;
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
  cidGeneration: true,
  workqueue: { name: 'nvme-wq', flags: MODERN_WQ_FLAGS },
  resetWorkqueue: { name: 'nvme-reset-wq', flags: MODERN_WQ_FLAGS },
  deleteWorkqueue: { name: 'nvme-delete-wq', flags: MODERN_WQ_FLAGS },
  finishSteps: ['apst', 'timestamp', 'host-behaviour', 'hwmon', 'keep-alive'],
  connectedUevent: true,
  passthruErrLog: true,
  nsUsageAttributes: true,
  symbols: {},
};

const V6_1: NvmeCoreEra = {
  ...V6_12,
  enteredFrom: {
    ...V6_12.enteredFrom,
    [NVME_CTRL_LIVE]: [NVME_CTRL_NEW, NVME_CTRL_RESETTING, NVME_CTRL_CONNECTING],
  },
  readsCcBack: true,
  passthruErrLog: false,
  nsUsageAttributes: false,
};

const V4: NvmeCoreEra = {
  ...V6_1,
  enableWrites: 'once',
  readsCcBack: false,
  cidGeneration: false,
  resetWorkqueue: null,
  deleteWorkqueue: null,
  finishSteps: ['apst', 'timestamp', 'keep-alive'],
  connectedUevent: false,
};

/** The table. */
export const NVME_CORE_ERAS: Readonly<Record<KernelProfile, NvmeCoreEra>> = {
  '6.12': V6_12,
  '6.1': V6_1,
  '4.13': V4,
  '4.10': V4,
};
