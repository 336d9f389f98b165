/**
 * Wait queues: tasks that sleep until a condition holds.
 * Kernel counterpart: include/linux/wait.h, kernel/sched/wait.c.
 */
import type { HasKernel, Kernel, WaitList } from '../ports.js';
import { PARK_TIMEOUT } from '../ports.js';

/** @kernel include/linux/wait.h wait_queue_head */
export class WaitQueue implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  readonly waiters: WaitList;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.waiters = kernel.ex.waitList();
  }
}

/** Wakes every sleeper, which checks its condition again. Any context. @kernel include/linux/wait.h wake_up_all */
export function wakeUpAll(queue: WaitQueue): void {
  queue.kernel.ex.assertAwake('wake_up_all');
  if (queue.waiters.size > 0) queue.kernel.ex.wakeAll(queue.waiters, 0);
}

/** Sleeps until `condition()` is true. Task context. @kernel include/linux/wait.h wait_event */
export async function waitEvent(queue: WaitQueue, condition: () => boolean): Promise<void> {
  const { ex } = queue.kernel;
  ex.mightSleep('wait_event');
  while (!condition()) {
    await ex.park(queue.name, queue.waiters);
    ex.awake();
  }
}

/** Sleeps until `condition()` or `timeoutNs`; returns the condition. Task context. @kernel include/linux/wait.h wait_event_timeout */
export async function waitEventTimeout(
  queue: WaitQueue,
  condition: () => boolean,
  timeoutNs: number,
): Promise<boolean> {
  const { ex } = queue.kernel;
  ex.mightSleep('wait_event_timeout');
  const deadlineNs = ex.now() + timeoutNs;
  while (!condition()) {
    const leftNs = deadlineNs - ex.now();
    if (leftNs <= 0) return false;
    const value = await ex.park(queue.name, queue.waiters, leftNs);
    ex.awake();
    if (value === PARK_TIMEOUT) return condition();
  }
  return true;
}
