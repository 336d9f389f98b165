/**
 * The executor: runs interrupts, softirqs, timers, device events and tasks on virtual CPUs, in virtual time.
 * Order comes from its queues alone. A task is a native async function; each primitive says that its task has
 * parked, and one microtask later, when the task's stack has unwound, the executor goes on.
 *
 * An item runs at the agenda's time; what it is charged makes its CPU busy for so long, while other CPUs go on.
 */
import type { ExecutorOptions, ExecutorPump, KernelExecutor, Task, WaitList } from '../ports.js';
import { NO_CPU, PARK_TIMEOUT } from '../ports.js';
import { checkPosts } from './checked-posts.js';
import { describeError } from './errors.js';
import { Execution } from './execution.js';
import { HostHolds } from './host-holds.js';
import { CLASS_DEVICE, CLASS_HARDIRQ, CLASS_SOFTIRQ, CLASS_TASK, IDLE, WorkItem } from './item.js';
import { Frames, TaskImpl, WaitListImpl } from './task.js';
import type { VirtualCpu } from './virtual-cpu.js';

export class ExecutorImpl extends Execution implements KernelExecutor {
  hostSettled: () => void = () => {};

  private readonly wakeNs: number;
  /** To be done when the first CPU goes off. */
  private checksPosts: boolean;
  private readonly holds: HostHolds;
  /** Tasks that have not ended. */
  private readonly tasks = new Set<TaskImpl>();
  /** The task the executor has resumed and that has neither parked nor ended. */
  private resumedTask: TaskImpl | null = null;
  /** Function entries of nested interrupts, by level. */
  private readonly syncFrames: Frames[] = [];
  private nesting = 0;
  private nextPid = 1;
  private parking: TaskImpl | null = null;
  /** Made once: a park then costs no closure. */
  private readonly keepResume = (resume: (value: number) => void): void => {
    (this.parking as TaskImpl).resume = resume;
  };
  private readonly timeOut = (task: unknown): void => {
    this.wake(task as TaskImpl, PARK_TIMEOUT);
  };

  constructor(options: ExecutorOptions) {
    super(options);
    this.wakeNs = options.wakeNs;
    this.checksPosts = options.checkPosts;
    this.holds = new HostHolds(this);
  }

  // ------------------------------------------------------------------------------------------ the loop

  /** Runs items until a task has been resumed or the slice is over. Called with nothing of this machine on the stack. */
  run(): void {
    const pump = this.pump as ExecutorPump;
    const { agenda, clock } = this;
    for (;;) {
      if (this.halted !== null || pump.mustStop()) {
        pump.sliceEnded(false);
        return;
      }
      if (clock !== null) agenda.advanceTo(clock.now());
      const item = agenda.takeReady();
      if (item === null) {
        if (this.advance()) continue;
        pump.sliceEnded(true);
        return;
      }
      const { task } = item;
      if (task === null) {
        this.items++;
        this.runSync(item);
      } else if (task.cpu !== item.cpu) {
        // It was moved to another CPU while it waited for this one, which goes on with what waits behind it.
        agenda.finish(agenda.cpus[item.cpu] as VirtualCpu, 0);
        item.cpu = task.cpu;
        this.post(item);
      } else {
        this.items++;
        this.resumeTask(task);
        return;
      }
    }
  }

  /** Lets time go on to the next event; false when there is none the front door allows. */
  private advance(): boolean {
    if (this.holds.outstanding) return this.holds.release();
    const next = this.agenda.nextTimeNs();
    const allowed = next !== Number.POSITIVE_INFINITY && (this.pump as ExecutorPump).mayAdvance(next);
    const { agenda, clock } = this;
    const due = allowed && (clock === null || clock.reach(next));
    if (due) agenda.advanceTo(next);
    else if (clock !== null) agenda.advanceTo(clock.now());
    // A real clock may have looked at devices meanwhile, which posted what goes on at once.
    return due || agenda.hasReady();
  }

  /** The host is still to answer: nothing makes virtual time go on meanwhile; real time does so by itself. */
  holdsOutstanding(): boolean {
    return this.holds.outstanding;
  }

  get realTime(): boolean {
    return this.clock !== null;
  }

  private runSync(item: WorkItem): void {
    const cpu = item.rank === CLASS_DEVICE ? null : (this.agenda.cpus[item.cpu] as VirtualCpu);
    this.rank = item.rank;
    if (cpu !== null) {
      this.cpuId = cpu.id;
      this.currentTask = cpu.idle;
      cpu.running = true;
    }
    this.nesting = 0;
    this.callHandler(item);
    this.inside = false;
    if (cpu !== null) this.leaveCpu(cpu);
  }

