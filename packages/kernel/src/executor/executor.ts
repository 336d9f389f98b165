/**
 * The executor: runs interrupts, softirqs, timers, device events and tasks on virtual CPUs, in virtual time.
 * Order comes from its queues alone. A task is a native async function; each primitive says that its task has
 * parked, and one microtask later, when the task's stack has unwound, the executor goes on.
 *
 * An item runs at the agenda's time; what it is charged makes its CPU busy for so long, while other CPUs go on.
 */
import type { Clock, Context, Executor, Item, Task, WaitList } from '../ports.js';
import { NO_CPU, PARK_TIMEOUT } from '../ports.js';
import { Agenda } from './agenda.js';
import { BugError } from './errors.js';
import { HostHolds } from './host-holds.js';
import { CLASS_CONTEXT, CLASS_DEVICE, CLASS_SOFTIRQ, CLASS_TASK, IDLE, WorkItem } from './item.js';
import type { ExecutorOptions, Pump } from './pump.js';
import { Frames, TaskImpl, WaitListImpl } from './task.js';
import type { VirtualCpu } from './virtual-cpu.js';

export class ExecutorImpl implements Executor {
  readonly nrCpus: number;
  items = 0;
  halted: Error | null = null;
  pump: Pump | null = null;
  /** The open function entries of whatever runs. */
  frames: Frames;
  /** Names the open functions of the running task, for reports; set by the trace. */
  describeStack: () => string = () => '';

  private readonly agenda: Agenda;
  /** What the running item has been charged so far. */
  private spentNs = 0;
  private rank = CLASS_DEVICE;
  private cpuId = NO_CPU;
  private currentTask: TaskImpl;
  /** Some item of this machine runs. */
  private inside = false;
  private runningTask: TaskImpl | null = null;
  private readonly clock: Clock | null;
  private readonly wakeNs: number;
  private readonly holds: HostHolds;
  private readonly parked = new Set<TaskImpl>();
  private readonly syncFrames: Frames[] = [];
  private nesting = 0;
  private nextPid = 1;

  constructor(options: ExecutorOptions) {
    this.nrCpus = options.nrCpus;
    this.clock = options.clock;
    this.wakeNs = options.wakeNs;
    this.agenda = new Agenda(options.nrCpus, options.choose);
    this.currentTask = (this.agenda.cpus[0] as VirtualCpu).idle;
    this.frames = this.currentTask.frames;
    this.holds = new HostHolds(this);
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
    if (this.cpuId !== NO_CPU) this.spentNs += ns;
  }

  // ------------------------------------------------------------------------------------------ items

  item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item {
    return new WorkItem(CLASS_CONTEXT.indexOf(context), cpu, fn as (arg: unknown) => void, arg, null);
  }

  post(item: Item): boolean {
    const work = item as WorkItem;
    if (work.state !== IDLE) {
      if (work.posted) return false;
      this.agenda.unlink(work);
    }
    work.posted = true;
    if (this.spentNs === 0 || work.cpu === this.cpuId) this.agenda.makeReady(work);
    else this.agenda.makeTimed(work, this.agenda.timeNs + this.spentNs);
    return true;
  }

  arm(item: Item, timeNs: number): void {
    const work = item as WorkItem;
    if (work.state !== IDLE) this.agenda.unlink(work);
    work.posted = false;
    const now = this.agenda.timeNs + this.spentNs;
    this.agenda.makeTimed(work, timeNs > now ? timeNs : now);
  }

  disarm(item: Item): boolean {
    const work = item as WorkItem;
    if (work.state === IDLE) return false;
    this.agenda.unlink(work);
    return true;
  }

  // ------------------------------------------------------------------------------------------ the loop

  /** Runs items until a task has been resumed or the slice is over. Called with nothing of this machine on the stack. */
  run(): void {
    const pump = this.pump as Pump;
    for (;;) {
      if (this.halted !== null || pump.mustStop()) {
        pump.sliceEnded(false);
        return;
      }
      const item = this.agenda.takeReady();
      if (item === null) {
        if (this.advance()) continue;
        pump.sliceEnded(true);
        return;
      }
      this.items++;
      if (item.task !== null) {
        this.resumeTask(item.task);
        return;
      }
      this.runSync(item);
    }
  }

