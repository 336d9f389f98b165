/**
 * First-in-first-out lists of work items. A work carries its own links, so that queueing allocates nothing; it stands
 * in at most one list at a time.
 * Kernel counterpart: include/linux/list.h as kernel/workqueue.c uses it.
 */
import type { Work } from './work.js';

export class WorkList {
  head: Work | null = null;
  tail: Work | null = null;
  size = 0;

  push(work: Work): void {
    work.list = this;
    work.previous = this.tail;
    work.next = null;
    if (this.tail === null) this.head = work;
    else this.tail.next = work;
    this.tail = work;
    this.size++;
  }

  remove(work: Work): void {
    if (work.previous === null) this.head = work.next;
    else work.previous.next = work.next;
    if (work.next === null) this.tail = work.previous;
    else work.next.previous = work.previous;
    work.next = work.previous = null;
    work.list = null;
    this.size--;
  }

  shift(): Work | null {
    const work = this.head;
    if (work !== null) this.remove(work);
    return work;
  }
}