  private callHandler(item: WorkItem): void {
    const { atomic } = this.currentTask;
    this.frames = this.framesAt(this.nesting++);
    this.inside = true;
    try {
      item.fn(item.arg);
    } catch (error) {
      this.quietBug(`${this.context} handler threw ${describeError(error)}`);
    }
    this.nesting--;
    if (this.currentTask.atomic !== atomic)
      this.quietBug(`${this.context} handler ended in atomic context (a forgotten unlock)`);
  }

  private framesAt(level: number): Frames {
    let frames = this.syncFrames[level];
    if (frames === undefined) {
      frames = new Frames();
      this.syncFrames.push(frames);
    }
    frames.clear();
    return frames;
  }

  /** What ran on the CPU is over. */
  private leaveCpu(cpu: VirtualCpu): void {
    this.agenda.finish(cpu, this.spentNs);
    this.spentNs = 0;
    this.cpuId = NO_CPU;
    this.rank = CLASS_DEVICE;
  }

  // ------------------------------------------------------------------------------------------ busy time

  udelay(ns: number): void {
    this.assertAwake('udelay');
    if (this.cpuId === NO_CPU) this.bug('udelay in device context');
    const { agenda, rank, currentTask, frames, nesting } = this;
    const cpu = agenda.cpus[this.cpuId] as VirtualCpu;
    // Whoever takes a lock that is held here would spin; so other CPUs' interrupts wait.
    const others = currentTask.atomic === 0;
    const lastRank = this.lastNestedRank();
    const untilNs = this.now() + ns;
    // Other CPUs and devices have yet to catch up with what this CPU has spent.
    let freeNs = agenda.timeNs + this.spentNs;
    this.spentNs = 0;
    while (this.halted === null) {
      const item = agenda.takeNested(cpu, agenda.timeNs < freeNs ? CLASS_DEVICE : lastRank, others);
      if (item !== null) {
        this.items++;
        freeNs = Math.max(freeNs, agenda.timeNs + this.runNested(item, cpu, currentTask));
      } else if (!this.advanceNested(freeNs, Math.max(freeNs, untilNs))) break;
    }
    this.cpuId = cpu.id;
    this.rank = rank;
    this.currentTask = currentTask;
    this.frames = frames;
    this.nesting = nesting;
    if (this.halted !== null) throw this.halted;
    this.inside = true;
  }

  /** The last class that may interrupt what runs, on its own CPU. */
  private lastNestedRank(): number {
    if (this.rank === CLASS_HARDIRQ || this.currentTask.irqsOff > 0) return CLASS_DEVICE;
    return this.rank === CLASS_SOFTIRQ ? CLASS_HARDIRQ : CLASS_SOFTIRQ;
  }

  /** Lets time go on while a CPU is busy; false when its busy time is over. */
  private advanceNested(freeNs: number, endNs: number): boolean {
    const { agenda, clock } = this;
    if (clock !== null) {
      if (clock.reach(endNs)) return false;
      agenda.advanceTo(clock.now());
      return true;
    }
    const next = agenda.nextTimeNs();
    if (agenda.timeNs < freeNs && freeNs < next) {
      agenda.advanceTo(freeNs);
      return true;
    }
    agenda.advanceTo(Math.min(next, endNs));
    return next <= endNs;
  }

  /** Runs an item inside a busy CPU's time; returns what it took of that CPU. */
  private runNested(item: WorkItem, busy: VirtualCpu, interrupted: TaskImpl): number {
    const cpu = item.rank === CLASS_DEVICE ? null : (this.agenda.cpus[item.cpu] as VirtualCpu);
    this.rank = item.rank;
    this.cpuId = cpu === null ? NO_CPU : cpu.id;
    if (cpu !== null) {
      this.currentTask = cpu === busy ? interrupted : cpu.idle;
      cpu.running = true;
    }
    this.callHandler(item);
    const spentNs = cpu === busy ? this.spentNs : 0;
    if (cpu !== null && cpu !== busy) this.leaveCpu(cpu);
    this.spentNs = 0;
    return spentNs;
  }

  // ------------------------------------------------------------------------------------------ tasks

  spawn(name: string, main: () => Promise<void>, cpu: number = this.cpuId === NO_CPU ? 0 : this.cpuId): TaskImpl {
    const at = this.agenda.cpus[cpu];
    if (at === undefined) this.bug(`task ${name} cannot run on CPU ${cpu} of ${this.nrCpus}`);
    if (at.id !== cpu) this.bug(`task ${name} cannot run on CPU ${cpu}, which is off`);
    const task = new TaskImpl(this.nextPid++, name, cpu);
    task.main = main;
    task.item = new WorkItem(CLASS_TASK, cpu, () => {}, null, task);
    this.tasks.add(task);
    this.post(task.item);
    return task;
  }

