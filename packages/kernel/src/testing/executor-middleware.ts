/** Middleware on the executor's port: what any executor is asked can be listened to, and its timers can run late. */
import type { Context, Executor, Item, Task, WaitList } from '../ports.js';

/** Hands every request on unchanged. */
class ForwardingExecutor implements Executor {
  protected readonly inner: Executor;

  constructor(inner: Executor) {
    this.inner = inner;
  }

  get nrCpus(): number {
    return this.inner.nrCpus;
  }
  get current(): Task {
    return this.inner.current;
  }
  get cpu(): number {
    return this.inner.cpu;
  }
  get context(): Context {
    return this.inner.context;
  }
  get items(): number {
    return this.inner.items;
  }
  now(): number {
    return this.inner.now();
  }
  charge(ns: number): void {
    this.inner.charge(ns);
  }
  item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item {
    return this.inner.item(context, cpu, fn, arg);
  }
  post(item: Item): boolean {
    return this.inner.post(item);
  }
  arm(item: Item, timeNs: number): void {
    this.inner.arm(item, timeNs);
  }
  disarm(item: Item): boolean {
    return this.inner.disarm(item);
  }
  udelay(ns: number): void {
    this.inner.udelay(ns);
  }
  spawn(name: string, main: () => Promise<void>, cpu?: number): Task {
    return this.inner.spawn(name, main, cpu);
  }
  waitList(): WaitList {
    return this.inner.waitList();
  }
  park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number> {
    return this.inner.park(what, list, timeoutNs);
  }
  awake(): void {
    this.inner.awake();
  }
  wake(task: Task, value: number): boolean {
    return this.inner.wake(task, value);
  }
  wakeFirst(list: WaitList, value: number): Task | null {
    return this.inner.wakeFirst(list, value);
  }
  wakeAll(list: WaitList, value: number): number {
    return this.inner.wakeAll(list, value);
  }
  assertAwake(what: string): void {
    this.inner.assertAwake(what);
  }
  mightSleep(what: string): void {
    this.inner.mightSleep(what);
  }
  bug(message: string): never {
    return this.inner.bug(message);
  }
  hostWait<T>(promise: Promise<T>): Promise<T> {
    return this.inner.hostWait(promise);
  }
  hostHold<A>(fn: (arg: A) => void, arg: A): () => void {
    return this.inner.hostHold(fn, arg);
  }
  parkedTasks(): readonly Task[] {
    return this.inner.parkedTasks();
  }
  retireCpu(cpu: number, to: number): void {
    this.inner.retireCpu(cpu, to);
  }
  reviveCpu(cpu: number): void {
    this.inner.reviveCpu(cpu);
  }
}

/** What a traced executor was asked. */
export interface ExecutorRequest {
  readonly what: 'post' | 'arm' | 'disarm' | 'spawn' | 'park';
  readonly timeNs: number;
  /** The item's context, or the task's name. */
  readonly subject: string;
}

class TracedExecutor extends ForwardingExecutor {
  private readonly listen: (request: ExecutorRequest) => void;

  constructor(inner: Executor, listen: (request: ExecutorRequest) => void) {
    super(inner);
    this.listen = listen;
  }

  override post(item: Item): boolean {
    this.tell('post', item.context);
    return super.post(item);
  }
  override arm(item: Item, timeNs: number): void {
    this.tell('arm', item.context);
    super.arm(item, timeNs);
  }
  override disarm(item: Item): boolean {
    this.tell('disarm', item.context);
    return super.disarm(item);
  }
  override spawn(name: string, main: () => Promise<void>, cpu?: number): Task {
    this.tell('spawn', name);
    return super.spawn(name, main, cpu);
  }
  override park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number> {
    this.tell('park', this.current.name);
    return super.park(what, list, timeoutNs);
  }

  private tell(what: ExecutorRequest['what'], subject: string): void {
    this.listen({ what, timeNs: this.now(), subject });
  }
}

/** An executor that tells `listen` what it is asked and does the same as `inner`. The listener must not call into it. */
export function tracedExecutor(inner: Executor, listen: (request: ExecutorRequest) => void): Executor {
  return new TracedExecutor(inner, listen);
}

class FaultyExecutor extends ForwardingExecutor {
  private readonly lateNs: (item: Item) => number;

  constructor(inner: Executor, lateNs: (item: Item) => number) {
    super(inner);
    this.lateNs = lateNs;
  }

  override arm(item: Item, timeNs: number): void {
    super.arm(item, timeNs + this.lateNs(item));
  }
}

/** An executor whose armed items run `lateNs(item)` >= 0 later: timers only promise not to run early. */
export function faultyExecutor(inner: Executor, lateNs: (item: Item) => number): Executor {
  return new FaultyExecutor(inner, lateNs);
}
