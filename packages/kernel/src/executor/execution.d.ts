/**
 * What runs now and what runs next: the running item's context and time, items and timers, and the checks that code
 * runs where it may. The loop that runs the items is in executor.ts.
 */
import type { Clock, Context, Item, Task } from '../ports.js';
import { Agenda } from './agenda.js';
import type { ExecutorOptions, Pump } from './pump.js';
import type { Frames, TaskImpl } from './task.js';
export declare abstract class Execution {
    readonly nrCpus: number;
    items: number;
    /** The recorded BUG. */
    halted: Error | null;
    pump: Pump | null;
    /** The open function entries of whatever runs. */
    frames: Frames;
    /** Names the open functions of what runs, for reports; set by the trace. */
    describeStack: () => string;
    protected readonly agenda: Agenda;
    /** Null: virtual time, charged by prices. With a real clock nothing is charged, since time passes by itself. */
    protected readonly clock: Clock | null;
    /** What the running item has been charged so far. */
    protected spentNs: number;
    protected rank: number;
    protected cpuId: number;
    protected currentTask: TaskImpl;
    /** Some item of this machine runs. */
    protected inside: boolean;
    constructor(options: ExecutorOptions);
    get current(): Task;
    get cpu(): number;
    get context(): Context;
    now(): number;
    charge(ns: number): void;
    item<A>(context: Exclude<Context, 'task'>, cpu: number, fn: (arg: A) => void, arg: A): Item;
    post(item: Item): boolean;
    arm(item: Item, timeNs: number): void;
    disarm(item: Item): boolean;
    /** Time of the next timed event, for a host that waits. */
    nextTimeNs(): number;
    assertAwake(what: string): void;
    mightSleep(what: string): void;
    bug(message: string): never;
    /** A BUG found where nobody could catch it. */
    quietBug(message: string): void;
    private recordBug;
}
//# sourceMappingURL=execution.d.ts.map