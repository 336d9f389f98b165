/**
 * The DMA API as drivers call it: each function traces under its kernel symbol and asks the device's platform.
 * Kernel counterpart: kernel/dma/mapping.c. Mapping functions allocate nothing and never sleep.
 */
import { KernelError } from '../errno.js';
import type { CoherentMemory, DmaDevice, DmaDirection, ScatterList } from '../ports.js';
import { isDmaMask } from './dma-limits.js';

/**
 * Zeroed memory that CPU and device share, at least page-aligned; null when memory is short. Any context.
 * @kernel kernel/dma/mapping.c dma_alloc_attrs
 */
export function dmaAllocCoherent(dev: DmaDevice, sizeBytes: number): CoherentMemory | null {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_alloc_attrs');
  const memory = dev.ops.allocCoherent(dev, sizeBytes);
  if (trace.functions) trace.exit();
  return memory;
}

/** Gives coherent memory back. Any context. @kernel kernel/dma/mapping.c dma_free_attrs */
export function dmaFreeCoherent(dev: DmaDevice, memory: CoherentMemory): void {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_free_attrs');
  dev.ops.freeCoherent(dev, memory);
  if (trace.functions) trace.exit();
}

/**
 * Maps `lengthBytes` (>= 1) at `physAddr` for the device; a bus address or DMA_MAPPING_ERROR. Any context.
 * @kernel kernel/dma/mapping.c dma_map_page_attrs
 */
export function dmaMapPage(dev: DmaDevice, physAddr: number, lengthBytes: number, direction: DmaDirection): number {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_map_page_attrs');
  const busAddr = dev.ops.mapPage(dev, physAddr, lengthBytes, direction);
  if (trace.functions) trace.exit();
  return busAddr;
}

/** Ends a mapping, with the length and direction it was made with. Any context. @kernel kernel/dma/mapping.c dma_unmap_page_attrs */
export function dmaUnmapPage(dev: DmaDevice, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_unmap_page_attrs');
  dev.ops.unmapPage(dev, busAddr, lengthBytes, direction);
  if (trace.functions) trace.exit();
}

/**
 * Maps a list's `nents` entries and sets `mappedNents`, `dmaAddr` and `dmaLengthBytes`; the number of mapped entries,
 * 0 on failure, when nothing stays mapped. Any context. @kernel kernel/dma/mapping.c dma_map_sgtable
 */
export function dmaMapSgtable(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): number {
  const { trace } = dev.kernel;
  if (!trace.functions) return dev.ops.mapSg(dev, sg, direction);
  trace.enter('dma_map_sgtable');
  trace.enter('__dma_map_sg_attrs');
  const mapped = dev.ops.mapSg(dev, sg, direction);
  trace.exit();
  trace.exit();
  return mapped;
}

/** Ends the mapping of a list, with the direction it was made with. Any context. @kernel kernel/dma/mapping.c dma_unmap_sg_attrs */
export function dmaUnmapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): void {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_unmap_sg_attrs');
  dev.ops.unmapSg(dev, sg, direction);
  if (trace.functions) trace.exit();
}

/**
 * Declares that the device reaches addresses of `maskBits` (1 to 64) in streaming mappings; throws EIO when the
 * platform cannot serve that. Task context. @kernel kernel/dma/mapping.c dma_set_mask
 */
export function dmaSetMask(dev: DmaDevice, maskBits: number): void {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_set_mask');
  const supported = isDmaMask(maskBits) && dev.ops.supported(dev, maskBits);
  if (supported) dev.dmaMaskBits = maskBits;
  if (trace.functions) trace.exit();
  if (!supported) throw new KernelError('EIO', `${dev.name}: DMA mask of ${maskBits} bits`);
}

/** The same for coherent memory; throws EIO. Task context. @kernel kernel/dma/mapping.c dma_set_coherent_mask */
export function dmaSetCoherentMask(dev: DmaDevice, maskBits: number): void {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_set_coherent_mask');
  const supported = isDmaMask(maskBits) && dev.ops.supported(dev, maskBits);
  if (supported) dev.coherentDmaMaskBits = maskBits;
  if (trace.functions) trace.exit();
  if (!supported) throw new KernelError('EIO', `${dev.name}: coherent DMA mask of ${maskBits} bits`);
}

/** Both masks; throws EIO and changes neither. Task context. @kernel include/linux/dma-mapping.h dma_set_mask_and_coherent */
export function dmaSetMaskAndCoherent(dev: DmaDevice, maskBits: number): void {
  dmaSetMask(dev, maskBits);
  dmaSetCoherentMask(dev, maskBits);
}
