/**
 * The executor in the plainest way: one list of everything that is to run (plain-plan.ts), one rule for what is next.
 * A second implementation of `KernelExecutor`, so that nothing comes to depend on how the first one works.
 */
import { BugError, describeError } from '../executor/errors.js';
import { HostHolds } from '../executor/host-holds.js';
import type {
  Clock,
  Context,
  ExecutorOptions,
  ExecutorPump,
  FunctionFrames,
  Item,
  KernelExecutor,
  Task,
  WaitList,
} from '../ports.js';
import { NO_CPU, PARK_TIMEOUT } from '../ports.js';
import { PlainPlan } from './plain-plan.js';
import { noFrames, PlainItem, PlainTask, PlainWaitList, type Running } from './plain-task.js';

const NEVER = Number.POSITIVE_INFINITY;

class PlainExecutor implements KernelExecutor {
  pump: ExecutorPump | null = null;
  hostSettled: () => void = () => {};
  describeStack: () => string = () => '';
  halted: Error | null = null;
  items = 0;
  readonly nrCpus: number;
  private readonly options: ExecutorOptions;
  private readonly clock: Clock | null;
  private readonly plan: PlainPlan;
  private tasks: PlainTask[] = [];
  private readonly idle: PlainTask[] = [];
  private readonly holds = new HostHolds(this);
  private spentNs = 0;
  private running: Running;
  private inside = false;
  private resumed: PlainTask | null = null;
  private nextPid = 1;

  constructor(options: ExecutorOptions) {
    this.options = options;
    this.nrCpus = options.nrCpus;
    this.clock = options.clock;
    this.plan = new PlainPlan(options.nrCpus, options.choose);
    for (let cpu = 0; cpu < options.nrCpus; cpu++) this.idle.push(new PlainTask(0, '<idle>', cpu));
    this.running = this.deviceTurn();
  }

  get current(): Task {
    return this.running.task;
  }
  get cpu(): number {
    return this.running.cpu;
  }
  get context(): Context {
    return this.running.context;
  }
  get frames(): FunctionFrames {
    return this.running.frames;
  }
  get realTime(): boolean {
    return this.clock !== null;
  }

  now(): number {
    return this.clock === null ? this.plan.timeNs + this.spentNs : this.clock.now();
  }

  charge(ns: number): void {
    if (this.clock === null && this.cpu !== NO_CPU) this.spentNs += ns;
  }

  // ------------------------------------------------------------------------------------------ what is to run

  item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item {
    return new PlainItem(context, context === 'device' ? NO_CPU : cpu, () => fn(arg), null);
  }

  post(item: Item): boolean {
    const { cpu, context } = item;
    if (this.options.checkPosts && this.plan.isOff(cpu)) this.bug(`${context} item posted to CPU ${cpu}, which is off`);
    return this.plan.post(item as PlainItem, this.spentNs);
  }

  arm(item: Item, timeNs: number): void {
    this.plan.arm(item as PlainItem, timeNs, this.spentNs);
  }

  disarm(item: Item): boolean {
    return this.plan.strike(item as PlainItem);
  }

  nextTimeNs(): number {
    return this.plan.nextStartNs();
  }

  // ------------------------------------------------------------------------------------------ the loop

  run(): void {
    const pump = this.pump as ExecutorPump;
    for (;;) {
      if (this.halted !== null || pump.mustStop()) {
        pump.sliceEnded(false);
        return;
      }
      if (this.clock !== null) this.plan.timeNs = this.clock.now();
      const work = this.plan.takeReady();
      if (work === null) {
        if (this.advance(pump)) continue;
        pump.sliceEnded(true);
        return;
      }
      this.items++;
      if (work.task !== null) {
        this.resume(work.task);
        return;
      }
      this.handle(work, this.turnOf(work));
      this.leave();
    }
  }

  private advance(pump: ExecutorPump): boolean {
    if (this.holds.outstanding) return this.holds.release();
    const { plan, clock } = this;
    const next = plan.nextStartNs();
    const allowed = next !== NEVER && pump.mayAdvance(next);
    if (clock === null) {
      if (allowed) plan.timeNs = next;
      return allowed;
    }
    // A real clock may have looked at devices meanwhile, which posted what goes on at once.
    const due = clock.reach(allowed ? next : NEVER);
    plan.timeNs = clock.now();
    return due || plan.nextStartNs() <= plan.timeNs;
  }

  private deviceTurn(): Running {
    return { context: 'device', cpu: NO_CPU, task: this.idle[0] as PlainTask, frames: noFrames() };
  }

