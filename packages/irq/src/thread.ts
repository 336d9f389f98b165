/**
 * Threaded handlers: a task for each, woken by the hard handler.
 * Kernel counterpart: kernel/irq/manage.c (irq_thread, irq_finalize_oneshot), kernel/irq/handle.c (__irq_wake_thread).
 */
import { BugError, complete, traced, wakeUpAll } from '@nvme-stack/kernel';
import { unmaskIrq } from './chip.js';
import type { IrqAction, IrqThreadFn } from './desc.js';
import { IRQ_HANDLED, type IrqReturn } from './ports.js';

/** Starts the action's task; its name is `irq/<irq>-<name>`. Task context. @kernel kernel/irq/manage.c setup_irq_thread */
export function startIrqThread(action: IrqAction): void {
  const { desc, name } = action;
  action.thread = desc.kernel.ex.spawn(`irq/${desc.irq}-${name}`, () => irqThread(action), desc.effectiveCpu);
}

/** Hard interrupt context. @kernel kernel/irq/handle.c __irq_wake_thread */
export function irqWakeThread(action: IrqAction): void {
  const { desc, thread } = action;
  if (thread === null || action.runThread) return;
  action.runThread = true;
  desc.threadsOneshot |= action.threadMask;
  desc.threadsActive++;
  thread.cpu = desc.effectiveCpu;
  desc.kernel.ex.wakeFirst(action.threadWait, 0);
}

/** @kernel kernel/irq/manage.c irq_thread */
async function irqThread(action: IrqAction): Promise<void> {
  const { desc } = action;
  const { ex } = desc.kernel;
  for (;;) {
    while (action.runThread) {
      action.runThread = false;
      if ((await irqThreadFn(action)) === IRQ_HANDLED) desc.threadsHandled++;
      finalizeOneshot(action);
      if (--desc.threadsActive === 0) wakeUpAll(desc.waiters);
    }
    if (action.stopping) {
      complete(action.stopped);
      return;
    }
    await ex.park(`interrupt ${desc.irq}`, action.threadWait);
    ex.awake();
  }
}

const irqThreadFn = traced('irq_thread_fn', async (action: IrqAction): Promise<IrqReturn> => {
  const { ex } = action.kernel;
  try {
    return await (action.threadFn as IrqThreadFn)(action.desc.irq, action.devId);
  } catch (error) {
    if (BugError.is(error)) throw error;
    return ex.bug(`interrupt thread ${action.name} threw ${error instanceof Error ? error.message : String(error)}`);
  }
});

/** The line stays masked until the last of its threads is done. @kernel kernel/irq/manage.c irq_finalize_oneshot */
function finalizeOneshot(action: IrqAction): void {
  const { desc } = action;
  if (action.runThread) return;
  desc.threadsOneshot &= ~action.threadMask;
  if (desc.oneshot && desc.threadsOneshot === 0 && desc.depth === 0) unmaskIrq(desc);
}
