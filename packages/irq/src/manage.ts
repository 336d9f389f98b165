/**
 * Requesting, freeing, disabling and moving interrupts.
 * Kernel counterpart: kernel/irq/manage.c.
 */
import { cpuRelax, KernelError, traced, waitEvent, waitForCompletion } from '@nvme-stack/kernel';
import { irqDisable, irqDoSetAffinity, irqStartup, maskIrq } from './chip.js';
import { IrqAction, type IrqDesc, type IrqRequest } from './desc.js';
import { IRQ_WAKE_THREAD, IRQF_ONESHOT, IRQF_SHARED } from './ports.js';
import { type IrqSystem, irqToDesc } from './system.js';
import { irqWakeThread, startIrqThread } from './thread.js';

/** Wakes the thread and no more. @kernel kernel/irq/manage.c irq_default_primary_handler */
export function defaultPrimaryHandler(): 2 {
  return IRQ_WAKE_THREAD;
}

/** Throws EINVAL, EBUSY. Task context. @kernel kernel/irq/manage.c request_threaded_irq */
export const requestThreadedIrq = traced('request_threaded_irq', (system: IrqSystem, request: IrqRequest): void => {
  const desc = irqToDesc(system, request.irq);
  if ((request.flags & IRQF_SHARED) !== 0 && (request.devId === null || request.devId === undefined)) {
    throw new KernelError('EINVAL', `shared irq ${request.irq} of ${request.name} without devId`);
  }
  const action = new IrqAction(desc, request);
  checkOneshot(desc, action);
  joinActions(desc, action);
  if (action.threadFn !== null) startIrqThread(action);
  system.kernel.live.add('vectors', action.name);
  if (desc.action === action) {
    desc.oneshot = (action.flags & IRQF_ONESHOT) !== 0;
    desc.spuriousDisabled = false;
    desc.irqCount = 0;
    desc.irqsUnhandled = 0;
    irqStartup(desc);
  } else if (desc.spuriousDisabled) {
    // One more handler may be the one that was missing.
    desc.spuriousDisabled = false;
    enableOnce(desc);
  }
});

/** A level whose hard handler only wakes the thread would never go quiet. */
function checkOneshot(desc: IrqDesc, action: IrqAction): void {
  if (action.handler !== defaultPrimaryHandler || (action.flags & IRQF_ONESHOT) !== 0 || desc.msi !== null) return;
  const text = `Threaded irq requested with handler=NULL and !ONESHOT for ${action.name} (irq ${desc.irq})`;
  desc.kernel.printk.print('err', `genirq: ${text}`);
  throw new KernelError('EINVAL', text);
}

function joinActions(desc: IrqDesc, action: IrqAction): void {
  const first = desc.action;
  let used = 0;
  let last: IrqAction | null = null;
  if (first !== null) {
    const both = first.flags & action.flags & IRQF_SHARED;
    if (both === 0 || ((first.flags ^ action.flags) & IRQF_ONESHOT) !== 0) throw mismatch(desc, first, action);
  }
  for (let old = first; old !== null; old = old.next) {
    used |= old.threadMask;
    last = old;
  }
  if ((action.flags & IRQF_ONESHOT) !== 0) {
    if (used === -1) throw new KernelError('EBUSY', `irq ${desc.irq} is shared by 32 threads`);
    action.threadMask = ~used & (used + 1);
  }
  if (last === null) desc.action = action;
  else last.next = action;
}

function mismatch(desc: IrqDesc, old: IrqAction, action: IrqAction): KernelError {
  const hex = (flags: number): string => flags.toString(16).padStart(8, '0');
  const text = `Flags mismatch irq ${desc.irq}. ${hex(action.flags)} (${action.name}) vs. ${hex(old.flags)} (${old.name})`;
  desc.kernel.printk.print('err', `genirq: ${text}`);
  return new KernelError('EBUSY', text);
}

