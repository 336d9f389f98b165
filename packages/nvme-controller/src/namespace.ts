// A namespace: its place in the store, its format and whether it is attached. The store holds the data of all blocks, and
// behind them their metadata.
// Kernel counterpart: the other end of struct nvme_ns. Spec: [NVMe] 2.0 §3.2.1, [NVM] 1.0 §2.1, §4.1.5 (FLBAS, DPS).
import * as nvme from '@nvme-stack/nvme-protocol';
import type { ControllerState } from './controller-state.js';
import type { ResolvedNamespace } from './description.js';
import { formatIndexOf, LBA_FORMATS, PROTECTION_BYTES } from './lba-formats.js';
import type { BlockStore } from './ports.js';

/** One namespace of the controller. */
export class Namespace {
  readonly nsid: number;
  readonly description: ResolvedNamespace;
  readonly store: BlockStore;
  readonly readOnly: boolean;
  isActive: boolean;
  /** Of the store, metadata included. */
  sizeBytes: number;
  /** As Identify Namespace states them. */
  flbas: number;
  dps: number;
  blockSize: number;
  /** Metadata of a block, and where those of block 0 are in the store. */
  metadataBytes: number;
  metadataOffset: number;
  /** Metadata follow the data of their block in the host's memory. */
  isExtended: boolean;
  /** 0: no protection information; otherwise where in a block's metadata it is. */
  protectionType: number;
  protectionAt: number;
  /** Size in logical blocks. */
  blocks: number;
  /** The same for commands of the short way; 0 while every command needs a look at metadata or at what is deallocated. */
  plainBlocks: number;
  /** Error Recovery feature, per namespace. */
  errorRecovery: number;
  /** Format NVM is under way; commands that began before one ends do not go on. */
  isFormatting: boolean;
  formats: number;

  constructor(description: ResolvedNamespace, store: BlockStore) {
    const { logicalBlockSize, metadataBytes, metadataExtended, protectionType, protectionFirst } = description;
    this.nsid = description.nsid;
    this.description = description;
    this.store = store;
    this.readOnly = description.readOnly || store.readOnly;
    this.isActive = description.attached;
    this.sizeBytes = description.sizeBytes;
    this.flbas = 0;
    this.dps = 0;
    this.blockSize = logicalBlockSize;
    this.metadataBytes = 0;
    this.metadataOffset = 0;
    this.isExtended = false;
    this.protectionType = 0;
    this.protectionAt = 0;
    this.blocks = 0;
    this.plainBlocks = 0;
    this.errorRecovery = 0;
    this.isFormatting = false;
    this.formats = 0;
    this.format(
      formatIndexOf(logicalBlockSize, metadataBytes) | (metadataExtended ? nvme.NVME_NS_FLBAS_META_EXT : 0),
      protectionType | (protectionFirst ? nvme.NVME_NS_DPS_PI_FIRST : 0),
    );
  }

  /** Index of the LBA format in use. */
  get formatIndex(): number {
    return this.flbas & nvme.NVME_NS_FLBAS_LBA_MASK;
  }

  /** Deallocated blocks cannot be read: Error Recovery's DULBE. */
  get reportsDeallocated(): boolean {
    return nvme.ErrorRecovery.DULBE.get(this.errorRecovery) !== 0;
  }

  /** Another format; whoever asks for it empties the store. */
  format(flbas: number, dps: number): void {
    const { dataShift, metadataBytes } = LBA_FORMATS[
      flbas & nvme.NVME_NS_FLBAS_LBA_MASK
    ] as (typeof LBA_FORMATS)[number];
    this.flbas = flbas;
    this.dps = dps;
    this.blockSize = 1 << dataShift;
    this.metadataBytes = metadataBytes;
    this.isExtended = metadataBytes !== 0 && (flbas & nvme.NVME_NS_FLBAS_META_EXT) !== 0;
    this.protectionType = dps & nvme.NVME_NS_DPS_PI_MASK;
    this.protectionAt = (dps & nvme.NVME_NS_DPS_PI_FIRST) !== 0 ? 0 : metadataBytes - PROTECTION_BYTES;
    this.blocks = Math.floor(this.sizeBytes / (this.blockSize + metadataBytes));
    this.metadataOffset = this.blocks * this.blockSize;
    this.formats++;
    this.choosePath();
  }

  /** Gives the namespace another size; the store keeps its bytes. False: its metadata are where its data would be. */
  resize(sizeBytes: number): boolean {
    const blocks = Math.floor(sizeBytes / (this.blockSize + this.metadataBytes));
    if (this.metadataBytes === 0) this.metadataOffset = blocks * this.blockSize;
    else if (blocks * this.blockSize > this.metadataOffset) return false;
    this.sizeBytes = sizeBytes;
    this.blocks = blocks;
    this.choosePath();
    return true;
  }

  /** Sets the Error Recovery feature. */
  setErrorRecovery(value: number): void {
    this.errorRecovery = value;
    this.choosePath();
  }

  /** Format NVM begins, or is over. */
  setFormatting(isFormatting: boolean): void {
    this.isFormatting = isFormatting;
    this.choosePath();
  }

  /** Whether reads and writes may go the short way. */
  choosePath(): void {
    const isPlain = this.metadataBytes === 0 && !this.reportsDeallocated && !this.isFormatting;
    this.plainBlocks = isPlain ? this.blocks : 0;
  }

  /** True if blocks [slba, slba + count) hold data; so they do in a store that does not know. */
  isAllocated(slba: number, count: number): boolean {
    const { store, blockSize } = this;
    return store.isAllocated === undefined || store.isAllocated(slba * blockSize, count * blockSize);
  }
}

/** True for 1..NN and the broadcast value. */
export function isNsidValid(controller: ControllerState, nsid: number): boolean {
  return nsid === nvme.NVME_NSID_ALL || (nsid > 0 && nsid < controller.namespaces.length);
}
