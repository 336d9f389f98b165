/**
 * The front door: how plain `await` in the host drives a machine. A call starts a task; the machine is pumped in
 * slices of one host macrotask each while something is asked of it, and the host goes on before the next event after
 * a call has settled, so that user code can never shift an event.
 */
import type { ExecutorPump, FrontDoor, HostLoop, KernelExecutor } from '../ports.js';
import { DeadlockError } from './errors.js';

/** Items a slice may run before the host has its turn. */
const SLICE_ITEMS = 16384;

/** Real time without an event after which a machine counts as settled. */
const QUIET_NS = 20e6;

const RESOLVED = Promise.resolve();
const NEVER = Number.POSITIVE_INFINITY;

interface Call {
  readonly name: string;
  readonly start: () => void;
  readonly reject: (error: unknown) => void;
}

interface Goal {
  /** Ends when the item counter has come this far; Infinity: never by count. */
  readonly items: number;
  /** Ends when the next event is further away than this. */
  readonly horizonNs: number;
  /** Ends before the first event after this time, even while calls are outstanding. */
  readonly timeNs: number;
  readonly done: (reached: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export class FrontDoorImpl implements FrontDoor, ExecutorPump {
  private readonly ex: KernelExecutor;
  private readonly host: HostLoop;
  /** Test mode: the executor goes on in macrotasks only, so that what runs behind a forgotten await is caught. */
  private readonly strict: boolean;
  private readonly inbox: Call[] = [];
  private readonly outstanding = new Set<Call>();
  private goal: Goal | null = null;
  private settlements: (() => void)[] = [];
  private fuel = 0;
  private slicePending = false;
  private waitsForHost = false;
  /** A count or a time was reached: the machine stands still until it is asked again, whatever is outstanding. */
  private paused = false;
  private cancelAlarm: (() => void) | null = null;
  /** Items that had run when the machine began to listen for quiet. */
  private quietAtItems = -1;
  private quietUntilNs = 0;
  private closedBecause: string | null = null;
  private readonly stepBound: () => void;

  constructor(ex: KernelExecutor, host: HostLoop, strict: boolean) {
    this.ex = ex;
    this.host = host;
    this.strict = strict;
    this.stepBound = () => this.ex.run();
    ex.pump = this;
    ex.hostSettled = () => this.kick();
  }

  get halted(): Error | null {
    return this.ex.halted;
  }

  call<T>(name: string, main: () => Promise<T>, cpu = 0): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const refusal = this.refusal() ?? this.badCpu(name, cpu);
      if (refusal !== null) {
        reject(refusal);
        return;
      }
      const call: Call = { name, reject, start: () => this.startCall(call, main, resolve, cpu) };
      this.inbox.push(call);
      this.paused = false;
      this.kick();
    });
  }

  private badCpu(name: string, cpu: number): Error | null {
    const { nrCpus } = this.ex;
    if (cpu >= 0 && cpu < nrCpus && cpu === Math.floor(cpu)) return null;
    return new RangeError(`${name}: cpu ${cpu} is not one of 0 to ${nrCpus - 1}`);
  }

  private startCall<T>(call: Call, main: () => Promise<T>, resolve: (value: T) => void, cpu: number): void {
    this.outstanding.add(call);
    const settle = (settlement: () => void): void => {
      this.settlements.push(() => {
        if (this.outstanding.delete(call)) settlement();
      });
    };
    this.ex.spawn(
      call.name,
      async () => {
        let value: T;
        try {
          value = await main();
        } catch (error) {
          // A halted machine has rejected its calls already.
          if (this.ex.halted === null) settle(() => call.reject(error));
          return;
        }
        settle(() => resolve(value));
      },
      cpu,
    );
  }

  runUntilItems(items: number): Promise<void> {
    return this.pursue({ items }).then(() => {});
  }

  runUntilTime(timeNs: number): Promise<void> {
    return this.pursue({ timeNs }).then(() => {});
  }

  step(): Promise<boolean> {
    return this.pursue({ items: this.ex.items + 1 });
  }

  settle(horizonNs: number): Promise<void> {
    return this.pursue({ horizonNs }).then(() => {});
  }

  private pursue(goal: Partial<Omit<Goal, 'done' | 'reject'>>): Promise<boolean> {
    return new Promise<boolean>((resolve, reject) => {
      const refusal =
        this.refusal() ?? (this.goal === null ? null : new Error('another run, step or settle is outstanding'));
      if (refusal !== null) {
        reject(refusal);
        return;
      }
      this.goal = { items: NEVER, horizonNs: NEVER, timeNs: NEVER, ...goal, done: resolve, reject };
      this.paused = false;
      this.kick();
    });
  }

  close(reason: string): void {
    this.closedBecause ??= reason;
    this.fuel = 0;
    this.rejectAll(new Error(this.closedBecause));
  }

  private refusal(): Error | null {
    if (this.ex.halted !== null) return this.ex.halted;
    return this.closedBecause === null ? null : new Error(this.closedBecause);
  }

  // ------------------------------------------------------------------------------------------ slices

  /** Makes sure that a slice comes. */
  private kick(): void {
    this.waitsForHost = false;
    this.dropAlarm();
    this.scheduleSlice();
  }

  private dropAlarm(): void {
    this.cancelAlarm?.();
    this.cancelAlarm = null;
  }

  private scheduleSlice(): void {
    if (this.slicePending) return;
    this.slicePending = true;
    this.host.macrotask(() => this.slice());
  }

  private slice(): void {
    this.slicePending = false;
    if (this.ex.halted !== null || this.waitsForHost) return;
    const stray = this.ex.strayTask();
    if (stray !== null) {
      this.ex.quietBug(`task ${stray.name} awaits something that is not a kernel primitive`);
      return;
    }
    if (this.closedBecause !== null) return;
    while (this.inbox.length > 0) (this.inbox.shift() as Call).start();
    if (this.paused || (this.outstanding.size === 0 && this.goal === null)) return;
    this.scheduleSlice();
    this.fuel = SLICE_ITEMS;
    this.ex.run();
  }

  mustStop(): boolean {
    if (this.settlements.length > 0) return true;
    if (this.goal !== null && this.ex.items >= this.goal.items) return true;
    return --this.fuel < 0;
  }

  mayAdvance(timeNs: number): boolean {
    if (this.goal === null) return true;
    if (timeNs > this.goal.timeNs) return false;
    if (this.outstanding.size > 0) return true;
    return timeNs - this.ex.now() <= this.goal.horizonNs;
  }

  continueAfterTask(): void {
    if (!this.strict) void RESOLVED.then(this.stepBound);
  }

  sliceEnded(idle: boolean): void {
    const settlements = this.settlements;
    if (settlements.length > 0) {
      this.settlements = [];
      for (const settle of settlements) settle();
      return;
    }
    if (this.goal !== null && this.ex.items >= this.goal.items) {
      this.paused = true;
      this.reachGoal(true);
      return;
    }
    if (idle && this.ex.halted === null) this.becomeIdle();
  }

  private becomeIdle(): void {
    const held = this.ex.holdsOutstanding();
    const next = this.ex.nextTimeNs();
    const timed = next !== Number.POSITIVE_INFINITY && this.mayAdvance(next);
    if (!held && !timed) {
      if (this.listensOn()) return;
      const isDeadlock = next === Number.POSITIVE_INFINITY;
      this.paused = !isDeadlock;
      this.reachGoal(false);
      if (isDeadlock && this.outstanding.size > 0 && this.inbox.length === 0) this.reportDeadlock();
      return;
    }
    if (this.inbox.length > 0) return;
    this.waitsForHost = true;
    if (!timed || !this.ex.realTime) return;
    this.cancelAlarm = this.host.after(Math.max(next - this.ex.now(), 0), () => this.kick());
  }

  /**
   * In real time a device outside may be about to speak although nothing is ready: a goal is reached when nothing has
   * run for a while. Returns whether the machine listens on.
   */
  private listensOn(): boolean {
    const { items, realTime } = this.ex;
    if (!realTime || this.goal === null) return false;
    const nowNs = this.ex.now();
    if (this.quietAtItems !== items) {
      this.quietAtItems = items;
      this.quietUntilNs = nowNs + QUIET_NS;
    }
    if (nowNs >= this.quietUntilNs) return false;
    this.waitsForHost = true;
    this.cancelAlarm = this.host.after(this.quietUntilNs - nowNs, () => this.kick());
    return true;
  }

  private reachGoal(reached: boolean): void {
    const goal = this.goal;
    this.goal = null;
    this.quietAtItems = -1;
    goal?.done(reached);
  }

  private reportDeadlock(): void {
    const parked = this.ex.parkedTasks();
    const calls = [...this.outstanding];
    this.outstanding.clear();
    for (const call of calls) call.reject(new DeadlockError(call.name, parked));
  }

  onHalt(error: Error): void {
    this.rejectAll(error);
  }

  private rejectAll(error: Error): void {
    const calls = [...this.outstanding, ...this.inbox];
    this.outstanding.clear();
    this.inbox.length = 0;
    for (const call of calls) call.reject(error);
    this.goal?.reject(error);
    this.goal = null;
    this.dropAlarm();
  }
}
