/**
 * What the workqueue package offers: deferred work in task context, asynchronous function calls, work on a CPU.
 * Types and constants only. Counterparts: include/linux/workqueue.h, kernel/async.c.
 */
import type { Kernel } from '@nvme-stack/kernel';

/** Not bound to the queueing CPU. @kernel include/linux/workqueue.h wq_flags */
export const WQ_UNBOUND = 1 << 1;
export const WQ_FREEZABLE = 1 << 2;
/** Has a rescuer thread. */
export const WQ_MEM_RECLAIM = 1 << 3;
export const WQ_HIGHPRI = 1 << 4;
export const WQ_CPU_INTENSIVE = 1 << 5;
/** Visible below /sys/devices/virtual/workqueue. */
export const WQ_SYSFS = 1 << 6;
export const WQ_POWER_EFFICIENT = 1 << 7;
/** One work at a time, in order of queueing. */
export const WQ_ORDERED = 1 << 17;

/** Queue on any CPU. */
export const WORK_CPU_UNBOUND = -1;

/** A work item; made once, queued many times. @kernel include/linux/workqueue_types.h work_struct */
export interface WorkStruct {
  /** The handler's kernel symbol, as trace events name it. */
  readonly name: string;
  /** Queued and not yet started. */
  readonly pending: boolean;
  readonly running: boolean;
}

/** Work that a timer queues. @kernel include/linux/workqueue.h delayed_work */
export interface DelayedWork {
  readonly work: WorkStruct;
  /** The timer is armed or the work is pending. */
  readonly pending: boolean;
}

/** @kernel kernel/workqueue.c workqueue_struct */
export interface WorkqueueStruct {
  readonly name: string;
  readonly flags: number;
  readonly maxActive: number;
  /** A rescuer thread stands by. */
  readonly hasRescuer: boolean;
}

/** Calls that `asyncSynchronizeFullDomain` waits for. @kernel include/linux/async.h async_domain */
export interface AsyncDomain {
  readonly pending: number;
}

/** The workqueue subsystem of one machine. */
export interface Workqueues {
  readonly kernel: Kernel;
  readonly systemWq: WorkqueueStruct;
  readonly systemHighpriWq: WorkqueueStruct;
  readonly systemUnboundWq: WorkqueueStruct;

  /** maxActive 0 means the default. Throws ENOMEM when an allocation fails. Task context. @kernel kernel/workqueue.c alloc_workqueue */
  allocWorkqueue(name: string, flags: number, maxActive: number): WorkqueueStruct;
  /** Drains it first. Task context. @kernel kernel/workqueue.c destroy_workqueue */
  destroyWorkqueue(wq: WorkqueueStruct): Promise<void>;

  /** `symbol` is the handler's kernel name; `owner` is what container_of gives in Linux. @kernel include/linux/workqueue.h INIT_WORK */
  initWork<T>(symbol: string, owner: T, fn: (owner: T) => Promise<void> | void): WorkStruct;
  initDelayedWork<T>(symbol: string, owner: T, fn: (owner: T) => Promise<void> | void): DelayedWork;

  /** False when it was pending already. Any context. @kernel include/linux/workqueue.h queue_work */
  queueWork(wq: WorkqueueStruct, work: WorkStruct): boolean;
  /** @kernel kernel/workqueue.c queue_work_on */
  queueWorkOn(cpu: number, wq: WorkqueueStruct, work: WorkStruct): boolean;
  /** @kernel include/linux/workqueue.h queue_delayed_work */
  queueDelayedWork(wq: WorkqueueStruct, work: DelayedWork, delayNs: number): boolean;
  /** @kernel kernel/workqueue.c mod_delayed_work_on */
  modDelayedWork(wq: WorkqueueStruct, work: DelayedWork, delayNs: number): boolean;
  /** On the system queue. @kernel include/linux/workqueue.h schedule_work */
  scheduleWork(work: WorkStruct): boolean;

  /** Waits until the work is neither pending nor running; false when it was idle. Task context. @kernel kernel/workqueue.c flush_work */
  flushWork(work: WorkStruct): Promise<boolean>;
  flushDelayedWork(work: DelayedWork): Promise<boolean>;
  flushWorkqueue(wq: WorkqueueStruct): Promise<void>;
  /** Takes it back or waits for it; returns whether it was pending. Task context. @kernel kernel/workqueue.c cancel_work_sync */
  cancelWorkSync(work: WorkStruct): Promise<boolean>;
  cancelDelayedWorkSync(work: DelayedWork): Promise<boolean>;
  /** Takes it back without waiting. Any context. @kernel kernel/workqueue.c cancel_delayed_work */
  cancelDelayedWork(work: DelayedWork): boolean;

  /** Runs `fn` on that CPU and waits. Task context. @kernel kernel/workqueue.c work_on_cpu */
  workOnCpu<T>(cpu: number, fn: () => Promise<T>): Promise<T>;

  /** @kernel include/linux/async.h ASYNC_DOMAIN */
  asyncDomain(): AsyncDomain;
  /** Runs `fn(arg)` later in a worker; trace: async_schedule_node_domain → __async_schedule_node_domain. @kernel kernel/async.c async_schedule_node_domain */
  asyncScheduleDomain<T>(fn: (arg: T) => Promise<void>, arg: T, domain: AsyncDomain): void;
  /** On the default domain, near a node; trace: async_schedule_node → … . @kernel kernel/async.c async_schedule_node */
  asyncScheduleNode<T>(fn: (arg: T) => Promise<void>, arg: T, node: number): void;
  /** Waits for every asynchronous call. Task context. @kernel kernel/async.c async_synchronize_full */
  asyncSynchronizeFull(): Promise<void>;
  /** @kernel kernel/async.c async_synchronize_full_domain */
  asyncSynchronizeFullDomain(domain: AsyncDomain): Promise<void>;

  /** All workqueues, for /sys and reports. */
  list(): readonly WorkqueueStruct[];
}