/** Takes a handler away when it no longer runs; returns its name, '' when there is none. Task context. @kernel kernel/irq/manage.c free_irq */
export const freeIrq = traced('free_irq', async (system: IrqSystem, irq: number, devId: unknown): Promise<string> => {
  system.kernel.ex.mightSleep('free_irq');
  const desc = irqToDesc(system, irq);
  let previous: IrqAction | null = null;
  let action = desc.action;
  while (action !== null && action.devId !== devId) {
    previous = action;
    action = action.next;
  }
  if (action === null) {
    system.kernel.printk.print('warn', `Trying to free already-free IRQ ${irq}`);
    return '';
  }
  if (previous === null) desc.action = action.next;
  else previous.next = action.next;
  if (desc.action === null) irqShutdown(desc);
  await waitForHandlers(desc);
  await stopThread(action);
  system.kernel.live.remove('vectors', action.name);
  return action.name;
});

/** Any context. @kernel kernel/irq/manage.c irq_wake_thread */
export function irqWakeThreadOf(system: IrqSystem, irq: number, devId: unknown): void {
  for (let { action } = irqToDesc(system, irq); action !== null; action = action.next) {
    if (action.devId === devId) irqWakeThread(action);
  }
}

/** @kernel kernel/irq/chip.c irq_shutdown */
function irqShutdown(desc: IrqDesc): void {
  desc.depth = 1;
  desc.managedShutdown = false;
  desc.oneshot = false;
  desc.pending = false;
  maskIrq(desc);
}

async function stopThread(action: IrqAction): Promise<void> {
  if (action.thread === null) return;
  action.stopping = true;
  action.kernel.ex.wakeFirst(action.threadWait, 0);
  await waitForCompletion(action.stopped);
}

async function waitForHandlers(desc: IrqDesc): Promise<void> {
  while (desc.inProgress) await cpuRelax(desc);
  await waitEvent(desc.waiters, () => desc.threadsActive === 0);
}

/** Waits until no handler of it runs, threads included. Task context. @kernel kernel/irq/manage.c synchronize_irq */
export const synchronizeIrq = traced('synchronize_irq', (system: IrqSystem, irq: number): Promise<void> => {
  system.kernel.ex.mightSleep('synchronize_irq');
  return waitForHandlers(irqToDesc(system, irq));
});

/** Counts: as many enables undo it. Task context. @kernel kernel/irq/manage.c disable_irq */
export const disableIrq = traced('disable_irq', async (system: IrqSystem, irq: number): Promise<void> => {
  system.kernel.ex.mightSleep('disable_irq');
  const desc = irqToDesc(system, irq);
  irqDisable(desc);
  await waitForHandlers(desc);
});

/** Replays an edge that came meanwhile. @kernel kernel/irq/manage.c enable_irq */
export const enableIrq = traced('enable_irq', (system: IrqSystem, irq: number): void => {
  const desc = irqToDesc(system, irq);
  const disables = desc.managedShutdown ? desc.depth - 1 : desc.depth;
  if (disables === 0 || desc.action === null) {
    system.kernel.printk.print('warn', `Unbalanced enable for IRQ ${irq}`);
    return;
  }
  enableOnce(desc);
});

function enableOnce(desc: IrqDesc): void {
  if (desc.depth > 1) desc.depth--;
  else irqStartup(desc);
}

/** Throws EINVAL, EIO, ENOSPC. Task context. @kernel kernel/irq/manage.c irq_set_affinity */
export function irqSetAffinity(system: IrqSystem, irq: number, cpus: readonly number[]): void {
  const desc = irqToDesc(system, irq);
  const online = system.kernel.cpus.onlineCpus().filter((cpu) => cpus.includes(cpu));
  if (online.length === 0) throw new KernelError('EINVAL', `irq ${irq}: no online CPU among ${cpus.join(',')}`);
  if (desc.managed) throw new KernelError('EIO', `irq ${irq} is managed by the kernel`);
  if (!irqDoSetAffinity(desc, online)) throw new KernelError('ENOSPC', `irq ${irq}: no vector on ${online.join(',')}`);
  desc.affinity = online;
}
