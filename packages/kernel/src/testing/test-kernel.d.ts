/** A kernel instance for tests: full checks, full trace, a host loop over the test runner's macrotasks. */
import { type KernelInstance, type KernelOptions } from '../kernel.js';
import type { HostLoop } from '../ports.js';
/** The host loop of tests; it captured the host's timers when it was loaded. */
export declare const testHostLoop: HostLoop;
/** Makes a kernel instance for a test. */
export declare function createTestKernel(options?: Partial<KernelOptions>): KernelInstance;
//# sourceMappingURL=test-kernel.d.ts.map