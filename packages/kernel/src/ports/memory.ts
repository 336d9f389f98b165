/** Physical memory and the DMA API. Counterpart: mm/, kernel/dma. Types and constants only. */
import type { Kernel } from './instance.js';

/** Bytes of a page. */
export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;

/** RAM by physical address. Addresses are numbers below 2^53; a failed allocation is `NO_PAGE`. */
export interface PhysicalMemory {
  /** The array RAM lives in; byte `address` of RAM is `bytes[address]`. Memory stores may share it beyond `sizeBytes`. */
  readonly bytes: Uint8Array;
  /** The same as 32-bit words (little-endian hosts only); word `address >>> 2`. */
  readonly u32: Uint32Array;
  /** Bytes of RAM; pages exist below it. */
  readonly sizeBytes: number;
  /** Physically contiguous, page-aligned, zeroed pages. Any context. @kernel mm/page_alloc.c __alloc_pages */
  allocPages(count: number, owner: string, node?: number): number;
  /** Pages that are pairwise not adjacent, as a user's buffer often is; null when RAM is short. */
  allocScattered(count: number, owner: string): number[] | null;
  /** @kernel mm/page_alloc.c free_pages */
  freePages(address: number, count: number): void;
  /** NUMA node of an address. */
  nodeOf(address: number): number;
  readonly freePageCount: number;
}

/** What `allocPages` returns when RAM is short. */
export const NO_PAGE = -1;

/** Memory that CPU and device both see. `publish` before a doorbell, `acquire` where Linux has dma_rmb. */
export interface CoherentMemory {
  readonly busAddr: number;
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** CPU and device see the same bytes: publish and acquire do nothing, and hot paths leave them out. */
  readonly isShared: boolean;
  publish(offset: number, lengthBytes: number): void;
  acquire(offset: number, lengthBytes: number): void;
}

/** @kernel include/linux/dma-direction.h dma_data_direction */
export const DMA_BIDIRECTIONAL = 0;
export const DMA_TO_DEVICE = 1;
export const DMA_FROM_DEVICE = 2;
export type DmaDirection = 0 | 1 | 2;

/** A bus address no mapping ever has. @kernel include/linux/dma-mapping.h DMA_MAPPING_ERROR */
export const DMA_MAPPING_ERROR = -1;

/** Physical pieces of a request, made once per request and refilled. @kernel include/linux/scatterlist.h scatterlist */
export interface ScatterList {
  readonly capacity: number;
  /** Entries in use before mapping. */
  nents: number;
  readonly physAddr: Float64Array;
  readonly lengthBytes: Float64Array;
  /** Filled by mapping: bus addresses and lengths; `mappedNents` in use. */
  mappedNents: number;
  readonly dmaAddr: Float64Array;
  readonly dmaLengthBytes: Float64Array;
}

/** What the DMA API needs to know of a device. @kernel include/linux/device.h device (dma_ops, dma_mask) */
export interface DmaDevice {
  readonly kernel: Kernel;
  readonly name: string;
  /** Requester id (bus << 8 | devfn): the IOMMU's domain. */
  readonly requesterId: number;
  readonly numaNode: number;
  /** Highest address the device can reach, as a number of bits (64 or 32 …). */
  dmaMaskBits: number;
  coherentDmaMaskBits: number;
  readonly ops: DmaOps;
}

/** How a platform maps memory for a device. Mapping calls may come from any context and never sleep. */
export interface DmaOps {
  /** Zeroed; null when memory is short. @kernel kernel/dma/mapping.c dma_alloc_attrs */
  allocCoherent(dev: DmaDevice, sizeBytes: number): CoherentMemory | null;
  freeCoherent(dev: DmaDevice, memory: CoherentMemory): void;
  /** Returns a bus address or DMA_MAPPING_ERROR. @kernel kernel/dma/mapping.c dma_map_page_attrs */
  mapPage(dev: DmaDevice, physAddr: number, lengthBytes: number, direction: DmaDirection): number;
  unmapPage(dev: DmaDevice, busAddr: number, lengthBytes: number, direction: DmaDirection): void;
  /** Returns the number of mapped entries, 0 on failure. @kernel kernel/dma/mapping.c dma_map_sgtable */
  mapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): number;
  unmapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): void;
  /** Whether this platform can serve a mask of so many bits. @kernel kernel/dma/mapping.c dma_supported */
  supported(dev: DmaDevice, maskBits: number): boolean;
}

/** Told of every mapping; stands behind dma-direct to check device access. Null: nothing is checked. */
export interface DmaMappingObserver {
  map(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void;
  /** Unmapping what is not mapped, or with another direction, is a defect of the driver: the observer reports it. */
  unmap(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void;
}
