/**
 * DMA where the device sees RAM as it is: a bus address is the physical address, coherent memory is a view on RAM.
 * Kernel counterpart: kernel/dma/direct.c. An observer behind it may check what the device then does.
 */
import type {
  CoherentMemory,
  DmaDevice,
  DmaDirection,
  DmaMappingObserver,
  DmaOps,
  LiveObjects,
  PhysicalMemory,
  ScatterList,
} from '../ports.js';
import { DMA_BIDIRECTIONAL, DMA_MAPPING_ERROR, NO_PAGE, PAGE_SIZE } from '../ports.js';
import { dmaCapable } from './dma-limits.js';
import { MappingCounters } from './mapping-counters.js';

/** What may limit a platform whose devices see RAM as it is. */
export interface DmaDirectOptions {
  /** Widest mask the platform serves, in bits; a wider one is refused. Default 64. */
  readonly maxMaskBits?: number;
}

class DirectCoherentMemory implements CoherentMemory {
  readonly busAddr: number;
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  readonly isShared = true;
  readonly pages: number;
  freed = false;

  constructor(memory: PhysicalMemory, busAddr: number, sizeBytes: number, pages: number) {
    this.busAddr = busAddr;
    this.sizeBytes = sizeBytes;
    this.bytes = memory.bytes.subarray(busAddr, busAddr + sizeBytes);
    this.u32 = memory.u32.subarray(busAddr / 4, Math.floor((busAddr + sizeBytes) / 4));
    this.view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset + busAddr, sizeBytes);
    this.pages = pages;
  }

  publish(_offset: number, _lengthBytes: number): void {}
  acquire(_offset: number, _lengthBytes: number): void {}
}

class DmaDirect implements DmaOps {
  private readonly memory: PhysicalMemory;
  private readonly observer: DmaMappingObserver | null;
  private readonly counters: MappingCounters;
  private readonly maxMaskBits: number;

  constructor(
    memory: PhysicalMemory,
    observer: DmaMappingObserver | null,
    live: LiveObjects,
    options: DmaDirectOptions,
  ) {
    this.memory = memory;
    this.observer = observer;
    this.counters = new MappingCounters(live);
    this.maxMaskBits = options.maxMaskBits ?? 64;
  }

  allocCoherent(dev: DmaDevice, sizeBytes: number): CoherentMemory | null {
    const { trace } = dev.kernel;
    if (trace.functions) trace.enter('dma_direct_alloc');
    const memory = this.alloc(dev, sizeBytes);
    if (trace.functions) trace.exit();
    return memory;
  }

  private alloc(dev: DmaDevice, sizeBytes: number): CoherentMemory | null {
    const pages = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
    const address = this.memory.allocPages(pages, dev.name, dev.numaNode);
    if (address === NO_PAGE) return null;
    if (!dmaCapable(dev.coherentDmaMaskBits, address, sizeBytes)) {
      this.memory.freePages(address, pages);
      return null;
    }
    this.observer?.map(dev.requesterId, address, sizeBytes, DMA_BIDIRECTIONAL);
    return new DirectCoherentMemory(this.memory, address, sizeBytes, pages);
  }

  freeCoherent(dev: DmaDevice, memory: CoherentMemory): void {
    const { trace } = dev.kernel;
    if (trace.functions) trace.enter('dma_direct_free');
    if (!(memory instanceof DirectCoherentMemory)) dev.kernel.ex.bug(`${dev.name}: dma_free of foreign memory`);
    if (memory.freed) dev.kernel.ex.bug(`${dev.name}: dma_free of memory that is free`);
    memory.freed = true;
    this.observer?.unmap(dev.requesterId, memory.busAddr, memory.sizeBytes, DMA_BIDIRECTIONAL);
    this.memory.freePages(memory.busAddr, memory.pages);
    if (trace.functions) trace.exit();
  }

  mapPage(dev: DmaDevice, physAddr: number, lengthBytes: number, direction: DmaDirection): number {
    if (!dmaCapable(dev.dmaMaskBits, physAddr, lengthBytes)) return DMA_MAPPING_ERROR;
    if (this.observer !== null) this.observer.map(dev.requesterId, physAddr, lengthBytes, direction);
    this.counters.of(dev).add(1);
    return physAddr;
  }

  unmapPage(dev: DmaDevice, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    if (this.observer !== null) this.observer.unmap(dev.requesterId, busAddr, lengthBytes, direction);
    this.counters.of(dev).remove(1);
  }

  mapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): number {
    const { trace } = dev.kernel;
    if (trace.functions) trace.enter('dma_direct_map_sg');
    const mapped = this.mapEntries(dev, sg, direction);
    if (trace.functions) trace.exit();
    return mapped;
  }

  private mapEntries(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): number {
    const { nents } = sg;
    if (sg.mappedNents !== 0) dev.kernel.ex.bug(`${dev.name}: dma_map_sg of a list that is mapped`);
    for (let i = 0; i < nents; i++) {
      if (!dmaCapable(dev.dmaMaskBits, sg.physAddr[i] as number, sg.lengthBytes[i] as number)) return 0;
    }
    for (let i = 0; i < nents; i++) {
      const physAddr = sg.physAddr[i] as number;
      const lengthBytes = sg.lengthBytes[i] as number;
      sg.dmaAddr[i] = physAddr;
      sg.dmaLengthBytes[i] = lengthBytes;
      if (this.observer !== null) this.observer.map(dev.requesterId, physAddr, lengthBytes, direction);
    }
    sg.mappedNents = nents;
    this.counters.of(dev).add(nents);
    return nents;
  }

  unmapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): void {
    const { trace } = dev.kernel;
    if (trace.functions) trace.enter('dma_direct_unmap_sg');
    const { mappedNents } = sg;
    if (mappedNents === 0) dev.kernel.ex.bug(`${dev.name}: dma_unmap_sg of a list that is not mapped`);
    if (this.observer !== null) {
      for (let i = 0; i < mappedNents; i++) {
        this.observer.unmap(dev.requesterId, sg.dmaAddr[i] as number, sg.dmaLengthBytes[i] as number, direction);
      }
    }
    sg.mappedNents = 0;
    this.counters.of(dev).remove(mappedNents);
    if (trace.functions) trace.exit();
  }

  supported(_dev: DmaDevice, maskBits: number): boolean {
    // There are no zones and no bounce buffers: a mask must reach all of RAM.
    return maskBits <= this.maxMaskBits && dmaCapable(maskBits, 0, this.memory.sizeBytes);
  }
}

/** Makes the operations; one instance serves every device of a machine. @kernel kernel/dma/direct.c dma_direct_map_page */
export function createDmaDirect(
  memory: PhysicalMemory,
  observer: DmaMappingObserver | null,
  live: LiveObjects,
  options: DmaDirectOptions = {},
): DmaOps {
  return new DmaDirect(memory, observer, live, options);
}
