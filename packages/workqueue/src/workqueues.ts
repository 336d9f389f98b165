/**
 * The workqueue subsystem of one machine behind its port.
 * Kernel counterpart: kernel/workqueue.c, kernel/async.c.
 */
import type { Kernel } from '@nvme-stack/kernel';
import * as calls from './async.js';
import { followCpus } from './cpu-hotplug.js';
import * as delayed from './delayed.js';
import * as flush from './flush.js';
import type { AsyncDomain, DelayedWork, WorkqueueStruct, Workqueues, WorkStruct } from './ports.js';
import { WORK_CPU_UNBOUND, WQ_HIGHPRI, WQ_UNBOUND } from './ports.js';
import { grabPending, queueWorkOn } from './queue.js';
import { allocWorkqueue, destroyWorkqueue, makeWorkqueue, type WorkqueueOptions, WorkqueueSystem } from './system.js';
import { type DelayedWorkItem, Work, type WorkFunction } from './work.js';
import { workOnCpu } from './work-on-cpu.js';
import type { Workqueue } from './workqueue.js';

/** What the subsystem is made of. */
export interface WorkqueueDeps extends WorkqueueOptions {
  readonly kernel: Kernel;
}

class WorkqueuesImpl implements Workqueues {
  readonly kernel: Kernel;
  readonly systemWq: Workqueue;
  readonly systemHighpriWq: Workqueue;
  readonly systemUnboundWq: Workqueue;
  private readonly system: WorkqueueSystem;
  private readonly async: calls.AsyncCalls;

  constructor(deps: WorkqueueDeps) {
    this.kernel = deps.kernel;
    this.system = new WorkqueueSystem(deps.kernel, deps);
    deps.kernel.trace.renameSymbols(this.system.era.symbols);
    const boot = (name: string, flags: number): Workqueue =>
      makeWorkqueue(this.system, { name, flags, maxActive: 0 }, true);
    this.systemWq = boot('events', 0);
    this.systemHighpriWq = boot('events_highpri', WQ_HIGHPRI);
    this.systemUnboundWq = boot('events_unbound', WQ_UNBOUND);
    this.async = new calls.AsyncCalls(this.system, this.systemUnboundWq);
    followCpus(this.system);
  }

  allocWorkqueue(name: string, flags: number, maxActive: number): WorkqueueStruct {
    return allocWorkqueue(this.system, { name, flags, maxActive });
  }

  destroyWorkqueue(wq: WorkqueueStruct): Promise<void> {
    return destroyWorkqueue(this.system, wq as Workqueue);
  }

  initWork<T>(symbol: string, owner: T, fn: (owner: T) => Promise<void> | void): WorkStruct {
    return new Work(this.system, symbol, owner, fn as WorkFunction);
  }

  initDelayedWork<T>(symbol: string, owner: T, fn: (owner: T) => Promise<void> | void): DelayedWork {
    return delayed.makeDelayedWork(this.system, symbol, owner, fn as WorkFunction);
  }

  queueWork(wq: WorkqueueStruct, work: WorkStruct): boolean {
    return queueWorkOn(this.system, WORK_CPU_UNBOUND, wq as Workqueue, work as Work);
  }

  queueWorkOn(cpu: number, wq: WorkqueueStruct, work: WorkStruct): boolean {
    return queueWorkOn(this.system, cpu, wq as Workqueue, work as Work);
  }

  queueDelayedWork(wq: WorkqueueStruct, work: DelayedWork, delayNs: number): boolean {
    return delayed.queueDelayedWork(this.system, wq as Workqueue, work as DelayedWorkItem, delayNs);
  }

  modDelayedWork(wq: WorkqueueStruct, work: DelayedWork, delayNs: number): boolean {
    return delayed.modDelayedWork(this.system, wq as Workqueue, work as DelayedWorkItem, delayNs);
  }

  scheduleWork(work: WorkStruct): boolean {
    return this.queueWork(this.systemWq, work);
  }

  flushWork(work: WorkStruct): Promise<boolean> {
    return flush.flushWork(this.system, work as Work);
  }

  flushDelayedWork(work: DelayedWork): Promise<boolean> {
    return flush.flushDelayedWork(this.system, work as DelayedWorkItem);
  }

  flushWorkqueue(wq: WorkqueueStruct): Promise<void> {
    return flush.flushWorkqueue(this.system, wq as Workqueue);
  }

  cancelWorkSync(work: WorkStruct): Promise<boolean> {
    return flush.cancelWorkSync(this.system, work as Work);
  }

  cancelDelayedWorkSync(work: DelayedWork): Promise<boolean> {
    return flush.cancelDelayedWorkSync(this.system, work as DelayedWorkItem);
  }

  cancelDelayedWork(work: DelayedWork): boolean {
    this.kernel.ex.assertAwake('cancel_delayed_work');
    return grabPending((work as DelayedWorkItem).work);
  }

  workOnCpu<T>(cpu: number, fn: () => Promise<T>): Promise<T> {
    return workOnCpu(this.system, this.systemWq, cpu, fn);
  }

  asyncDomain(): AsyncDomain {
    return new calls.AsyncDomainList();
  }

  asyncScheduleDomain<T>(fn: (arg: T) => Promise<void>, arg: T, domain: AsyncDomain): void {
    const call = { fn: fn as (arg: unknown) => Promise<void>, arg, domain: domain as calls.AsyncDomainList, node: -1 };
    calls.asyncScheduleNodeDomain(this.async, call);
  }

  asyncScheduleNode<T>(fn: (arg: T) => Promise<void>, arg: T, node: number): void {
    const call = { fn: fn as (arg: unknown) => Promise<void>, arg, domain: this.async.defaultDomain, node };
    calls.asyncScheduleNode(this.async, call);
  }

  asyncSynchronizeFull(): Promise<void> {
    return calls.asyncSynchronizeFull(this.async);
  }

  asyncSynchronizeFullDomain(domain: AsyncDomain): Promise<void> {
    return calls.asyncSynchronizeFullDomain(this.async, domain as calls.AsyncDomainList);
  }

  list(): readonly WorkqueueStruct[] {
    return this.system.queues;
  }
}

/** Makes the workqueue subsystem of one machine. @kernel kernel/workqueue.c workqueue_init_early */
export function createWorkqueues(deps: WorkqueueDeps): Workqueues {
  return new WorkqueuesImpl(deps);
}
