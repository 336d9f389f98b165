/** A kernel instance for tests: full checks, full trace, a host loop over the test runner's macrotasks. */
import { createKernel, type KernelInstance, type KernelOptions } from '../kernel.js';
import type { HostLoop } from '../ports.js';

declare const setImmediate: ((fn: () => void) => unknown) | undefined;
declare const setTimeout: (fn: () => void, ms: number) => unknown;
declare const clearTimeout: (handle: unknown) => void;

const macrotask = typeof setImmediate === 'function' ? setImmediate : (fn: () => void) => setTimeout(fn, 0);
const later = setTimeout;
const cancel = clearTimeout;

/** The host loop of tests; it captured the host's timers when it was loaded. */
export const testHostLoop: HostLoop = {
  macrotask: (fn) => {
    macrotask(fn);
  },
  after: (delayNs, fn) => {
    const handle = later(fn, delayNs / 1e6);
    return () => cancel(handle);
  },
};

/** Makes a kernel instance for a test. */
export function createTestKernel(options: Partial<KernelOptions> = {}): KernelInstance {
  return createKernel({
    host: testHostLoop,
    nrCpus: 4,
    memoryBytes: 16 << 20,
    trace: 'full',
    checks: 'full',
    ...options,
  });
}
