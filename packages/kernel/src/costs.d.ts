/**
 * The price list of CPU time, in virtual nanoseconds. Prices are charged to the CPU that runs, whether or not
 * anything is traced, so that tracing never changes a run. The figures are of the order a 3 GHz server shows.
 */
/** What each kind of work costs its CPU, in virtual nanoseconds; all are whole numbers >= 0. */
export interface Costs {
    /** A non-posted read across PCIe. */
    readonly mmioReadNs: number;
    /** A posted write across PCIe. */
    readonly mmioWriteNs: number;
    /** Taking an interrupt: entry, acknowledgement, exit. */
    readonly interruptNs: number;
    /** Making a task runnable. */
    readonly wakeNs: number;
    /** Entering a control-path function that has a kernel counterpart. */
    readonly functionNs: number;
    /** One turn of a spin loop. */
    readonly relaxNs: number;
}
/** The default price list. */
export declare const DEFAULT_COSTS: Costs;
//# sourceMappingURL=costs.d.ts.map