/**
 * What runs now and what runs next: the running item's context and time, items and timers, and the checks that code
 * runs where it may. The loop that runs the items is in executor.ts.
 */
import type { Clock, Context, ExecutorOptions, ExecutorPump, Item, Task } from '../ports.js';
import { NO_CPU } from '../ports.js';
import { Agenda } from './agenda.js';
import { BugError } from './errors.js';
import { CLASS_CONTEXT, CLASS_DEVICE, CLASS_TASK, IDLE, READY, WorkItem } from './item.js';
import type { Frames, TaskImpl } from './task.js';
import type { VirtualCpu } from './virtual-cpu.js';

export abstract class Execution {
  readonly nrCpus: number;
  items = 0;
  /** The recorded BUG. */
  halted: Error | null = null;
  pump: ExecutorPump | null = null;
  /** The open function entries of whatever runs. */
  frames: Frames;
  /** Names the open functions of what runs, for reports; set by the trace. */
  describeStack: () => string = () => '';

  protected readonly agenda: Agenda;
  /** Null: virtual time, charged by prices. With a real clock nothing is charged, since time passes by itself. */
  protected readonly clock: Clock | null;
  /** What the running item has been charged so far. */
  protected spentNs = 0;
  protected rank = CLASS_DEVICE;
  protected cpuId = NO_CPU;
  protected currentTask: TaskImpl;
  /** Some item of this machine runs. */
  protected inside = false;

  constructor(options: ExecutorOptions) {
    this.nrCpus = options.nrCpus;
    this.clock = options.clock;
    this.agenda = new Agenda(options.nrCpus, options.choose);
    this.currentTask = (this.agenda.cpus[0] as VirtualCpu).idle;
    this.frames = this.currentTask.frames;
  }

  get current(): Task {
    return this.currentTask;
  }
  get cpu(): number {
    return this.cpuId;
  }
  get context(): Context {
    return CLASS_CONTEXT[this.rank] as Context;
  }

  now(): number {
    return this.clock === null ? this.agenda.timeNs + this.spentNs : this.clock.now();
  }

  charge(ns: number): void {
    if (this.cpuId !== NO_CPU && this.clock === null) this.spentNs += ns;
  }

  // ------------------------------------------------------------------------------------------ items

  item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item {
    const at = context === 'device' ? NO_CPU : cpu;
    return new WorkItem(CLASS_CONTEXT.indexOf(context), at, fn as (arg: unknown) => void, arg, null);
  }

  post(item: Item): boolean {
    const work = item as WorkItem;
    const { agenda } = this;
    const atNs = agenda.timeNs + this.spentNs;
    let fresh = true;
    if (work.state !== IDLE) {
      fresh = !work.posted;
      // On its way from a CPU that is ahead in time: this post is the earlier one.
      if (!fresh && (work.state === READY || agenda.timeOf(work) <= atNs)) return false;
      agenda.unlink(work);
    }
    work.posted = true;
    if (this.spentNs === 0 || work.cpu === this.cpuId) agenda.makeReady(work);
    else agenda.makeTimed(work, atNs);
    return fresh;
  }

  arm(item: Item, timeNs: number): void {
    const work = item as WorkItem;
    if (work.state !== IDLE) this.agenda.unlink(work);
    work.posted = false;
    const nowNs = this.agenda.timeNs + this.spentNs;
    this.agenda.makeTimed(work, Math.max(timeNs, nowNs));
  }

  disarm(item: Item): boolean {
    const work = item as WorkItem;
    if (work.state === IDLE) return false;
    this.agenda.unlink(work);
    return true;
  }

  /** Time of the next timed event, for a host that waits. */
  nextTimeNs(): number {
    return this.agenda.nextTimeNs();
  }

  // ------------------------------------------------------------------------------------------ checks

  assertAwake(what: string): void {
    if (!this.inside)
      this.bug(`${what} called while nothing of this machine runs: a forgotten await, or a call from outside`);
  }

  mightSleep(what: string): void {
    this.assertAwake(what);
    if (this.rank !== CLASS_TASK) this.bug(`sleeping function (${what}) called in ${this.context} context`);
    if (this.currentTask.atomic > 0) this.bug(`sleeping function (${what}) called in atomic context`);
  }

  bug(message: string): never {
    throw this.recordBug(message);
  }

  /** A BUG found where nobody could catch it. */
  quietBug(message: string): void {
    this.recordBug(message);
  }

  private recordBug(message: string): Error {
    if (this.halted !== null) return this.halted;
    const where = `CPU ${this.cpuId} ${this.currentTask.name}-${this.currentTask.pid} (${this.context})`;
    this.halted = new BugError(`BUG: ${message}; ${where}${this.describeStack()}`);
    // From now on every kernel entry of this machine throws the BUG again, whoever swallowed it.
    this.inside = false;
    this.pump?.onHalt(this.halted);
    return this.halted;
  }
}
