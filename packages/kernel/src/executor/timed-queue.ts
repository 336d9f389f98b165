/**
 * Timed items in a stable binary heap on typed arrays: earliest time first, then order of arming.
 */
import type { WorkItem } from './item.js';

const INITIAL_CAPACITY = 64;

export class TimedQueue {
  size = 0;
  private times = new Float64Array(INITIAL_CAPACITY);
  private orders = new Float64Array(INITIAL_CAPACITY);
  private items: (WorkItem | null)[] = new Array<WorkItem | null>(INITIAL_CAPACITY).fill(null);
  private order = 0;

  /** Time of the earliest item; Infinity when there is none. */
  firstTimeNs(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : (this.times[0] as number);
  }

  push(item: WorkItem, timeNs: number): void {
    if (this.size === this.items.length) this.grow();
    const index = this.size++;
    this.order++;
    this.siftUp(index, item, timeNs, this.order);
  }

  /** The time an item that stands in the queue is due at. */
  timeOf(item: WorkItem): number {
    return this.times[item.heapIndex] as number;
  }

  /** Takes the earliest item; the queue must not be empty. */
  shift(): WorkItem {
    const first = this.items[0] as WorkItem;
    this.removeAt(0);
    return first;
  }

  remove(item: WorkItem): void {
    this.removeAt(item.heapIndex);
  }

  private removeAt(index: number): void {
    const removed = this.items[index] as WorkItem;
    removed.heapIndex = -1;
    const last = --this.size;
    const item = this.items[last] as WorkItem;
    this.items[last] = null;
    if (index === last) return;
    const timeNs = this.times[last] as number;
    const order = this.orders[last] as number;
    const parent = (index - 1) >> 1;
    if (index > 0 && this.before(timeNs, order, parent)) this.siftUp(index, item, timeNs, order);
    else this.siftDown(index, item, timeNs, order);
  }

  private before(timeNs: number, order: number, index: number): boolean {
    const other = this.times[index] as number;
    return timeNs < other || (timeNs === other && order < (this.orders[index] as number));
  }

  private siftUp(start: number, item: WorkItem, timeNs: number, order: number): void {
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.before(timeNs, order, parent)) break;
      this.move(parent, index);
      index = parent;
    }
    this.place(index, item, timeNs, order);
  }

  private siftDown(start: number, item: WorkItem, timeNs: number, order: number): void {
    let index = start;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= this.size) break;
      if (
        child + 1 < this.size &&
        this.before(this.times[child + 1] as number, this.orders[child + 1] as number, child)
      )
        child++;
      if (this.before(timeNs, order, child)) break;
      this.move(child, index);
      index = child;
    }
    this.place(index, item, timeNs, order);
  }

  private move(from: number, to: number): void {
    const item = this.items[from] as WorkItem;
    this.items[to] = item;
    this.times[to] = this.times[from] as number;
    this.orders[to] = this.orders[from] as number;
    item.heapIndex = to;
  }

  private place(index: number, item: WorkItem, timeNs: number, order: number): void {
    this.items[index] = item;
    this.times[index] = timeNs;
    this.orders[index] = order;
    item.heapIndex = index;
  }

  private grow(): void {
    const capacity = this.items.length * 2;
    const times = new Float64Array(capacity);
    const orders = new Float64Array(capacity);
    times.set(this.times);
    orders.set(this.orders);
    this.times = times;
    this.orders = orders;
    for (let i = this.items.length; i < capacity; i++) this.items.push(null);
  }
}
