/**
 * A second workqueue subsystem, without worker pools: each run of a work gets a kernel task of its own.
 * It shares nothing with the first but the port. Kernel counterpart: kernel/workqueue.c before worker pools.
 */
import { type Item, type Kernel, KernelError, NO_CPU, WaitQueue, waitEvent, wakeUpAll } from '@nvme-stack/kernel';
import {
  type AsyncDomain,
  type DelayedWork,
  WORK_CPU_UNBOUND,
  type WorkqueueStruct,
  type Workqueues,
  type WorkStruct,
  WQ_HIGHPRI,
  WQ_MEM_RECLAIM,
  WQ_ORDERED,
  WQ_UNBOUND,
} from '@nvme-stack/workqueue/ports';

/** One queueing of a work, until it has run or was taken back. */
class Run {
  readonly work: TaskWork;
  readonly queue: TaskQueue;
  readonly cpu: number;
  spawned = false;
  cancelled = false;
  done = false;

  constructor(work: TaskWork, queue: TaskQueue, cpu: number) {
    this.work = work;
    this.queue = queue;
    this.cpu = cpu;
  }
}

class TaskWork implements WorkStruct {
  readonly name: string;
  readonly body: () => Promise<void> | void;
  waiting: Run | null = null;
  current: Run | null = null;
  timer: Item | null = null;
  /** Callers of cancelWorkSync: it may not be queued meanwhile. */
  cancelling = 0;

  constructor(name: string, body: () => Promise<void> | void) {
    this.name = name;
    this.body = body;
  }
  get pending(): boolean {
    return this.waiting !== null || (this.timer?.pending ?? false);
  }
  get running(): boolean {
    return this.current !== null;
  }
}

class TaskDelayedWork implements DelayedWork {
  readonly work: TaskWork;
  queue: TaskQueue | null = null;

  constructor(work: TaskWork) {
    this.work = work;
  }
  get pending(): boolean {
    return this.work.pending;
  }
}

class TaskQueue implements WorkqueueStruct {
  readonly name: string;
  readonly flags: number;
  readonly maxActive: number;
  /** Oldest first, those under way included. */
  readonly runs: Run[] = [];

  constructor(name: string, flags: number, maxActive: number) {
    this.name = name;
    this.flags = flags;
    this.maxActive = (flags & WQ_ORDERED) !== 0 ? 1 : maxActive === 0 ? Number.POSITIVE_INFINITY : maxActive;
  }
  get hasRescuer(): boolean {
    return (this.flags & WQ_MEM_RECLAIM) !== 0;
  }
}

class TaskDomain implements AsyncDomain {
  pending = 0;
}

