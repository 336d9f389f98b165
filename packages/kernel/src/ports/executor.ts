/** Tasks, items, waiting, and the way in of the host. Counterpart: kernel/sched, kernel/time. Types and constants only. */
import type { Context } from './contexts.js';

/** A unit of work the executor can run; made once, posted many times. Its fields are the executor's. */
export interface Item {
  readonly context: Context;
  /** The CPU it runs on; may be changed while the item is idle. */
  cpu: number;
  /** True from `post` or `arm` until it runs or is disarmed. */
  readonly pending: boolean;
}

/** A thread of execution: a kernel thread or a system call. @kernel include/linux/sched.h task_struct */
export interface Task {
  readonly pid: number;
  readonly name: string;
  /** The CPU it runs on from its next resumption. */
  cpu: number;
  readonly state: 'ready' | 'running' | 'parked' | 'dead';
  /** preempt_count: above zero the task may not sleep. */
  atomic: number;
  /** Above zero: interrupts of its CPU wait, also inside `udelay`. @kernel include/linux/irqflags.h local_irq_disable */
  irqsOff: number;
  /** Names of the locks it holds, outermost first; kept by the lock checker, else empty. @kernel include/linux/sched.h task_struct.held_locks */
  readonly heldLocks: string[];
  /** What a parked task waits for, in words. */
  readonly waitsFor: string;
  /** Per-task pointer of the block layer. @kernel include/linux/sched.h task_struct.plug */
  plug: unknown;
}

/** Tasks parked on one event, first in, first out. Opaque to all but the executor. */
export interface WaitList {
  readonly size: number;
}

/** Value with which `park` returns when its time-out passed first. */
export const PARK_TIMEOUT = -1;

/** Virtual or real time. */
export interface Clock {
  /** Nanoseconds since the machine was powered on; never goes back. */
  now(): number;
  /**
   * Virtual clocks jump to the deadline and say true; a real clock says whether it has come. In both calls a real clock may
   * look at devices outside this process and post their interrupts; here it may wait a moment for the first of them.
   */
  reach(deadlineNs: number): boolean;
}

/** The host's two calls; made by the composition root. */
export interface HostLoop {
  /** Runs `fn` as a macrotask of the host, never inside this call. */
  macrotask(fn: () => void): void;
  /** Runs `fn` once after that much real time; returns what cancels it. */
  after(delayNs: number, fn: () => void): () => void;
}

/** Runs everything: interrupts, softirqs, timers and tasks, each on a virtual CPU. */
export interface Executor {
  readonly nrCpus: number;
  /** The running task; in interrupt and device context the one that was interrupted, or the idle task. */
  readonly current: Task;
  /** The CPU that runs now; NO_CPU in device context. */
  readonly cpu: number;
  readonly context: Context;
  /** Items run so far: the address of a moment. */
  readonly items: number;

  /** Virtual nanoseconds since power-on, including what the running item has been charged. */
  now(): number;
  /** Charges CPU time to the running item. */
  charge(ns: number): void;

  /** Makes an item; `fn` runs to completion in `context` on `cpu`. */
  item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item;
  /** Makes the item ready; never runs anything itself. Returns false when it was ready already. */
  post(item: Item): boolean;
  /** Makes the item ready at `timeNs`, moving it if it was armed or posted. @kernel kernel/time/timer.c mod_timer */
  arm(item: Item, timeNs: number): void;
  /** Takes back `post` or `arm`; returns whether it was pending. @kernel kernel/time/timer.c del_timer */
  disarm(item: Item): boolean;
  /**
   * Busy time: device events that fall due run nested, and so do interrupts, unless this CPU's wait (a hard interrupt,
   * interrupts off) or a lock is held (then other CPUs' wait too); tasks do not. Any context but device.
   */
  udelay(ns: number): void;

  /** Starts a task; its first slice comes from the ready queue. An error it ends with is a BUG. */
  spawn(name: string, main: () => Promise<void>, cpu?: number): Task;
  waitList(): WaitList;
  /** Parks the running task; only primitives call it: `const v = await ex.park(...); ex.awake()`. */
  park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number>;
  /** Checks that the task that just resumed is the one the executor resumed. */
  awake(): void;
  /** Ends a task's park with a value >= 0; false when it was not parked. Any context. */
  wake(task: Task, value: number): boolean;
  /** Wakes the first waiter; returns it, or null when the list is empty. */
  wakeFirst(list: WaitList, value: number): Task | null;
  /** Wakes every waiter; returns how many. */
  wakeAll(list: WaitList, value: number): number;

  /** One compare: a BUG when nothing of this machine runs (a forgotten `await`, or a call from outside). */
  assertAwake(what: string): void;
  /** A BUG when sleeping is not allowed here. @kernel include/linux/kernel.h might_sleep */
  mightSleep(what: string): void;
  /** Records a defect of ours, halts this machine and throws. */
  bug(message: string): never;
  /** Inside a task: waits for a host promise; virtual time stands still until it settles. */
  hostWait<T>(promise: Promise<T>): Promise<T>;
  /** From device context: virtual time stands still until `release` is called; then `fn(arg)` runs in device context. */
  hostHold<A>(fn: (arg: A) => void, arg: A): () => void;
  /** Every parked task in the order of their pids, for reports. */
  parkedTasks(): readonly Task[];

  /**
   * Takes a CPU off: its tasks go to CPU `to` for good; what else waits there, or is armed for it, runs on `to` for as
   * long. Then `spawn` refuses it, and with full checks so does `post`. Only `Kernel.cpus` calls it. Not the running CPU.
   */
  retireCpu(cpu: number, to: number): void;
  /** The CPU runs again what is posted to it or armed for it; tasks stay where they are. Only `Kernel.cpus` calls it. */
  reviveCpu(cpu: number): void;
}
