/**
 * Completions: one side waits until another side says that something is done.
 * Kernel counterpart: kernel/sched/completion.c.
 */
import type { HasKernel, Kernel, WaitList } from '../ports.js';
import { PARK_TIMEOUT } from '../ports.js';

/** @kernel include/linux/completion.h completion */
export class Completion implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  /** How many waits will return at once. */
  done = 0;
  readonly waiters: WaitList;

  constructor(kernel: Kernel, name: string) {
    this.kernel = kernel;
    this.name = name;
    this.waiters = kernel.ex.waitList();
  }
}

/** Signals one waiter, or the next one to come. Any context. @kernel kernel/sched/completion.c complete */
export function complete(x: Completion): void {
  const { kernel } = x;
  kernel.ex.assertAwake('complete');
  if (kernel.trace.functions) kernel.trace.enter('complete');
  if (kernel.ex.wakeFirst(x.waiters, 0) === null) x.done++;
  if (kernel.trace.functions) kernel.trace.exit();
}

/** Signals every waiter and all that come later. Any context. @kernel kernel/sched/completion.c complete_all */
export function completeAll(x: Completion): void {
  x.kernel.ex.assertAwake('complete_all');
  x.done = Number.POSITIVE_INFINITY;
  x.kernel.ex.wakeAll(x.waiters, 0);
}

/** Makes a completion wait again. Any context. @kernel include/linux/completion.h reinit_completion */
export function reinitCompletion(x: Completion): void {
  x.done = 0;
}

/** Waits until completed. Task context. @kernel kernel/sched/completion.c wait_for_completion */
export async function waitForCompletion(x: Completion): Promise<void> {
  x.kernel.ex.mightSleep('wait_for_completion');
  if (x.done > 0) {
    x.done--;
    return;
  }
  await x.kernel.ex.park(`completion ${x.name}`, x.waiters);
  x.kernel.ex.awake();
}

/** Waits at most `timeoutNs`; false when the time passed first. @kernel kernel/sched/completion.c wait_for_completion_timeout */
export async function waitForCompletionTimeout(x: Completion, timeoutNs: number): Promise<boolean> {
  x.kernel.ex.mightSleep('wait_for_completion_timeout');
  if (x.done > 0) {
    x.done--;
    return true;
  }
  const value = await x.kernel.ex.park(`completion ${x.name}`, x.waiters, timeoutNs);
  x.kernel.ex.awake();
  return value !== PARK_TIMEOUT;
}
