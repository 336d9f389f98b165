/**
 * Units of work and the first-in-first-out lists they stand in. Items carry their own links, so that posting
 * allocates nothing; an item stands in at most one list, or in the timed queue, at a time.
 */
import type { Context, Item } from '../ports.js';
import type { TaskImpl } from './task.js';
/** Where an item is at present. */
export declare const IDLE = 0;
export declare const TIMED = 1;
export declare const READY = 2;
/** Classes of an item's context; lower runs first. */
export declare const CLASS_DEVICE = 0;
export declare const CLASS_HARDIRQ = 1;
export declare const CLASS_SOFTIRQ = 2;
export declare const CLASS_TASK = 3;
/** Not work: a CPU's time mark, which lets it run what waits for it. */
export declare const CLASS_CPU_FREE = 4;
export declare const CLASS_CONTEXT: readonly Context[];
/** An item as the executor sees it. */
export declare class WorkItem implements Item {
    state: number;
    /** Set by `post`: a posted item in the timed queue is on its way, an armed one is a timer. */
    posted: boolean;
    heapIndex: number;
    next: WorkItem | null;
    previous: WorkItem | null;
    readonly rank: number;
    cpu: number;
    readonly fn: (arg: unknown) => void;
    readonly arg: unknown;
    readonly task: TaskImpl | null;
    constructor(rank: number, cpu: number, fn: (arg: unknown) => void, arg: unknown, task: TaskImpl | null);
    get context(): Context;
    get pending(): boolean;
}
/** A doubly linked list of items, first in, first out. */
export declare class ItemList {
    head: WorkItem | null;
    tail: WorkItem | null;
    size: number;
    push(item: WorkItem): void;
    remove(item: WorkItem): void;
    /** The item `index` places from the head. */
    at(index: number): WorkItem;
}
//# sourceMappingURL=item.d.ts.map