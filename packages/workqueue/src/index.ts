/**
 * Workqueues: worker pools, deferred and delayed work, asynchronous function calls.
 *
 * @packageDocumentation
 */
export * from './ports.js';
export { type WorkqueueOptions, WQ_DFL_ACTIVE, WQ_MAX_ACTIVE } from './system.js';
export { createWorkqueues, type WorkqueueDeps } from './workqueues.js';