  private turnOf(work: PlainItem): Running {
    const cpu = this.plan.cpuOf(work);
    if (cpu === NO_CPU) return this.deviceTurn();
    return { context: work.context, cpu, task: this.idle[cpu] as PlainTask, frames: noFrames() };
  }

  private handle(work: PlainItem, turn: Running): void {
    const { atomic } = turn.task;
    this.running = turn;
    this.inside = true;
    try {
      work.run();
    } catch (error) {
      this.quietBug(`${work.context} handler threw ${describeError(error)}`);
    }
    if (turn.task.atomic !== atomic) this.quietBug(`${work.context} handler ended in atomic context`);
  }

  /** What the running item was charged keeps its CPU busy. */
  private settleCharge(): void {
    if (this.cpu !== NO_CPU) this.plan.busyUntilNs[this.cpu] = this.plan.timeNs + this.spentNs;
    this.spentNs = 0;
  }

  private leave(): void {
    this.settleCharge();
    this.inside = false;
    this.running = this.deviceTurn();
  }

  // ------------------------------------------------------------------------------------------ busy time

  udelay(ns: number): void {
    this.assertAwake('udelay');
    const self = this.running;
    if (self.cpu === NO_CPU) this.bug('udelay in device context');
    const endNs = this.now() + ns;
    // Until then the CPU does what it was charged for: its own interrupts wait.
    this.settleCharge();
    for (let work = this.nested(self, endNs); work !== null; work = this.nested(self, endNs)) {
      this.plan.strike(work);
      this.items++;
      const own = this.plan.cpuOf(work) === self.cpu;
      this.handle(work, own ? { ...this.turnOf(work), task: self.task } : this.turnOf(work));
      this.settleCharge();
      if (this.halted !== null) break;
    }
    this.running = self;
    if (this.halted !== null) throw this.halted;
    this.inside = true;
    if (this.clock === null) this.plan.timeNs = Math.max(endNs, this.plan.busyUntilNs[self.cpu] as number);
  }

  /** What runs next inside busy time; null when that is over. */
  private nested(self: Running, endNs: number): PlainItem | null {
    const { plan, clock } = this;
    for (;;) {
      const work = plan.next((one) => this.mayNest(one, self));
      const startNs = work === null ? NEVER : plan.startOf(work);
      // What ran nested has put the end off.
      const untilNs = Math.max(endNs, plan.busyUntilNs[self.cpu] as number);
      if (clock === null) {
        if (startNs > untilNs) return null;
        plan.timeNs = startNs;
        return work;
      }
      if (startNs <= plan.timeNs) return work;
      if (clock.reach(untilNs)) return null;
      plan.timeNs = clock.now();
    }
  }

  private mayNest(work: PlainItem, self: Running): boolean {
    if (work.context === 'device') return true;
    if (work.context === 'task') return false;
    // Whoever takes a lock that is held here would spin.
    if (this.plan.cpuOf(work) !== self.cpu) return self.task.atomic === 0;
    if (self.context === 'hardirq' || self.task.irqsOff > 0) return false;
    return self.context !== 'softirq' || work.context === 'hardirq';
  }

  // ------------------------------------------------------------------------------------------ tasks

  spawn(name: string, main: () => Promise<void>, cpu: number = Math.max(this.cpu, 0)): Task {
    if (this.plan.isOff(cpu)) this.bug(`task ${name} cannot run on CPU ${cpu}: there is none, or it is off`);
    const task = new PlainTask(this.nextPid++, name, cpu);
    task.turn = new PlainItem('task', cpu, () => {}, task);
    task.goOn = () => this.start(task, main);
    this.tasks.push(task);
    this.post(task.turn);
    return task;
  }

  private start(task: PlainTask, main: () => Promise<void>): void {
    try {
      main().then(
        () => this.ended(task, ''),
        (error: unknown) => this.ended(task, describeError(error)),
      );
    } catch (error) {
      this.ended(task, describeError(error));
    }
  }

  private resume(task: PlainTask): void {
    this.running = { context: 'task', cpu: task.cpu, task, frames: task.frames };
    this.resumed = task;
    this.inside = true;
    task.state = 'running';
    task.waitsFor = '';
    task.goOn();
  }

