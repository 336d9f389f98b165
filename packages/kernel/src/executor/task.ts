/**
 * Tasks and the lists they park on.
 * Kernel counterpart: include/linux/sched.h, include/linux/wait.h.
 */
import type { Task, TraceEntry, WaitList } from '../ports.js';
import type { WorkItem } from './item.js';

/** The open function entries of one task, or of one interrupt. */
export class Frames {
  readonly open: (TraceEntry | null)[] = [];
  depth = 0;

  clear(): void {
    if (this.open.length > 0) this.open.length = 0;
    this.depth = 0;
  }
}

/** Tasks parked on one event, in the order in which they came. */
export class WaitListImpl implements WaitList {
  head: TaskImpl | null = null;
  tail: TaskImpl | null = null;
  size = 0;

  push(task: TaskImpl): void {
    task.list = this;
    task.previous = this.tail;
    task.next = null;
    if (this.tail === null) this.head = task;
    else this.tail.next = task;
    this.tail = task;
    this.size++;
  }

  remove(task: TaskImpl): void {
    if (task.previous === null) this.head = task.next;
    else task.previous.next = task.next;
    if (task.next === null) this.tail = task.previous;
    else task.next.previous = task.previous;
    task.next = task.previous = null;
    task.list = null;
    this.size--;
  }
}

export class TaskImpl implements Task {
  state: Task['state'] = 'ready';
  atomic = 0;
  irqsOff = 0;
  readonly heldLocks: string[] = [];
  waitsFor = '';
  plug: unknown = null;
  readonly frames = new Frames();
  /** Posted to run the task. */
  item: WorkItem | null = null;
  /** Armed while it parks with a time-out. */
  timeout: WorkItem | null = null;
  wakeValue = 0;
  resume: ((value: number) => void) | null = null;
  main: (() => Promise<void>) | null = null;
  list: WaitListImpl | null = null;
  next: TaskImpl | null = null;
  previous: TaskImpl | null = null;
  readonly pid: number;
  readonly name: string;
  cpu: number;

  constructor(pid: number, name: string, cpu: number) {
    this.pid = pid;
    this.name = name;
    this.cpu = cpu;
  }
}
