/**
 * Buffers of synchronous commands: whole, physically contiguous pages, so that a mapping covers nobody else's data.
 * Kernel counterpart: the kmalloc'ed buffers of drivers/nvme/host/core.c.
 */
import { type HasKernel, PAGE_SIZE } from '@nvme-stack/kernel';
import type { NvmeSyncBuffer } from './ports.js';

/** Zeroed; `physAddr` is NO_PAGE when memory is short. Any context. @kernel include/linux/slab.h kzalloc */
export function allocBuffer(self: HasKernel, lengthBytes: number): NvmeSyncBuffer {
  const physAddr = self.kernel.memory.allocPages(pagesOf(lengthBytes), 'nvme-core');
  return { physAddr, lengthBytes };
}

/** @kernel mm/slub.c kfree */
export function freeBuffer(self: HasKernel, buffer: NvmeSyncBuffer): void {
  self.kernel.memory.freePages(buffer.physAddr, pagesOf(buffer.lengthBytes));
}

/** The buffer's bytes in place. */
export function bufferBytes(self: HasKernel, { physAddr, lengthBytes }: NvmeSyncBuffer): Uint8Array {
  return self.kernel.memory.bytes.subarray(physAddr, physAddr + lengthBytes);
}

function pagesOf(lengthBytes: number): number {
  return Math.max(1, Math.floor((lengthBytes + PAGE_SIZE - 1) / PAGE_SIZE));
}