class TaskWorkqueues implements Workqueues {
  readonly kernel: Kernel;
  readonly systemWq: TaskQueue;
  readonly systemHighpriWq: TaskQueue;
  readonly systemUnboundWq: TaskQueue;
  private readonly queues: TaskQueue[] = [];
  private readonly domain = new TaskDomain();
  private readonly domains: TaskDomain[] = [this.domain];
  /** Woken at the end of every run and call. */
  private readonly ended: WaitQueue;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
    this.ended = new WaitQueue(kernel, 'the end of a work');
    this.systemWq = this.allocWorkqueue('events', 0, 0);
    this.systemHighpriWq = this.allocWorkqueue('events_highpri', WQ_HIGHPRI, 0);
    this.systemUnboundWq = this.allocWorkqueue('events_unbound', WQ_UNBOUND, 0);
  }

  allocWorkqueue(name: string, flags: number, maxActive: number): TaskQueue {
    const queue = new TaskQueue(name, flags, maxActive);
    this.queues.push(queue);
    this.kernel.live.add('work', name);
    return queue;
  }

  async destroyWorkqueue(wq: WorkqueueStruct): Promise<void> {
    const queue = wq as TaskQueue;
    await waitEvent(this.ended, () => queue.runs.length === 0);
    this.queues.splice(this.queues.indexOf(queue), 1);
    this.kernel.live.remove('work', queue.name);
  }

  list(): readonly WorkqueueStruct[] {
    return this.queues;
  }

  initWork<T>(symbol: string, owner: T, fn: (owner: T) => Promise<void> | void): WorkStruct {
    return new TaskWork(symbol, () => fn(owner));
  }

  initDelayedWork<T>(symbol: string, owner: T, fn: (owner: T) => Promise<void> | void): DelayedWork {
    const dwork = new TaskDelayedWork(new TaskWork(symbol, () => fn(owner)));
    dwork.work.timer = this.kernel.ex.item('softirq', 0, (due: TaskDelayedWork) => this.expire(due), dwork);
    return dwork;
  }

  // ---------------------------------------------------------------------------------------- queueing

  queueWork(wq: WorkqueueStruct, work: WorkStruct): boolean {
    return this.queueWorkOn(WORK_CPU_UNBOUND, wq, work);
  }

  queueWorkOn(cpu: number, wq: WorkqueueStruct, workStruct: WorkStruct): boolean {
    const work = workStruct as TaskWork;
    if (work.pending || work.cancelling > 0) return false;
    this.insert(work, wq as TaskQueue, cpu);
    return true;
  }

  scheduleWork(work: WorkStruct): boolean {
    return this.queueWork(this.systemWq, work);
  }

  queueDelayedWork(wq: WorkqueueStruct, delayed: DelayedWork, delayNs: number): boolean {
    const { work } = delayed as TaskDelayedWork;
    if (work.pending || work.cancelling > 0) return false;
    this.delay(delayed as TaskDelayedWork, wq as TaskQueue, delayNs);
    return true;
  }

  modDelayedWork(wq: WorkqueueStruct, delayed: DelayedWork, delayNs: number): boolean {
    const dwork = delayed as TaskDelayedWork;
    const wasPending = this.takeBack(dwork.work);
    if (dwork.work.cancelling === 0) this.delay(dwork, wq as TaskQueue, delayNs);
    return wasPending;
  }

  private delay(dwork: TaskDelayedWork, queue: TaskQueue, delayNs: number): void {
    const { ex } = this.kernel;
    const { timer } = dwork.work;
    if (delayNs <= 0 || timer === null) {
      this.insert(dwork.work, queue, WORK_CPU_UNBOUND);
      return;
    }
    dwork.queue = queue;
    timer.cpu = this.here();
    ex.arm(timer, ex.now() + delayNs);
  }

  private expire({ work, queue }: TaskDelayedWork): void {
    if (queue !== null) this.insert(work, queue, work.timer?.cpu ?? WORK_CPU_UNBOUND);
  }

  private insert(work: TaskWork, queue: TaskQueue, cpu: number): void {
    const run = new Run(work, queue, cpu === WORK_CPU_UNBOUND ? this.here() : cpu);
    work.waiting = run;
    queue.runs.push(run);
    this.kernel.live.add('work', work.name);
    this.start(queue);
  }

  private here(): number {
    const { cpu } = this.kernel.ex;
    return cpu === NO_CPU ? 0 : cpu;
  }

  // ---------------------------------------------------------------------------------------- running

  /** Gives tasks to the first `maxActive` runs of a queue; a work that runs already has to end first. */
  private start(queue: TaskQueue): void {
    let active = 0;
    for (const run of queue.runs) {
      if (active++ >= queue.maxActive) return;
      if (run.spawned || run.work.running) continue;
      run.spawned = true;
      this.kernel.ex.spawn(`work ${run.work.name}`, () => this.execute(run), run.cpu);
    }
  }

  private async execute(run: Run): Promise<void> {
    const { work } = run;
    if (!run.cancelled && work.running) {
      await waitEvent(this.ended, () => !work.running || run.cancelled);
    }
    if (!run.cancelled) {
      work.waiting = null;
      work.current = run;
      await work.body();
      work.current = null;
      this.kernel.live.remove('work', work.name);
    }
    this.finish(run);
  }

  private finish(run: Run): void {
    run.done = true;
    run.queue.runs.splice(run.queue.runs.indexOf(run), 1);
    for (const queue of this.queues) this.start(queue);
    wakeUpAll(this.ended);
  }

  // ---------------------------------------------------------------------------------------- waiting

  async flushWork(workStruct: WorkStruct): Promise<boolean> {
    const work = workStruct as TaskWork;
    const run = work.waiting ?? work.current;
    if (run === null) return false;
    await waitEvent(this.ended, () => run.done);
    return true;
  }

  async flushDelayedWork(delayed: DelayedWork): Promise<boolean> {
    const dwork = delayed as TaskDelayedWork;
    if (dwork.work.timer !== null && this.kernel.ex.disarm(dwork.work.timer)) this.expire(dwork);
    return await this.flushWork(dwork.work);
  }

  async flushWorkqueue(wq: WorkqueueStruct): Promise<void> {
    const runs = [...(wq as TaskQueue).runs];
    await waitEvent(this.ended, () => runs.every(({ done }) => done));
  }

  async cancelWorkSync(workStruct: WorkStruct): Promise<boolean> {
    const work = workStruct as TaskWork;
    work.cancelling++;
    const wasPending = this.takeBack(work);
    await waitEvent(this.ended, () => !work.running);
    work.cancelling--;
    return wasPending;
  }

  cancelDelayedWorkSync(delayed: DelayedWork): Promise<boolean> {
    return this.cancelWorkSync(delayed.work);
  }

  cancelDelayedWork(delayed: DelayedWork): boolean {
    return this.takeBack((delayed as TaskDelayedWork).work);
  }

  private takeBack(work: TaskWork): boolean {
    if (work.timer !== null && this.kernel.ex.disarm(work.timer)) return true;
    const run = work.waiting;
    if (run === null) return false;
    work.waiting = null;
    run.cancelled = true;
    this.kernel.live.remove('work', work.name);
    if (run.spawned) wakeUpAll(this.ended);
    else this.finish(run);
    return true;
  }

  // ---------------------------------------------------------------------------------------- on a CPU, and asynchronously

  async workOnCpu<T>(cpu: number, fn: () => Promise<T>): Promise<T> {
    if (cpu < 0 || cpu >= this.kernel.nrCpus) throw new KernelError('EINVAL', `work_on_cpu ${cpu}`);
    let outcome: { value: T } | { error: unknown } | null = null;
    const work = this.initWork('work_for_cpu_fn', null, async () => {
      try {
        outcome = { value: await fn() };
      } catch (error) {
        outcome = { error };
      }
    });
    this.queueWorkOn(cpu, this.systemWq, work);
    await this.flushWork(work);
    const got = outcome as unknown as { value: T } | { error: unknown };
    if ('error' in got) throw got.error;
    return got.value;
  }

  asyncDomain(): AsyncDomain {
    const domain = new TaskDomain();
    this.domains.push(domain);
    return domain;
  }

  asyncScheduleDomain<T>(fn: (arg: T) => Promise<void>, arg: T, asyncDomain: AsyncDomain): void {
    const domain = asyncDomain as TaskDomain;
    domain.pending++;
    this.kernel.ex.spawn('async', async () => {
      await fn(arg);
      domain.pending--;
      wakeUpAll(this.ended);
    });
  }

  asyncScheduleNode<T>(fn: (arg: T) => Promise<void>, arg: T, _node: number): void {
    this.asyncScheduleDomain(fn, arg, this.domain);
  }

  asyncSynchronizeFull(): Promise<void> {
    return waitEvent(this.ended, () => this.domains.every(({ pending }) => pending === 0));
  }

  asyncSynchronizeFullDomain(domain: AsyncDomain): Promise<void> {
    return waitEvent(this.ended, () => domain.pending === 0);
  }
}

/** Makes it for a machine. */
export function createTaskWorkqueues({ kernel }: { readonly kernel: Kernel }): Workqueues {
  return new TaskWorkqueues(kernel);
}
