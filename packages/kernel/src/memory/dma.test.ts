import { describe, expect, it } from 'vitest';
import { KernelError } from '../errno.js';
import type { CoherentMemory } from '../ports.js';
import { DMA_FROM_DEVICE } from '../ports.js';
import { createDirectFixture, TestDmaDevice } from '../testing/test-dma.js';
import {
  dmaAllocCoherent,
  dmaFreeCoherent,
  dmaMapPage,
  dmaMapSgtable,
  dmaSetMaskAndCoherent,
  dmaUnmapPage,
  dmaUnmapSg,
} from './dma.js';
import { createDmaDirect } from './dma-direct.js';
import { createScatterList, sgAppend } from './scatter-list.js';

describe('the DMA API', () => {
  it('appears in the trace under the kernel’s symbols, nested as in the kernel', () => {
    const { dev, memory } = createDirectFixture();
    const page = memory.allocPages(1, 'b');
    const sg = createScatterList(1);
    sgAppend(sg, page, 512);
    const coherent = dmaAllocCoherent(dev, 64) as CoherentMemory;
    dmaUnmapPage(dev, dmaMapPage(dev, page, 512, DMA_FROM_DEVICE), 512, DMA_FROM_DEVICE);
    expect(dmaMapSgtable(dev, sg, DMA_FROM_DEVICE)).toBe(1);
    dmaUnmapSg(dev, sg, DMA_FROM_DEVICE);
    dmaFreeCoherent(dev, coherent);
    const calls = dev.kernel.trace.entries.map((entry) => `${entry.depth} ${entry.symbol}`);
    expect(calls).toEqual([
      '0 dma_alloc_attrs',
      '1 dma_direct_alloc',
      '0 dma_map_page_attrs',
      '0 dma_unmap_page_attrs',
      '0 dma_map_sgtable',
      '1 __dma_map_sg_attrs',
      '2 dma_direct_map_sg',
      '0 dma_unmap_sg_attrs',
      '1 dma_direct_unmap_sg',
      '0 dma_free_attrs',
      '1 dma_direct_free',
    ]);
    expect(dev.kernel.trace.entries.every((entry) => entry.durationNs >= 0)).toBe(true);
  });

  it('sets both masks, or throws EIO and sets none, so that a driver can fall back to 32 bits', () => {
    const { memory, live, dev } = createDirectFixture();
    const narrow = new TestDmaDevice(dev.kernel, createDmaDirect(memory, null, live, { maxMaskBits: 32 }));
    narrow.dmaMaskBits = narrow.coherentDmaMaskBits = 31;
    const attempt = (bits: number): number => {
      try {
        dmaSetMaskAndCoherent(narrow, bits);
        return 0;
      } catch (error) {
        return KernelError.is(error) ? error.errno : 1;
      }
    };
    expect(attempt(64)).toBe(-5);
    expect([narrow.dmaMaskBits, narrow.coherentDmaMaskBits]).toEqual([31, 31]);
    expect(attempt(0)).toBe(-5);
    expect(attempt(65)).toBe(-5);
    expect(attempt(32)).toBe(0);
    expect([narrow.dmaMaskBits, narrow.coherentDmaMaskBits]).toEqual([32, 32]);
  });
});
