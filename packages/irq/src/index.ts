/**
 * Interrupts: descriptors, flow handlers, threads, MSI, and spreading over the CPUs.
 *
 * @packageDocumentation
 */
export { createIrqs, type IrqDeps } from './irqs.js';
export * from './ports.js';
