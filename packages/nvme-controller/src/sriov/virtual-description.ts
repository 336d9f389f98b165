// What a virtual function's controller is built as: its physical function's, with room for what it can be given at most.
// Kernel counterpart: none. Spec: [NVMe] 2.0 §8.26.
import type { ResolvedController } from '../description.js';
import type { ResolvedSriov } from './description.js';

/** The description of every virtual function of a controller. Faults, host memory and shared namespaces are not in it. */
export function resolveVirtual(resolved: ResolvedController, sriov: ResolvedSriov): ResolvedController {
  return {
    ...resolved,
    maxIoQueuePairs: sriov.maxVqPerVf - 1,
    msixVectors: sriov.maxViPerVf,
    hmb: null,
    sriov: null,
    subsystemReset: false,
    faults: { faults: [] },
    namespaces: [],
  };
}
