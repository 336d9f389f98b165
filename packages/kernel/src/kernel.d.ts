/**
 * Builds one machine's kernel instance from its parts. Nothing here is global: many instances run side by side.
 */
import { type Costs } from './costs.js';
import type { Checks, Clock, Executor, FrontDoor, HostLoop, Kernel, KernelProfile, LiveObjects, PhysicalMemory, TraceLevel } from './ports.js';
/** What a kernel instance is made of; everything has a default but the host's loop. */
export interface KernelOptions {
    readonly host: HostLoop;
    readonly profile?: KernelProfile;
    /** 1 to 256. */
    readonly nrCpus?: number;
    readonly nrNodes?: number;
    readonly memoryBytes?: number;
    readonly seed?: number;
    /** The seed chooses among ready items; otherwise first in, first out. */
    readonly interleave?: boolean;
    readonly checks?: Checks;
    readonly trace?: TraceLevel;
    readonly bootTimeMs?: number;
    readonly costs?: Partial<Costs>;
    /** Test mode: what runs behind a forgotten `await` is caught. */
    readonly strict?: boolean;
    /** A real clock; default: virtual time. */
    readonly clock?: Clock;
    /** Wraps the executor that everything but the kernel's own loop is given, as `tracedExecutor` does. */
    readonly executor?: (inner: Executor) => Executor;
    /** Makes the RAM; default: an arena of `memoryBytes`. */
    readonly memory?: (live: LiveObjects, bug: (message: string) => never) => PhysicalMemory;
}
/** A kernel instance and the way in for its host. */
export interface KernelInstance {
    readonly kernel: Kernel;
    readonly door: FrontDoor;
}
/** Makes a kernel instance. */
export declare function createKernel(options: KernelOptions): KernelInstance;
//# sourceMappingURL=kernel.d.ts.map