/**
 * Tasks and the lists they park on.
 * Kernel counterpart: include/linux/sched.h, include/linux/wait.h.
 */
import type { HeldLock, Task, TraceEntry, WaitList } from '../ports.js';
import type { WorkItem } from './item.js';
/** The open function entries of one task, or of one interrupt. */
export declare class Frames {
    readonly open: (TraceEntry | null)[];
    depth: number;
    clear(): void;
}
/** Tasks parked on one event, in the order in which they came. */
export declare class WaitListImpl implements WaitList {
    head: TaskImpl | null;
    tail: TaskImpl | null;
    size: number;
    push(task: TaskImpl): void;
    remove(task: TaskImpl): void;
}
export declare class TaskImpl implements Task {
    state: Task['state'];
    atomic: number;
    irqsOff: number;
    readonly heldLocks: HeldLock[];
    waitsFor: string;
    plug: unknown;
    readonly frames: Frames;
    /** Posted to run the task. */
    item: WorkItem | null;
    /** Armed while it parks with a time-out. */
    timeout: WorkItem | null;
    wakeValue: number;
    resume: ((value: number) => void) | null;
    main: (() => Promise<void>) | null;
    list: WaitListImpl | null;
    next: TaskImpl | null;
    previous: TaskImpl | null;
    readonly pid: number;
    readonly name: string;
    cpu: number;
    constructor(pid: number, name: string, cpu: number);
}
//# sourceMappingURL=task.d.ts.map