import type { WorkItem } from './item.js';
import { VirtualCpu } from './virtual-cpu.js';
export declare class Agenda {
    /** Virtual nanoseconds since power-on, at which the running item started. */
    timeNs: number;
    readonly cpus: VirtualCpu[];
    private readonly devices;
    private readonly timed;
    private readonly ring;
    /** Chooses one of n ready items; null: first in, first out. */
    private readonly choose;
    constructor(nrCpus: number, choose: ((n: number) => number) | null);
    /** Time of the earliest timed item; Infinity when there is none. */
    nextTimeNs(): number;
    /** When a timed item is due. */
    timeOf(work: WorkItem): number;
    /** Makes an idle item ready now. */
    makeReady(work: WorkItem): void;
    /** Makes an idle item ready at `timeNs`. */
    makeTimed(work: WorkItem, timeNs: number): void;
    /** Takes a pending item back. */
    unlink(work: WorkItem): void;
    /** Takes the next ready item, which is idle from then on; null when none is ready. */
    takeReady(): WorkItem | null;
    /**
     * The next item that may run while the CPU `waiting` is busy: a device event, an item of that CPU up to class
     * `lastRank`, or, if `others`, an interrupt or softirq of another CPU. Tasks stay where they are.
     */
    takeNested(waiting: VirtualCpu, lastRank: number, others: boolean): WorkItem | null;
    /** Lets the clock go on and makes ready what falls due. */
    advanceTo(timeNs: number): void;
    /** A CPU's item is over: it is busy for another `spentNs`. */
    finish(cpu: VirtualCpu, spentNs: number): void;
    private offer;
    private enterRing;
    private firstDevice;
    private first;
    private firstInterruptOfOthers;
    private chosen;
}
//# sourceMappingURL=agenda.d.ts.map