  /** Lets time go on to the next event; false when there is none the front door allows. */
  private advance(): boolean {
    if (this.holds.outstanding) return this.holds.release();
    const next = this.agenda.nextTimeNs();
    if (next === Number.POSITIVE_INFINITY) return false;
    if (!(this.pump as Pump).mayAdvance(next)) return false;
    if (this.clock !== null && !this.clock.reach(next)) return false;
    this.agenda.advanceTo(next);
    return true;
  }

  holdsOutstanding(): boolean {
    return this.holds.outstanding;
  }

  /** Time of the next timed event, for a host that waits. */
  nextTimeNs(): number {
    return this.agenda.nextTimeNs();
  }

  private runSync(item: WorkItem): void {
    const cpu = item.rank === CLASS_DEVICE ? null : (this.agenda.cpus[item.cpu] as VirtualCpu);
    this.rank = item.rank;
    if (cpu === null) {
      this.cpuId = NO_CPU;
    } else {
      this.cpuId = cpu.id;
      this.currentTask = cpu.idle;
      cpu.running = true;
    }
    this.frames = this.framesAt(0);
    this.nesting = 1;
    this.inside = true;
    try {
      item.fn(item.arg);
    } catch (error) {
      this.reportThrow(error);
    }
    this.nesting = 0;
    this.inside = false;
    if (cpu !== null) this.finish(cpu);
  }

  private reportThrow(error: unknown): void {
    if (this.halted !== null) return;
    try {
      this.bug(`${this.context} handler threw ${describe(error)}`);
    } catch {
      // bug() has recorded it and halted the machine.
    }
  }

  private framesAt(level: number): Frames {
    let frames = this.syncFrames[level];
    if (frames === undefined) {
      frames = new Frames();
      this.syncFrames.push(frames);
    }
    frames.depth = 0;
    return frames;
  }

  /** The CPU's item is over. */
  private finish(cpu: VirtualCpu): void {
    this.agenda.finish(cpu, this.spentNs);
    this.spentNs = 0;
    this.cpuId = NO_CPU;
    this.rank = CLASS_DEVICE;
  }

  udelay(ns: number): void {
    this.assertAwake('udelay');
    if (this.cpuId === NO_CPU) this.bug('udelay in device context');
    const outerCpu = this.agenda.cpus[this.cpuId] as VirtualCpu;
    const outerRank = this.rank;
    const outerTask = this.currentTask;
    const outerFrames = this.frames;
    const outerRunning = this.runningTask;
    const { agenda } = this;
    const until = agenda.timeNs + this.spentNs + ns;
    agenda.advanceTo(agenda.timeNs + this.spentNs);
    this.spentNs = 0;
    while (this.halted === null) {
      const item = agenda.takeNested(outerCpu);
      if (item !== null) {
        this.items++;
        this.runNested(item, outerCpu);
        continue;
      }
      const next = agenda.nextTimeNs();
      if (next > until) break;
      agenda.advanceTo(next);
    }
    agenda.advanceTo(until);
    this.cpuId = outerCpu.id;
    this.rank = outerRank;
    this.currentTask = outerTask;
    this.frames = outerFrames;
    this.runningTask = outerRunning;
    outerCpu.running = true;
    this.inside = true;
  }

  private runNested(item: WorkItem, outerCpu: VirtualCpu): void {
    const cpu = item.rank === CLASS_DEVICE ? null : (this.agenda.cpus[item.cpu] as VirtualCpu);
    this.rank = item.rank;
    this.cpuId = cpu === null ? NO_CPU : cpu.id;
    if (cpu !== null) {
      this.currentTask = cpu.idle;
      cpu.running = true;
    }
    this.frames = this.framesAt(this.nesting++);
    item.fn(item.arg);
    this.nesting--;
    if (cpu === outerCpu) {
      this.agenda.advanceTo(this.agenda.timeNs + this.spentNs);
      this.spentNs = 0;
    } else if (cpu !== null) {
      this.finish(cpu);
    }
  }

  // ------------------------------------------------------------------------------------------ tasks

  spawn(name: string, main: () => Promise<void>, cpu: number = this.cpuId === NO_CPU ? 0 : this.cpuId): TaskImpl {
    const task = new TaskImpl(this.nextPid++, name, cpu);
    task.main = main;
    task.item = new WorkItem(CLASS_TASK, cpu, () => {}, null, task);
    this.parked.add(task);
    this.post(task.item);
    return task;
  }

