/**
 * Timed items in a stable binary heap on typed arrays: earliest time first, then order of arming.
 */
import type { WorkItem } from './item.js';
export declare class TimedQueue {
    size: number;
    private times;
    private orders;
    private items;
    private order;
    /** Time of the earliest item; Infinity when there is none. */
    firstTimeNs(): number;
    push(item: WorkItem, timeNs: number): void;
    /** The time an item that stands in the queue is due at. */
    timeOf(item: WorkItem): number;
    /** Takes the earliest item; the queue must not be empty. */
    shift(): WorkItem;
    remove(item: WorkItem): void;
    private removeAt;
    private before;
    private siftUp;
    private siftDown;
    private move;
    private place;
    private grow;
}
//# sourceMappingURL=timed-queue.d.ts.map