/**
 * A virtual CPU: what waits to run on it, by class, and until when it is busy.
 */
import { CLASS_HARDIRQ, CLASS_TASK, ItemList, type WorkItem } from './item.js';
import type { TaskImpl } from './task.js';

export class VirtualCpu {
  /** The CPU's present work ends at this time. */
  busyUntilNs = 0;
  /** An item of it runs now. */
  running = false;
  /** It stands in the ring of CPUs that can run something. */
  inRing = false;
  /** Waiting items, hardirq first. */
  private readonly lists = [new ItemList(), new ItemList(), new ItemList()];
  size = 0;
  readonly id: number;
  readonly idle: TaskImpl;
  /** Timed at `busyUntilNs` while something waits for it. */
  free: WorkItem | null = null;

  constructor(id: number, idle: TaskImpl) {
    this.id = id;
    this.idle = idle;
  }

  push(item: WorkItem): void {
    (this.lists[item.rank - CLASS_HARDIRQ] as ItemList).push(item);
    this.size++;
  }

  remove(item: WorkItem): void {
    (this.lists[item.rank - CLASS_HARDIRQ] as ItemList).remove(item);
    this.size--;
  }

  /** Takes the first item of the first class that has one, up to `lastRank`; null when there is none. */
  shift(lastRank: number = CLASS_TASK): WorkItem | null {
    for (let i = 0; i <= lastRank - CLASS_HARDIRQ; i++) {
      const item = (this.lists[i] as ItemList).head;
      if (item !== null) {
        this.remove(item);
        return item;
      }
    }
    return null;
  }

  /** Takes the item `index` places from the head over all classes. */
  take(index: number): WorkItem {
    let rest = index;
    for (const list of this.lists) {
      if (rest < list.size) {
        const item = list.at(rest);
        this.remove(item);
        return item;
      }
      rest -= list.size;
    }
    throw new RangeError(`take(${index}) of ${this.size} items`);
  }
}