  private resumeTask(task: TaskImpl): void {
    const cpu = this.agenda.cpus[(task.item as WorkItem).cpu] as VirtualCpu;
    task.cpu = cpu.id;
    cpu.running = true;
    this.cpuId = cpu.id;
    this.rank = CLASS_TASK;
    this.currentTask = task;
    this.runningTask = task;
    this.frames = task.frames;
    this.nesting = 0;
    this.inside = true;
    task.state = 'running';
    task.waitsFor = '';
    this.parked.delete(task);
    const resume = task.resume;
    if (resume !== null) {
      task.resume = null;
      resume(task.wakeValue);
      return;
    }
    const main = task.main as () => Promise<void>;
    task.main = null;
    main().then(
      () => this.taskEnded(task, null),
      (error: unknown) => this.taskEnded(task, { error }),
    );
  }

  private taskEnded(task: TaskImpl, failure: { error: unknown } | null): void {
    if (this.halted !== null) return;
    if (this.runningTask !== task) {
      this.quietBug(`task ${task.name} ended while it was ${task.state} (${task.waitsFor}): a forgotten await`);
      return;
    }
    if (failure === null && task.atomic > 0) {
      this.quietBug(`task ${task.name} ended in atomic context (a forgotten unlock)`);
      return;
    }
    task.state = 'dead';
    if (failure !== null) (this.pump as Pump).taskFailed(task, failure.error);
    if (this.halted !== null) return;
    this.leaveTask(task);
    (this.pump as Pump).continueAfterTask();
  }

  private leaveTask(task: TaskImpl): void {
    this.runningTask = null;
    this.inside = false;
    this.currentTask = (this.agenda.cpus[task.cpu] as VirtualCpu).idle;
    this.finish(this.agenda.cpus[this.cpuId] as VirtualCpu);
  }

  park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number> {
    this.mightSleep(what);
    const task = this.currentTask;
    task.state = 'parked';
    task.waitsFor = what;
    this.parked.add(task);
    if (list !== null) (list as WaitListImpl).push(task);
    if (timeoutNs !== undefined) {
      task.timeout ??= new WorkItem(
        CLASS_SOFTIRQ,
        task.cpu,
        (arg) => this.wake(arg as TaskImpl, PARK_TIMEOUT),
        task,
        null,
      );
      task.timeout.cpu = task.cpu;
      this.arm(task.timeout, this.agenda.timeNs + this.spentNs + timeoutNs);
    }
    const resumed = new Promise<number>((resolve) => {
      task.resume = resolve;
    });
    this.leaveTask(task);
    (this.pump as Pump).continueAfterTask();
    return resumed;
  }

  awake(): void {
    if (this.halted !== null) throw this.halted;
    if (this.runningTask === null) this.bug('a task went on without being resumed');
  }

  wake(task: Task, value: number): boolean {
    const impl = task as TaskImpl;
    if (impl.state !== 'parked') return false;
    if (impl.list !== null) impl.list.remove(impl);
    if (impl.timeout !== null && impl.timeout.state !== IDLE) this.agenda.unlink(impl.timeout);
    impl.state = 'ready';
    impl.wakeValue = value;
    this.charge(this.wakeNs);
    const item = impl.item as WorkItem;
    item.cpu = impl.cpu;
    this.post(item);
    return true;
  }

  waitList(): WaitList {
    return new WaitListImpl();
  }

  wakeFirst(list: WaitList, value: number): Task | null {
    const task = (list as WaitListImpl).head;
    if (task !== null) this.wake(task, value);
    return task;
  }

  wakeAll(list: WaitList, value: number): number {
    let woken = 0;
    while ((list as WaitListImpl).head !== null) {
      this.wake((list as WaitListImpl).head as TaskImpl, value);
      woken++;
    }
    return woken;
  }

  parkedTasks(): readonly Task[] {
    return [...this.parked];
  }

  /** The task that runs although the executor is not on the stack: it awaits something foreign. */
  strayTask(): Task | null {
    return this.runningTask;
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
    this.pump?.onHalt(this.halted);
    return this.halted;
  }

  // ------------------------------------------------------------------------------------------ the host

  async hostWait<T>(promise: Promise<T>): Promise<T> {
    const list = new WaitListImpl();
    const outcome = this.holds.wait(promise, () => this.wakeFirst(list, 0));
    await this.park('a promise of the host', list);
    this.awake();
    return outcome();
  }

  hostHold<A>(fn: (arg: A) => void, arg: A): () => void {
    return this.holds.hold(this.item('device', NO_CPU, fn, arg));
  }

  /** Lets the front door go on when the host has settled something. */
  hostSettled: () => void = () => {};
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack ?? ''}` : String(error);
}
