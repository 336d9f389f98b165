/** Items, tasks and wait lists of the plain executor: nothing but fields. */
import type { Context, FunctionFrames, Item, Task, TraceEntry, WaitList } from '../ports.js';

/** A fresh stack of function entries. */
export const noFrames = (): FunctionFrames => ({ open: [] as (TraceEntry | null)[], depth: 0 });

export class PlainItem implements Item {
  pending = false;
  /** Ready by `post`; else armed. */
  posted = false;
  dueNs = 0;
  readonly context: Context;
  cpu: number;
  readonly run: () => void;
  /** Not null: the item is the task's turn. */
  readonly task: PlainTask | null;

  constructor(context: Context, cpu: number, run: () => void, task: PlainTask | null) {
    this.context = context;
    this.cpu = cpu;
    this.run = run;
    this.task = task;
  }
}

export class PlainTask implements Task {
  state: Task['state'] = 'ready';
  atomic = 0;
  irqsOff = 0;
  readonly heldLocks: string[] = [];
  waitsFor = '';
  wakeValue = 0;
  plug: unknown = null;
  readonly frames = noFrames();
  /** Starts or resumes it. */
  goOn: () => void = () => {};
  turn: PlainItem | null = null;
  timeout: PlainItem | null = null;
  list: PlainWaitList | null = null;
  readonly pid: number;
  readonly name: string;
  cpu: number;

  constructor(pid: number, name: string, cpu: number) {
    this.pid = pid;
    this.name = name;
    this.cpu = cpu;
  }
}

export class PlainWaitList implements WaitList {
  readonly tasks: PlainTask[] = [];

  get size(): number {
    return this.tasks.length;
  }
}

/** What runs, and for whom: put aside while an interrupt is nested in busy time. */
export interface Running {
  readonly context: Context;
  readonly cpu: number;
  readonly task: PlainTask;
  readonly frames: FunctionFrames;
}
