/**
 * A virtual CPU: what waits to run on it, by class, and until when it is busy.
 */
import { CLASS_CPU_FREE, CLASS_HARDIRQ, CLASS_TASK, ItemList, WorkItem } from './item.js';
import type { TaskImpl } from './task.js';

export class VirtualCpu {
  /** The CPU's present work ends at this time. */
  busyUntilNs = 0;
  /** An item of it runs now. */
  running = false;
  /** It stands in the ring of CPUs that can run something. */
  inRing = false;
  ringNext: VirtualCpu | null = null;
  ringPrevious: VirtualCpu | null = null;
  /** How many items wait. */
  size = 0;
  private readonly hardirqs = new ItemList();
  private readonly softirqs = new ItemList();
  private readonly tasks = new ItemList();
  readonly id: number;
  readonly idle: TaskImpl;
  /** Timed at `busyUntilNs` while something waits for it. */
  readonly free: WorkItem;

  constructor(id: number, idle: TaskImpl) {
    this.id = id;
    this.idle = idle;
    this.free = new WorkItem(CLASS_CPU_FREE, id, () => {}, null, null);
  }

  push(item: WorkItem): void {
    this.listOf(item.rank).push(item);
    this.size++;
  }

  remove(item: WorkItem): void {
    this.listOf(item.rank).remove(item);
    this.size--;
  }

  /** Takes the first item of the first class that has one, up to `lastRank`; null when there is none. */
  shift(lastRank: number): WorkItem | null {
    const list = this.firstList();
    const item = list.head;
    if (item === null || item.rank > lastRank) return null;
    list.remove(item);
    this.size--;
    return item;
  }

  /** Gives its items to another CPU, in their order: those that are for CPU `only`, or with -1 all. */
  moveTo(other: VirtualCpu, only: number): void {
    for (const list of [this.hardirqs, this.softirqs, this.tasks]) {
      for (let item = list.head; item !== null; ) {
        const { next } = item as WorkItem;
        if (only < 0 || item.cpu === only) {
          this.remove(item);
          other.push(item);
        }
        item = next;
      }
    }
  }

  /** How many items may run next: those of the first class that has one. */
  get choices(): number {
    return this.firstList().size;
  }

  /** Takes the item `index` places from the head of the first class that has one. */
  take(index: number): WorkItem {
    const item = this.firstList().at(index);
    this.remove(item);
    return item;
  }

  private firstList(): ItemList {
    if (this.hardirqs.size > 0) return this.hardirqs;
    return this.softirqs.size > 0 ? this.softirqs : this.tasks;
  }

  private listOf(rank: number): ItemList {
    if (rank === CLASS_TASK) return this.tasks;
    return rank === CLASS_HARDIRQ ? this.hardirqs : this.softirqs;
  }
}
