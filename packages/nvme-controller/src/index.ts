// nvme-controller: an NVMe controller in TypeScript, for any PCI host.
// Kernel counterpart: none (the hardware).
export { createNvmeController, type NvmeControllerDeps } from './controller.js';
export type { LatencyDescription, NamespaceDescription, NvmeControllerDescription } from './description.js';
export {
  type CheckedFaultPlan,
  type CheckedFaultRule,
  checkFaultPlan,
  checkFaultRule,
  type FaultSchema,
  faultPlanSchema,
} from './faults/check.js';
export * from './faults/rule.js';
export * from './ports.js';
export type { ControllerSnapshot } from './snapshot.js';
export { MemoryBlockStore } from './store/memory-block-store.js';
export { SparseBlockStore } from './store/sparse-block-store.js';
export * from './trace-events.js';
