/**
 * Units of work and the first-in-first-out lists they stand in. Items carry their own links, so that posting
 * allocates nothing; an item stands in at most one list, or in the timed queue, at a time.
 */
import type { Context, Item } from '../ports.js';
import type { TaskImpl } from './task.js';

/** Where an item is at present. */
export const IDLE = 0;
export const TIMED = 1;
export const READY = 2;

/** Classes of an item's context; lower runs first. */
export const CLASS_DEVICE = 0;
export const CLASS_HARDIRQ = 1;
export const CLASS_SOFTIRQ = 2;
export const CLASS_TASK = 3;
/** Not work: a CPU's time mark, which lets it run what waits for it. */
export const CLASS_CPU_FREE = 4;

export const CLASS_CONTEXT: readonly Context[] = ['device', 'hardirq', 'softirq', 'task'];

/** An item as the executor sees it. */
export class WorkItem implements Item {
  state = IDLE;
  /** Set by `post`: a posted item in the timed queue is on its way, an armed one is a timer. */
  posted = false;
  heapIndex = -1;
  next: WorkItem | null = null;
  previous: WorkItem | null = null;

  readonly rank: number;
  cpu: number;
  readonly fn: (arg: unknown) => void;
  readonly arg: unknown;
  readonly task: TaskImpl | null;

  constructor(rank: number, cpu: number, fn: (arg: unknown) => void, arg: unknown, task: TaskImpl | null) {
    this.rank = rank;
    this.cpu = cpu;
    this.fn = fn;
    this.arg = arg;
    this.task = task;
  }

  get context(): Context {
    return CLASS_CONTEXT[this.rank] as Context;
  }

  get pending(): boolean {
    return this.state !== IDLE;
  }
}

/** A doubly linked list of items, first in, first out. */
export class ItemList {
  head: WorkItem | null = null;
  tail: WorkItem | null = null;
  size = 0;

  push(item: WorkItem): void {
    item.previous = this.tail;
    item.next = null;
    if (this.tail === null) this.head = item;
    else this.tail.next = item;
    this.tail = item;
    this.size++;
  }

  remove(item: WorkItem): void {
    if (item.previous === null) this.head = item.next;
    else item.previous.next = item.next;
    if (item.next === null) this.tail = item.previous;
    else item.next.previous = item.previous;
    item.next = item.previous = null;
    this.size--;
  }

  /** The item `index` places from the head. */
  at(index: number): WorkItem {
    let item = this.head as WorkItem;
    for (let i = 0; i < index; i++) item = item.next as WorkItem;
    return item;
  }
}
