/**
 * The kernel's own floor: errno, clock and executor, waiting and locking, physical memory, the DMA API, resources,
 * the log, /proc, the trace and seeded random streams.
 *
 * @packageDocumentation
 */
export { type Costs, DEFAULT_COSTS } from './costs.js';
export { Errno, type ErrnoCode, errnoName, errnoOf, KernelError } from './errno.js';
export { BugError, DeadlockError } from './executor/errors.js';
export { createKernel, type KernelInstance, type KernelOptions } from './kernel.js';
export * from './ports.js';
export {
  Completion,
  complete,
  completeAll,
  reinitCompletion,
  waitForCompletion,
  waitForCompletionTimeout,
} from './sync/completion.js';
export {
  downRead,
  downWrite,
  Mutex,
  mutexLock,
  mutexTrylock,
  mutexUnlock,
  RwSemaphore,
  upRead,
  upWrite,
  withMutex,
} from './sync/mutex.js';
export { cpuRelax, msleep, scheduleTimeout, sleepNs, usleepRange } from './sync/sleep.js';
export { SpinLock, spinLock, spinLockIrq, spinUnlock, spinUnlockIrq } from './sync/spinlock.js';
export { WaitQueue, waitEvent, waitEventTimeout, wakeUpAll } from './sync/wait-queue.js';
export { traced } from './trace/traced.js';