  private ended(task: PlainTask, failure: string): void {
    if (this.halted !== null) return;
    if (failure !== '') this.quietBug(`task ${task.name} ended with ${failure}`);
    else if (this.resumed !== task)
      this.quietBug(`task ${task.name} ended while it was ${task.state}: a forgotten await`);
    else if (task.heldLocks.length > 0 || task.atomic > 0)
      this.quietBug(`task ${task.name} ended holding ${task.heldLocks.join(', ')} (a forgotten unlock)`);
    if (this.halted !== null) return;
    task.state = 'dead';
    this.tasks = this.tasks.filter((other) => other !== task);
    this.yieldCpu();
  }

  private yieldCpu(): void {
    this.resumed = null;
    this.leave();
    (this.pump as ExecutorPump).continueAfterTask();
  }

  park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number> {
    this.mightSleep(what);
    const task = this.running.task;
    task.state = 'parked';
    task.waitsFor = what;
    task.list = list as PlainWaitList | null;
    task.list?.tasks.push(task);
    if (timeoutNs !== undefined) {
      task.timeout = this.item('softirq', task.cpu, () => this.wake(task, PARK_TIMEOUT), null) as PlainItem;
      this.arm(task.timeout, this.plan.timeNs + this.spentNs + timeoutNs);
    }
    const resumption = new Promise<number>((resolve) => {
      task.goOn = () => resolve(task.wakeValue);
    });
    this.yieldCpu();
    return resumption;
  }

  awake(): void {
    if (this.halted !== null) throw this.halted;
    if (this.resumed === null) this.bug('a task went on without being resumed');
  }

  wake(task: Task, value: number): boolean {
    const plain = task as PlainTask;
    if (plain.state !== 'parked') return false;
    const { list, timeout } = plain;
    if (list !== null) list.tasks.splice(list.tasks.indexOf(plain), 1);
    if (timeout !== null) this.disarm(timeout);
    plain.list = plain.timeout = null;
    plain.state = 'ready';
    plain.wakeValue = value;
    this.charge(this.options.wakeNs);
    const turn = plain.turn as PlainItem;
    turn.cpu = plain.cpu;
    this.post(turn);
    return true;
  }

  waitList(): WaitList {
    return new PlainWaitList();
  }

  wakeFirst(list: WaitList, value: number): Task | null {
    const task = (list as PlainWaitList).tasks[0] ?? null;
    if (task !== null) this.wake(task, value);
    return task;
  }

  wakeAll(list: WaitList, value: number): number {
    const tasks = [...(list as PlainWaitList).tasks];
    for (const task of tasks) this.wake(task, value);
    return tasks.length;
  }

  parkedTasks(): readonly Task[] {
    return this.tasks.filter((task) => task.state === 'parked');
  }

  strayTask(): Task | null {
    return this.resumed;
  }

  assertAwake(what: string): void {
    if (!this.inside) this.bug(`${what} called while nothing of this machine runs: a forgotten await, or from outside`);
  }

  mightSleep(what: string): void {
    this.assertAwake(what);
    if (this.context !== 'task') this.bug(`sleeping function (${what}) called in ${this.context} context`);
    if (this.current.atomic > 0) this.bug(`sleeping function (${what}) called in atomic context`);
  }

  bug(message: string): never {
    this.quietBug(message);
    throw this.halted;
  }

  quietBug(message: string): void {
    if (this.halted !== null) return;
    const { task, cpu, context } = this.running;
    this.halted = new BugError(
      `BUG: ${message}; CPU ${cpu} ${task.name}-${task.pid} (${context})${this.describeStack()}`,
    );
    this.inside = false;
    this.pump?.onHalt(this.halted);
  }

  async hostWait<T>(promise: Promise<T>): Promise<T> {
    this.mightSleep('hostWait');
    const list = this.waitList();
    const outcome = this.holds.wait(promise, () => this.wakeFirst(list, 0));
    await this.park('a promise of the host', list);
    this.awake();
    return outcome();
  }

  hostHold<A>(fn: (arg: A) => void, arg: A): () => void {
    return this.holds.hold(this.item('device', NO_CPU, fn, arg));
  }

  holdsOutstanding(): boolean {
    return this.holds.outstanding;
  }

  retireCpu(cpu: number, to: number): void {
    if (cpu === this.cpu) this.bug(`CPU ${cpu} cannot take itself off`);
    this.plan.retire(cpu, to);
    for (const task of this.tasks) {
      if (task.cpu === cpu) task.cpu = to;
      if (task.turn?.cpu === cpu) task.turn.cpu = to;
    }
  }

  reviveCpu(cpu: number): void {
    this.plan.revive(cpu);
  }
}

/** Makes an executor that is slow and simple; for tests. */
export function createPlainExecutor(options: ExecutorOptions): KernelExecutor {
  return new PlainExecutor(options);
}
