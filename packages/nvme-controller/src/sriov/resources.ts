// Queue pairs and interrupt vectors that a primary controller shares with its secondary controllers: the bookkeeping.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 §8.26.1-2.
import { NVME_VIRT_MGMT_RT_VI_RESOURCE, NVME_VIRT_MGMT_RT_VQ_RESOURCE } from '@nvme-stack/nvme-protocol';
import type { ResolvedController } from '../description.js';

export const VQ = NVME_VIRT_MGMT_RT_VQ_RESOURCE;
export const VI = NVME_VIRT_MGMT_RT_VI_RESOURCE;
/** A kind of resource. */
export type ResourceType = typeof VQ | typeof VI;

/** An admin queue pair and one for I/O. */
const LEAST_QUEUES = 2;

/** One kind of resource; a queue resource is a submission queue with its completion queue, the admin queues included. */
class ResourcePool {
  /** What is the primary's for good. */
  own: number;
  /** What can be given away. */
  readonly flexible: number;
  /** Most of it for one secondary controller. */
  readonly perSecondary: number;
  /** What secondary controllers have. */
  assigned = 0;
  /** What the primary has of it, and what it will have after its next function reset. */
  primary = 0;
  nextPrimary = 0;

  constructor(own: number, flexible: number, perSecondary: number) {
    this.own = own;
    this.flexible = flexible;
    this.perSecondary = perSecondary;
  }
}

/** A secondary controller as its primary knows it. */
export class SecondaryController {
  readonly controllerId: number;
  /** 1-based. */
  readonly vfNumber: number;
  online = false;
  /** By resource type. */
  readonly resources: [vq: number, vi: number] = [0, 0];

  constructor(number: number) {
    this.controllerId = number;
    this.vfNumber = number;
  }

  /** Whether it has what it needs to be online. */
  get isProvided(): boolean {
    return this.resources[VQ] >= LEAST_QUEUES && this.resources[VI] > 0;
  }
}

/** What a controller shares out, and with whom. A controller without virtual functions has nothing to share. */
export class VirtualResources {
  /** By resource type. */
  readonly pools: readonly [vq: ResourcePool, vi: ResourcePool];
  readonly secondaries: readonly SecondaryController[];

  constructor({ maxIoQueuePairs, msixVectors, sriov }: ResolvedController) {
    const queues = maxIoQueuePairs + 1;
    const { vqFlexible = 0, viFlexible = 0, maxVqPerVf = 0, maxViPerVf = 0, maxVfs = 0 } = sriov ?? {};
    this.pools = [
      new ResourcePool(queues - vqFlexible, vqFlexible, maxVqPerVf),
      new ResourcePool(msixVectors - viFlexible, viFlexible, maxViPerVf),
    ];
    this.secondaries = Array.from({ length: maxVfs }, (_, i) => new SecondaryController(i + 1));
  }

  find(controllerId: number): SecondaryController | undefined {
    return this.secondaries[controllerId - 1];
  }

  /** What neither the primary nor a secondary controller has. */
  free(type: ResourceType): number {
    const { flexible, primary, assigned } = this.pools[type];
    return flexible - primary - assigned;
  }

  /** Gives a secondary controller that many, instead of what it had. */
  assign(secondary: SecondaryController, type: ResourceType, count: number): void {
    this.pools[type].assigned += count - secondary.resources[type];
    secondary.resources[type] = count;
  }

  /** A secondary controller gives back what it has. */
  release(secondary: SecondaryController): void {
    this.assign(secondary, VI, 0);
    this.assign(secondary, VQ, 0);
  }

  /** Gives a secondary controller without resources as many as it may have and there are. */
  provide(secondary: SecondaryController): void {
    for (const type of [VQ, VI] as const) {
      if (secondary.resources[type] > 0) continue;
      this.assign(secondary, type, Math.max(0, Math.min(this.pools[type].perSecondary, this.free(type))));
    }
  }

  /** The primary's function reset: it has from now on what it was promised. */
  activatePrimary(): void {
    for (const pool of this.pools) pool.primary = pool.nextPrimary;
  }
}
