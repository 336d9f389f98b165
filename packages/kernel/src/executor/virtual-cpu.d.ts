/**
 * A virtual CPU: what waits to run on it, by class, and until when it is busy.
 */
import { WorkItem } from './item.js';
import type { TaskImpl } from './task.js';
export declare class VirtualCpu {
    /** The CPU's present work ends at this time. */
    busyUntilNs: number;
    /** An item of it runs now. */
    running: boolean;
    /** It stands in the ring of CPUs that can run something. */
    inRing: boolean;
    ringNext: VirtualCpu | null;
    ringPrevious: VirtualCpu | null;
    /** How many items wait. */
    size: number;
    private readonly hardirqs;
    private readonly softirqs;
    private readonly tasks;
    readonly id: number;
    readonly idle: TaskImpl;
    /** Timed at `busyUntilNs` while something waits for it. */
    readonly free: WorkItem;
    constructor(id: number, idle: TaskImpl);
    push(item: WorkItem): void;
    remove(item: WorkItem): void;
    /** Takes the first item of the first class that has one, up to `lastRank`; null when there is none. */
    shift(lastRank: number): WorkItem | null;
    /** How many items may run next: those of the first class that has one. */
    get choices(): number;
    /** Takes the item `index` places from the head of the first class that has one. */
    take(index: number): WorkItem;
    private firstList;
    private listOf;
}
//# sourceMappingURL=virtual-cpu.d.ts.map