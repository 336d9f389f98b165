/**
 * Delayed work: a timer that queues. The timer runs in softirq context on the CPU that armed it.
 * Kernel counterpart: kernel/workqueue.c (queue_delayed_work_on, mod_delayed_work_on, delayed_work_timer_fn).
 */
import { NO_CPU } from '@nvme-stack/kernel';
import { WORK_CPU_UNBOUND } from './ports.js';
import { grabPending, insertWork, markPending } from './queue.js';
import type { WorkqueueSystem } from './system.js';
import { DelayedWorkItem, Work, type WorkFunction } from './work.js';
import type { Workqueue } from './workqueue.js';

/** @kernel include/linux/workqueue.h INIT_DELAYED_WORK */
export function makeDelayedWork(
  system: WorkqueueSystem,
  name: string,
  owner: unknown,
  fn: WorkFunction,
): DelayedWorkItem {
  const dwork = new DelayedWorkItem(new Work(system, name, owner, fn));
  dwork.work.timer = system.kernel.ex.item('softirq', 0, delayedWorkTimer, dwork);
  return dwork;
}

/** Queues after `delayNs` (>= 0); false when it was pending. Any context. @kernel kernel/workqueue.c queue_delayed_work_on */
export function queueDelayedWork(
  system: WorkqueueSystem,
  wq: Workqueue,
  dwork: DelayedWorkItem,
  delayNs: number,
): boolean {
  const { ex, trace, costs } = system.kernel;
  ex.assertAwake('queue_delayed_work_on');
  ex.charge(costs.functionNs);
  if (trace.functions) trace.enter('queue_delayed_work_on');
  const queued = markPending(dwork.work);
  if (queued) startTimer(system, wq, dwork, delayNs);
  if (trace.functions) trace.exit();
  return queued;
}

/** Queues after `delayNs` from now, pending or not; returns whether it was pending. Any context. @kernel kernel/workqueue.c mod_delayed_work_on */
export function modDelayedWork(
  system: WorkqueueSystem,
  wq: Workqueue,
  dwork: DelayedWorkItem,
  delayNs: number,
): boolean {
  const { ex, trace, costs } = system.kernel;
  ex.assertAwake('mod_delayed_work_on');
  ex.charge(costs.functionNs);
  if (trace.functions) trace.enter('mod_delayed_work_on');
  const wasPending = grabPending(dwork.work);
  if (markPending(dwork.work)) startTimer(system, wq, dwork, delayNs);
  if (trace.functions) trace.exit();
  return wasPending;
}

/** Queues at once what waits for its timer. Task context. */
export function expireNow(dwork: DelayedWorkItem): void {
  const { work } = dwork;
  if (work.timer !== null && work.kernel.ex.disarm(work.timer)) delayedWorkTimer(dwork);
}

function startTimer(system: WorkqueueSystem, wq: Workqueue, dwork: DelayedWorkItem, delayNs: number): void {
  const { ex } = system.kernel;
  const { work } = dwork;
  if (delayNs <= 0 || work.timer === null) {
    insertWork(system, wq, work, WORK_CPU_UNBOUND, -1);
    return;
  }
  dwork.wq = wq;
  work.timer.cpu = ex.cpu === NO_CPU ? 0 : ex.cpu;
  ex.arm(work.timer, ex.now() + delayNs);
}

/** @kernel kernel/workqueue.c delayed_work_timer_fn */
function delayedWorkTimer(dwork: DelayedWorkItem): void {
  const { work, wq } = dwork;
  if (wq !== null) insertWork(work.system, wq, work, work.timer?.cpu ?? WORK_CPU_UNBOUND, -1);
}
