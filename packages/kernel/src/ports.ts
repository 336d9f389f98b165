/**
 * The interfaces the kernel package owns: time, execution, memory, DMA, trace, and the instance that holds them.
 * Types and constants only. Counterparts: kernel/sched, kernel/time, mm/, kernel/dma, kernel/trace.
 */
export * from './ports/contexts.js';
export * from './ports/cpus.js';
export * from './ports/executor.js';
export * from './ports/instance.js';
export * from './ports/loop.js';
export * from './ports/memory.js';
export * from './ports/reports.js';
export * from './ports/resources.js';
export * from './ports/trace.js';
