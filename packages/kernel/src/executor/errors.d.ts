/** Errors the executor itself raises; both are branded so that two copies of this package agree. */
import type { Task } from '../ports.js';
declare const BUG: unique symbol;
declare const DEADLOCK: unique symbol;
/** A defect of ours: the machine it happened in is halted. @kernel include/asm-generic/bug.h BUG */
export declare class BugError extends Error {
    readonly [BUG] = true;
    constructor(message: string);
    static is(error: unknown): error is BugError;
}
/** Nothing is ready, no timer is armed, and calls are outstanding. Names each parked task and what it waits for. */
export declare class DeadlockError extends Error {
    readonly [DEADLOCK] = true;
    constructor(call: string, parked: readonly Task[]);
    static is(error: unknown): error is DeadlockError;
}
export {};
//# sourceMappingURL=errors.d.ts.map