// How many queues and vectors a controller has at present: all of its description's, unless they are shared.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 §8.26.1.
import type { PciEndpoint } from '@nvme-stack/pci-function';

/** Invariant: no more than the description names, for which the controller was built. */
export class Allotment {
  ioQueuePairs: number;

  constructor(ioQueuePairs: number) {
    this.ioQueuePairs = ioQueuePairs;
  }

  /** Another number of queues, the admin queue pair included, and of MSI-X vectors, which the capability states at once. */
  change(endpoint: PciEndpoint, queues: number, vectors: number): void {
    this.ioQueuePairs = Math.max(0, queues - 1);
    endpoint.msix?.setVectors(Math.max(1, vectors));
  }
}