  private resumeTask(task: TaskImpl): void {
    const cpu = this.agenda.cpus[task.cpu] as VirtualCpu;
    cpu.running = true;
    this.cpuId = cpu.id;
    this.rank = CLASS_TASK;
    this.currentTask = task;
    this.resumedTask = task;
    this.frames = task.frames;
    this.nesting = 0;
    this.inside = true;
    task.state = 'running';
    task.waitsFor = '';
    const { resume } = task;
    if (resume !== null) {
      task.resume = null;
      resume(task.wakeValue);
      return;
    }
    this.startTask(task);
  }

  private startTask(task: TaskImpl): void {
    const main = task.main as () => Promise<void>;
    task.main = null;
    try {
      main().then(
        () => this.taskEnded(task, null),
        (error: unknown) => this.taskEnded(task, { error }),
      );
    } catch (error) {
      this.taskEnded(task, { error });
    }
  }

  private taskEnded(task: TaskImpl, failure: { error: unknown } | null): void {
    if (this.halted !== null) return;
    const defect = this.defectAtEnd(task, failure);
    if (defect !== null) {
      this.quietBug(defect);
      return;
    }
    task.state = 'dead';
    this.tasks.delete(task);
    this.leaveTask();
    (this.pump as ExecutorPump).continueAfterTask();
  }

  private defectAtEnd(task: TaskImpl, failure: { error: unknown } | null): string | null {
    const { name } = task;
    if (failure !== null) return `task ${name} ended with ${describeError(failure.error)}`;
    if (this.resumedTask !== task)
      return `task ${name} ended while it was ${task.state} (${task.waitsFor}): a forgotten await`;
    if (task.heldLocks.length > 0)
      return `task ${name} ended holding ${task.heldLocks.join(', ')} (a forgotten unlock)`;
    return task.atomic > 0 ? `task ${name} ended in atomic context (a forgotten unlock)` : null;
  }

  /** The running task gives its CPU away. */
  private leaveTask(): void {
    const cpu = this.agenda.cpus[this.cpuId] as VirtualCpu;
    this.resumedTask = null;
    this.inside = false;
    this.currentTask = cpu.idle;
    this.leaveCpu(cpu);
  }

  park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number> {
    this.mightSleep(what);
    const task = this.currentTask;
    task.state = 'parked';
    task.waitsFor = what;
    if (list !== null) (list as WaitListImpl).push(task);
    if (timeoutNs !== undefined) this.armTimeout(task, timeoutNs);
    this.parking = task;
    const resumed = new Promise<number>(this.keepResume);
    this.leaveTask();
    (this.pump as ExecutorPump).continueAfterTask();
    return resumed;
  }

  private armTimeout(task: TaskImpl, timeoutNs: number): void {
    task.timeout ??= new WorkItem(CLASS_SOFTIRQ, task.cpu, this.timeOut, task, null);
    task.timeout.cpu = task.cpu;
    this.arm(task.timeout, this.agenda.timeNs + this.spentNs + timeoutNs);
  }

  awake(): void {
    if (this.halted !== null) throw this.halted;
    if (this.resumedTask === null) this.bug('a task went on without being resumed');
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
    const { size } = list;
    for (let n = 0; n < size; n++) this.wakeFirst(list, value);
    return size;
  }

  parkedTasks(): readonly Task[] {
    return [...this.tasks].filter((task) => task.state === 'parked');
  }

  /** The task that runs although the executor is not on the stack: it awaits something foreign. */
  strayTask(): Task | null {
    return this.resumedTask;
  }

  // ------------------------------------------------------------------------------------------ CPUs

  retireCpu(cpu: number, to: number): void {
    if (cpu === this.cpuId) this.bug(`CPU ${cpu} cannot take itself off`);
    if (this.checksPosts) checkPosts(this, this.agenda.cpus);
    this.checksPosts = false;
    this.agenda.retire(cpu, to);
    for (const task of this.tasks) {
      if (task.cpu === cpu) task.cpu = to;
      if (task.item?.cpu === cpu) task.item.cpu = to;
    }
  }

  reviveCpu(cpu: number): void {
    this.agenda.revive(cpu);
  }

  // ------------------------------------------------------------------------------------------ the host

  async hostWait<T>(promise: Promise<T>): Promise<T> {
    this.mightSleep('hostWait');
    const list = new WaitListImpl();
    const outcome = this.holds.wait(promise, () => this.wakeFirst(list, 0));
    await this.park('a promise of the host', list);
    this.awake();
    return outcome();
  }

  hostHold<A>(fn: (arg: A) => void, arg: A): () => void {
    return this.holds.hold(this.item('device', NO_CPU, fn, arg));
  }
}
