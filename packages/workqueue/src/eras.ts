/** What the workqueue subsystem does differently from kernel to kernel. */
import type { KernelProfile } from '@nvme-stack/kernel';

export interface WorkqueueEra {
  /** Before a queue's name in its rescuer's task name. */
  readonly rescuerPrefix: string;
}

export const WORKQUEUE_ERAS: Readonly<Record<KernelProfile, WorkqueueEra>> = {
  '6.12': { rescuerPrefix: 'kworker/R-' },
  '6.1': { rescuerPrefix: '' },
  '4.13': { rescuerPrefix: '' },
  '4.10': { rescuerPrefix: '' },
};
