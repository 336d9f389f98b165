// A namespace: its place in the store, its block size and whether it is attached.
// Kernel counterpart: the other end of struct nvme_ns. Spec: [NVMe] 2.0 §3.2.1, [NVM] 1.0 §2.1.
import { NVME_NSID_ALL } from '@nvme-stack/nvme-protocol';
import type { ControllerState } from './controller-state.js';
import type { ResolvedNamespace } from './description.js';
import type { BlockStore } from './ports.js';

/** One namespace of the controller. */
export class Namespace {
  readonly nsid: number;
  readonly description: ResolvedNamespace;
  readonly store: BlockStore;
  readonly readOnly: boolean;
  isActive: boolean;
  sizeBytes: number;
  blockSize: number;
  /** Index of the LBA format in use. */
  formatIndex: number;
  /** Size in logical blocks. */
  blocks: number;
  /** Error Recovery feature, per namespace. */
  errorRecovery: number;

  constructor(description: ResolvedNamespace, store: BlockStore) {
    this.nsid = description.nsid;
    this.description = description;
    this.store = store;
    this.readOnly = description.readOnly || store.readOnly;
    this.isActive = description.attached;
    this.sizeBytes = description.sizeBytes;
    this.blockSize = description.logicalBlockSize;
    this.formatIndex = description.logicalBlockSize === 4096 ? 4 : 0;
    this.blocks = Math.floor(this.sizeBytes / this.blockSize);
    this.errorRecovery = 0;
  }

  /** Gives the namespace another size or block size; the store keeps its bytes. */
  reshape(sizeBytes: number, blockSize: number, formatIndex: number): void {
    this.sizeBytes = sizeBytes;
    this.blockSize = blockSize;
    this.formatIndex = formatIndex;
    this.blocks = Math.floor(sizeBytes / blockSize);
  }
}

/** True for 1..NN and the broadcast value. */
export function isNsidValid(controller: ControllerState, nsid: number): boolean {
  return nsid === NVME_NSID_ALL || (nsid > 0 && nsid < controller.namespaces.length);
}
