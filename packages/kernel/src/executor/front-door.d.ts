/**
 * The front door: how plain `await` in the host drives a machine. A call starts a task; the machine is pumped in
 * slices of one host macrotask each while something is asked of it, and the host goes on before the next event after
 * a call has settled, so that user code can never shift an event.
 */
import type { FrontDoor, HostLoop } from '../ports.js';
import type { ExecutorImpl } from './executor.js';
import type { Pump } from './pump.js';
export declare class FrontDoorImpl implements FrontDoor, Pump {
    private readonly ex;
    private readonly host;
    /** Test mode: the executor goes on in macrotasks only, so that what runs behind a forgotten await is caught. */
    private readonly strict;
    private readonly inbox;
    private readonly outstanding;
    private goal;
    private settlements;
    private fuel;
    private slicePending;
    private waitsForHost;
    private cancelAlarm;
    private closedBecause;
    private readonly stepBound;
    constructor(ex: ExecutorImpl, host: HostLoop, strict: boolean);
    get halted(): Error | null;
    call<T>(name: string, main: () => Promise<T>, cpu?: number): Promise<T>;
    private badCpu;
    private startCall;
    runUntilItems(items: number): Promise<void>;
    runUntilTime(timeNs: number): Promise<void>;
    step(): Promise<boolean>;
    settle(horizonNs: number): Promise<void>;
    private pursue;
    close(reason: string): void;
    private refusal;
    /** Makes sure that a slice comes. */
    private kick;
    private dropAlarm;
    private scheduleSlice;
    private slice;
    mustStop(): boolean;
    mayAdvance(timeNs: number): boolean;
    continueAfterTask(): void;
    sliceEnded(idle: boolean): void;
    private becomeIdle;
    private reachGoal;
    private reportDeadlock;
    onHalt(error: Error): void;
    private rejectAll;
}
//# sourceMappingURL=front-door.d.ts.map