/** What the workqueue subsystem does differently from kernel to kernel. */
import type { KernelProfile } from '@nvme-stack/kernel';

export interface WorkqueueEra {
  /** Before a queue's name in its rescuer's task name. */
  readonly rescuerPrefix: string;
  /** Symbols that have another name in that era, or none. */
  readonly symbols: Readonly<Record<string, string | null>>;
}

/** Until 5.2 alloc_workqueue was a macro around a function of another name. @kernel include/linux/workqueue.h alloc_workqueue */
const V4_SYMBOLS = { alloc_workqueue: '__alloc_workqueue_key' } as const;

export const WORKQUEUE_ERAS: Readonly<Record<KernelProfile, WorkqueueEra>> = {
  '6.12': { rescuerPrefix: 'kworker/R-', symbols: {} },
  '6.1': { rescuerPrefix: '', symbols: {} },
  '4.13': { rescuerPrefix: '', symbols: V4_SYMBOLS },
  '4.10': { rescuerPrefix: '', symbols: V4_SYMBOLS },
};
