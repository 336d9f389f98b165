/**
 * The kernel's own floor: errno, clock and executor, waiting and locking, physical memory, the DMA API, resources,
 * the log, /proc, the trace and seeded random streams.
 *
 * @packageDocumentation
 */
export { bitmapList } from './bitmap-list.js';
export { type Costs, DEFAULT_COSTS } from './costs.js';
export { Errno, type ErrnoCode, errnoName, errnoOf, KernelError } from './errno.js';
export { BugError, DeadlockError } from './executor/errors.js';
export { HZ, jiffies, jiffiesToMsecs, jiffiesToNs, msecsToJiffies, NS_PER_JIFFY, roundJiffies } from './jiffies.js';
export { createKernel, type KernelInstance, type KernelOptions } from './kernel.js';
export { createLiveObjects, type LiveCounter, liveCounter } from './live-objects.js';
export {
  dmaAllocCoherent,
  dmaFreeCoherent,
  dmaMapPage,
  dmaMapSgtable,
  dmaSetCoherentMask,
  dmaSetMask,
  dmaSetMaskAndCoherent,
  dmaUnmapPage,
  dmaUnmapSg,
} from './memory/dma.js';
export { createDmaDirect, type DmaDirectOptions } from './memory/dma-direct.js';
export { createDmaMirrored, type DmaMirrorTransport } from './memory/dma-mirrored.js';
export {
  DmaPool,
  DmaPoolBlock,
  type DmaPoolDevice,
  dmaPoolAlloc,
  dmaPoolCreate,
  dmaPoolDestroy,
  dmaPoolFree,
  dmaPoolsShow,
} from './memory/dma-pool.js';
export { createPhysicalMemory, type PhysicalMemoryOptions } from './memory/physical-memory.js';
export { createScatterList, sgAppend, sgInitTable, sgSetPage } from './memory/scatter-list.js';
export * from './ports.js';
export { createPrintk, devPrintk, hexText } from './printk.js';
export { createProcfs } from './procfs.js';
export { createRandomStreams } from './random.js';
export { RateLimit } from './rate-limit.js';
export { createResourceTree, IORESOURCE_BUSY, IORESOURCE_IO, IORESOURCE_MEM } from './resource.js';
export {
  Completion,
  complete,
  completeAll,
  reinitCompletion,
  waitForCompletion,
  waitForCompletionTimeout,
} from './sync/completion.js';
export { Mutex, mutexLock, mutexTrylock, mutexUnlock, withMutex } from './sync/mutex.js';
export { downRead, downWrite, RwSemaphore, upRead, upWrite } from './sync/rwsem.js';
export { cpuRelax, msleep, scheduleTimeout, sleepNs, usleepRange } from './sync/sleep.js';
export { SpinLock, spinLock, spinLockIrq, spinUnlock, spinUnlockIrq } from './sync/spinlock.js';
export { WaitQueue, waitEvent, waitEventTimeout, wakeUpAll } from './sync/wait-queue.js';
export {
  delTimer,
  delTimerSync,
  ktimeGet,
  ktimeGetRealMs,
  modTimer,
  Timer,
  timerPending,
  timerSetup,
} from './time.js';
export * from './trace/formats/index.js';
export { traced } from './trace/traced.js';
