/**
 * The executor: runs interrupts, softirqs, timers, device events and tasks on virtual CPUs, in virtual time.
 * Order comes from its queues alone. A task is a native async function; each primitive says that its task has
 * parked, and one microtask later, when the task's stack has unwound, the executor goes on.
 *
 * An item runs at the agenda's time; what it is charged makes its CPU busy for so long, while other CPUs go on.
 */
import type { Executor, Task, WaitList } from '../ports.js';
import { Execution } from './execution.js';
import type { ExecutorOptions } from './pump.js';
import { TaskImpl } from './task.js';
export declare class ExecutorImpl extends Execution implements Executor {
    /** Lets the front door go on when the host has settled something. */
    hostSettled: () => void;
    private readonly wakeNs;
    private readonly holds;
    /** Tasks that have not ended. */
    private readonly tasks;
    /** The task the executor has resumed and that has neither parked nor ended. */
    private resumedTask;
    /** Function entries of nested interrupts, by level. */
    private readonly syncFrames;
    private nesting;
    private nextPid;
    private parking;
    /** Made once: a park then costs no closure. */
    private readonly keepResume;
    private readonly timeOut;
    constructor(options: ExecutorOptions);
    /** Runs items until a task has been resumed or the slice is over. Called with nothing of this machine on the stack. */
    run(): void;
    /** Lets time go on to the next event; false when there is none the front door allows. */
    private advance;
    /** The host is still to answer; virtual time stands still meanwhile, real time does not. */
    holdsOutstanding(): boolean;
    get realTime(): boolean;
    private runSync;
    private callHandler;
    private framesAt;
    /** What ran on the CPU is over. */
    private leaveCpu;
    udelay(ns: number): void;
    /** The last class that may interrupt what runs, on its own CPU. */
    private lastNestedRank;
    /** Lets time go on while a CPU is busy; false when its busy time is over. */
    private advanceNested;
    /** Runs an item inside a busy CPU's time; returns what it took of that CPU. */
    private runNested;
    spawn(name: string, main: () => Promise<void>, cpu?: number): TaskImpl;
    private resumeTask;
    private startTask;
    private taskEnded;
    private defectAtEnd;
    /** The running task gives its CPU away. */
    private leaveTask;
    park(what: string, list: WaitList | null, timeoutNs?: number): Promise<number>;
    private armTimeout;
    awake(): void;
    wake(task: Task, value: number): boolean;
    waitList(): WaitList;
    wakeFirst(list: WaitList, value: number): Task | null;
    wakeAll(list: WaitList, value: number): number;
    parkedTasks(): readonly Task[];
    /** The task that runs although the executor is not on the stack: it awaits something foreign. */
    strayTask(): Task | null;
    hostWait<T>(promise: Promise<T>): Promise<T>;
    hostHold<A>(fn: (arg: A) => void, arg: A): () => void;
}
//# sourceMappingURL=executor.d.ts.map