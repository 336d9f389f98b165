/**
 * Queueing: a work goes into its pool's worklist, or waits among the inactive ones when its queue has max_active
 * works there already; taking a pending work back undoes that.
 * Kernel counterpart: kernel/workqueue.c (queue_work_on, __queue_work, try_to_grab_pending).
 */
import { NO_CPU, wakeUpAll } from '@nvme-stack/kernel';
import { WORKQUEUE_ACTIVATE_WORK, WORKQUEUE_QUEUE_WORK } from './events.js';
import { kickPool } from './pool.js';
import { WORK_CPU_UNBOUND } from './ports.js';
import type { WorkqueueSystem } from './system.js';
import type { Work } from './work.js';
import { dropFinishedColors, type FlushColor, type PoolWorkqueue, type Workqueue } from './workqueue.js';

/** Queues a work; false when it was pending already or is being cancelled. Any context. @kernel kernel/workqueue.c queue_work_on */
export function queueWorkOn(system: WorkqueueSystem, cpu: number, wq: Workqueue, work: Work): boolean {
  const { ex, trace, costs } = system.kernel;
  ex.assertAwake('queue_work_on');
  ex.charge(costs.functionNs);
  if (trace.functions) trace.enter('queue_work_on');
  const queued = markPending(work);
  if (queued) insertWork(system, wq, work, cpu, -1);
  if (trace.functions) trace.exit();
  return queued;
}

/** Makes an idle work pending; false when it was. */
export function markPending(work: Work): boolean {
  if (work.pending || work.canceling > 0) return false;
  work.pending = true;
  work.kernel.live.add('work', work.name);
  return true;
}

/** Puts a pending work that is in no list into its queue; `node` -1 is the node of the CPU. @kernel kernel/workqueue.c __queue_work */
export function insertWork(system: WorkqueueSystem, wq: Workqueue, work: Work, reqCpu: number, node: number): void {
  const { ex, trace, nrCpus } = system.kernel;
  if (wq.destroyed) ex.bug(`work ${work.name} queued on workqueue ${wq.name}, which has been destroyed`);
  if (reqCpu >= nrCpus || reqCpu < WORK_CPU_UNBOUND) ex.bug(`work ${work.name} queued on CPU ${reqCpu} of ${nrCpus}`);
  if (wq.draining && !isChained(system, wq)) {
    work.pending = false;
    work.kernel.live.remove('work', work.name);
    system.kernel.printk.print('warn', `workqueue: cannot queue ${work.name} on wq ${wq.name}`);
    wakeUpAll(work.waiters);
    return;
  }
  const local = ex.cpu === NO_CPU ? 0 : ex.cpu;
  const cpu = reqCpu === WORK_CPU_UNBOUND ? local : reqCpu;
  const pwq = choosePwq(system, wq, work, cpu, node);
  const { color } = wq;
  color.count++;
  work.color = color;
  work.pwq = pwq;
  work.pendingSeq++;
  if (trace.events)
    trace.event(WORKQUEUE_QUEUE_WORK, work.id, reqCpu, pwq.pool.bound ? pwq.pool.cpu : cpu, 0, work.name);
  if (pwq.inactive.size === 0 && pwq.nrActive < wq.maxActive) {
    activate(pwq, work);
  } else {
    work.active = false;
    pwq.inactive.push(work);
  }
}

function choosePwq(system: WorkqueueSystem, wq: Workqueue, work: Work, cpu: number, node: number): PoolWorkqueue {
  // Where it runs it is queued again: the pool's other workers know that it does.
  const running = work.runningOn?.currentPwq;
  if (running !== undefined && running !== null && running.wq === wq) return running;
  if (!wq.unbound) return wq.pwqs[cpu];
  if (wq.ordered) return wq.pwqs[0];
  return wq.pwqs[node < 0 ? system.kernel.cpuToNode(cpu) : node];
}

/** The running code is a work of that queue. @kernel kernel/workqueue.c is_chained_work */
function isChained(system: WorkqueueSystem, wq: Workqueue): boolean {
  if (system.kernel.ex.context !== 'task') return false;
  return system.workerOfTask.get(system.kernel.ex.current)?.currentPwq?.wq === wq;
}

function activate(pwq: PoolWorkqueue, work: Work): void {
  const { trace } = pwq.pool.kernel;
  if (trace.events) trace.event(WORKQUEUE_ACTIVATE_WORK, work.id, 0, 0, 0, work.name);
  pwq.nrActive++;
  work.active = true;
  pwq.pool.worklist.push(work);
  kickPool(pwq.pool);
}

/** Lets the next inactive work go on when there is room for it. @kernel kernel/workqueue.c pwq_activate_first_inactive */
export function activateNext(pwq: PoolWorkqueue): void {
  if (pwq.nrActive >= pwq.wq.maxActive) return;
  const next = pwq.inactive.shift();
  if (next !== null) activate(pwq, next);
}

/** One queueing of a work has come to its end, run or cancelled. @kernel kernel/workqueue.c pwq_dec_nr_in_flight */
export function countFinished(wq: Workqueue, name: string, color: FlushColor | null): void {
  wq.kernel.live.remove('work', name);
  if (color === null || --color.count > 0) return;
  dropFinishedColors(wq);
  wakeUpAll(wq.waiters);
}

/** Takes a pending work back, timer or list; false when it was not pending. Any context. @kernel kernel/workqueue.c try_to_grab_pending */
export function grabPending(work: Work): boolean {
  if (!work.pending) return false;
  work.pending = false;
  const { pwq, color } = work;
  if (pwq === null) {
    // Its timer is armed: it is in no queue yet.
    if (work.timer !== null) work.kernel.ex.disarm(work.timer);
    work.kernel.live.remove('work', work.name);
    return true;
  }
  work.list?.remove(work);
  work.pwq = null;
  countFinished(pwq.wq, work.name, color);
  if (work.active) {
    pwq.nrActive--;
    activateNext(pwq);
  }
  wakeUpAll(work.waiters);
  return true;
}
