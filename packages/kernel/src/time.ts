/**
 * Kernel timers and the wall clock.
 * Kernel counterpart: kernel/time/timer.c, kernel/time/timekeeping.c.
 */
import type { HasKernel, Item, Kernel } from './ports.js';

/** A timer, made once and armed many times. @kernel include/linux/timer.h timer_list */
export class Timer implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  readonly item: Item;
  /** When it runs, or last ran, in virtual nanoseconds. */
  expiresNs = 0;
  /** Its function runs now. */
  running = false;
  private readonly expire: () => void;

  constructor(kernel: Kernel, name: string, cpu: number, expire: () => void) {
    this.kernel = kernel;
    this.name = name;
    this.expire = expire;
    this.item = kernel.ex.item('softirq', cpu, runTimer, this as Timer);
  }

  /** The executor's call; nobody else's. */
  run(): void {
    this.running = true;
    this.expire();
    this.running = false;
  }
}

function runTimer(timer: Timer): void {
  timer.run();
}

/**
 * Makes an idle timer; when it is due, `fn(arg)` runs in softirq context on `cpu`. Any context.
 * @kernel include/linux/timer.h timer_setup
 */
export function timerSetup<A>(kernel: Kernel, name: string, fn: (arg: A) => void, arg: A, cpu = 0): Timer {
  return new Timer(kernel, name, cpu, () => fn(arg));
}

/** Arms the timer for `expiresNs` (at once when that has passed), moving it if it was armed; returns whether it was. Any context. @kernel kernel/time/timer.c mod_timer */
export function modTimer(timer: Timer, expiresNs: number): boolean {
  const wasPending = timer.item.pending;
  timer.expiresNs = expiresNs;
  timer.kernel.ex.arm(timer.item, expiresNs);
  return wasPending;
}

/** Whether the timer is armed and has not run. Any context. @kernel include/linux/timer.h timer_pending */
export function timerPending(timer: Timer): boolean {
  return timer.item.pending;
}

/** Takes the timer back; returns whether it was armed. Any context. @kernel kernel/time/timer.c del_timer */
export function delTimer(timer: Timer): boolean {
  return timer.kernel.ex.disarm(timer.item);
}

/**
 * The same, and the timer's function is not running afterwards. Softirqs run to completion, so there is nothing to
 * wait for; from the function itself, or from an interrupt of it, Linux would wait for ever: a BUG. Any context.
 * @kernel kernel/time/timer.c del_timer_sync
 */
export function delTimerSync(timer: Timer): boolean {
  if (timer.running) timer.kernel.ex.bug(`del_timer_sync of ${timer.name} while it runs`);
  return delTimer(timer);
}

/** Virtual nanoseconds since power-on. Any context. @kernel kernel/time/timekeeping.c ktime_get */
export function ktimeGet(kernel: Kernel): number {
  return kernel.ex.now();
}

/** Wall-clock milliseconds, whole. Any context. @kernel kernel/time/timekeeping.c ktime_get_real_ts64 */
export function ktimeGetRealMs(kernel: Kernel): number {
  return kernel.bootTimeMs + Math.floor(kernel.ex.now() / 1_000_000);
}
