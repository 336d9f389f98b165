/**
 * The virtual CPUs that are free and have something to run, in the order in which they came.
 */
import type { VirtualCpu } from './virtual-cpu.js';
export declare class CpuRing {
    head: VirtualCpu | null;
    private tail;
    enter(cpu: VirtualCpu): void;
    leave(cpu: VirtualCpu): void;
}
//# sourceMappingURL=cpu-ring.d.ts.map