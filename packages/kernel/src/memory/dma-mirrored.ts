/**
 * DMA where the device's memory is elsewhere: coherent memory is a private copy that `publish` and `acquire` move,
 * streaming mappings go through bounce pages. Serves a device in another process, and shows missing barriers.
 * Kernel counterpart: kernel/dma/swiotlb.c.
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
import { DMA_BIDIRECTIONAL, DMA_MAPPING_ERROR, DMA_TO_DEVICE, PAGE_SIZE } from '../ports.js';
import { dmaCapable } from './dma-limits.js';
import { MappingCounters } from './mapping-counters.js';
import { NO_ROOM, PageAllocator } from './page-allocator.js';

/** How bytes reach the memory the device sees. Calls are synchronous. */
export interface DmaMirrorTransport {
  /** First bus address of the range handed out, a multiple of PAGE_SIZE. */
  readonly baseAddr: number;
  /** Bytes of the range, a multiple of PAGE_SIZE. */
  readonly sizeBytes: number;
  /** Copies `length` bytes at bus address `addr` into `bytes` at `offset`. */
  read(addr: number, bytes: Uint8Array, offset: number, length: number): void;
  /** Copies `length` bytes of `bytes` at `offset` to bus address `addr`. */
  write(addr: number, bytes: Uint8Array, offset: number, length: number): void;
}

const TAG_COHERENT = 1;
/** First page of a streaming mapping, by direction: TAG_STREAMING + direction. */
const TAG_STREAMING = 2;
/** Its further pages. */
const TAG_CONTINUED = 5;

class MirroredCoherentMemory implements CoherentMemory {
  readonly busAddr: number;
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  readonly isShared = false;
  readonly pages: number;
  freed = false;
  private readonly transport: DmaMirrorTransport;

  constructor(transport: DmaMirrorTransport, busAddr: number, sizeBytes: number, pages: number) {
    const buffer = new ArrayBuffer(pages * PAGE_SIZE);
    this.busAddr = busAddr;
    this.sizeBytes = sizeBytes;
    this.bytes = new Uint8Array(buffer, 0, sizeBytes);
    this.u32 = new Uint32Array(buffer, 0, Math.floor(sizeBytes / 4));
    this.view = new DataView(buffer, 0, sizeBytes);
    this.pages = pages;
    this.transport = transport;
  }

  publish(offset: number, lengthBytes: number): void {
    this.transport.write(this.busAddr + offset, this.bytes, offset, lengthBytes);
  }

  acquire(offset: number, lengthBytes: number): void {
    this.transport.read(this.busAddr + offset, this.bytes, offset, lengthBytes);
  }
}

class DmaMirrored implements DmaOps {
  private readonly transport: DmaMirrorTransport;
  private readonly memory: PhysicalMemory;
  private readonly observer: DmaMappingObserver | null;
  private readonly live: LiveObjects;
  private readonly counters: MappingCounters;
  private readonly remote: PageAllocator;
  /** By first bounce page: where its bytes belong, and how many they are. */
  private readonly origin: Float64Array;
  private readonly lengths: Float64Array;

  constructor(
    transport: DmaMirrorTransport,
    memory: PhysicalMemory,
    observer: DmaMappingObserver | null,
    live: LiveObjects,
  ) {
    const pages = transport.sizeBytes / PAGE_SIZE;
    this.transport = transport;
    this.memory = memory;
    this.observer = observer;
    this.live = live;
    this.counters = new MappingCounters(live);
    this.remote = new PageAllocator(transport.baseAddr / PAGE_SIZE, pages);
    this.origin = new Float64Array(pages);
    this.lengths = new Float64Array(pages);
  }

  allocCoherent(dev: DmaDevice, sizeBytes: number): CoherentMemory | null {
    const pages = pagesOf(sizeBytes);
    const page = this.remote.takeRun(pages, TAG_COHERENT);
    if (page === NO_ROOM) return null;
    const busAddr = page * PAGE_SIZE;
    if (!dmaCapable(dev.coherentDmaMaskBits, busAddr, sizeBytes)) {
      this.releaseRun(page, pages);
      return null;
    }
    const memory = new MirroredCoherentMemory(this.transport, busAddr, sizeBytes, pages);
    memory.publish(0, sizeBytes);
    this.observer?.map(dev.requesterId, busAddr, sizeBytes, DMA_BIDIRECTIONAL);
    this.live.add('pages', dev.name, pages);
    return memory;
  }

  freeCoherent(dev: DmaDevice, memory: CoherentMemory): void {
    if (!(memory instanceof MirroredCoherentMemory)) dev.kernel.ex.bug(`${dev.name}: dma_free of foreign memory`);
    if (memory.freed) dev.kernel.ex.bug(`${dev.name}: dma_free of memory that is free`);
    memory.freed = true;
    this.observer?.unmap(dev.requesterId, memory.busAddr, memory.sizeBytes, DMA_BIDIRECTIONAL);
    this.releaseRun(memory.busAddr / PAGE_SIZE, memory.pages);
    this.live.remove('pages', dev.name, memory.pages);
  }

  mapPage(dev: DmaDevice, physAddr: number, lengthBytes: number, direction: DmaDirection): number {
    // The offset within the page is kept: the alignment rules of devices hold for the bounced buffer too.
    if (physAddr + lengthBytes > this.memory.sizeBytes) return DMA_MAPPING_ERROR;
    const offset = physAddr % PAGE_SIZE;
    const pages = pagesOf(offset + lengthBytes);
    const page = pages === 1 ? this.remote.takeOne(TAG_STREAMING + direction) : this.takePages(pages, direction);
    if (page === NO_ROOM) return DMA_MAPPING_ERROR;
    const busAddr = page * PAGE_SIZE + offset;
    if (!dmaCapable(dev.dmaMaskBits, busAddr, lengthBytes)) {
      this.releaseRun(page, pages);
      return DMA_MAPPING_ERROR;
    }
    const index = page - this.remote.firstPage;
    this.origin[index] = physAddr;
    this.lengths[index] = lengthBytes;
    // For every direction, so that what the device leaves unwritten comes back unchanged.
    this.transport.write(busAddr, this.memory.bytes, physAddr, lengthBytes);
    if (this.observer !== null) this.observer.map(dev.requesterId, busAddr, lengthBytes, direction);
    this.counters.of(dev).add(1);
    return busAddr;
  }

  private takePages(pages: number, direction: DmaDirection): number {
    const page = this.remote.takeRun(pages, TAG_CONTINUED);
    if (page !== NO_ROOM) this.remote.setTag(page, TAG_STREAMING + direction);
    return page;
  }

  unmapPage(dev: DmaDevice, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    const page = Math.floor(busAddr / PAGE_SIZE);
    const index = page - this.remote.firstPage;
    const physAddr = this.origin[index] as number;
    const matches = this.remote.tagOf(page) === TAG_STREAMING + direction && this.lengths[index] === lengthBytes;
    if (!matches || physAddr % PAGE_SIZE !== busAddr % PAGE_SIZE) {
      const what = `${lengthBytes} bytes at 0x${busAddr.toString(16)}, direction ${direction}`;
      dev.kernel.ex.bug(`${dev.name}: dma_unmap of what is not mapped so: ${what}`);
    }
    if (direction !== DMA_TO_DEVICE) this.transport.read(busAddr, this.memory.bytes, physAddr, lengthBytes);
    if (this.observer !== null) this.observer.unmap(dev.requesterId, busAddr, lengthBytes, direction);
    this.releaseRun(page, pagesOf((physAddr % PAGE_SIZE) + lengthBytes));
    this.counters.of(dev).remove(1);
  }

  mapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): number {
    if (sg.mappedNents !== 0) dev.kernel.ex.bug(`${dev.name}: dma_map_sg of a list that is mapped`);
    const { nents } = sg;
    for (let i = 0; i < nents; i++) {
      const lengthBytes = sg.lengthBytes[i] as number;
      const busAddr = this.mapPage(dev, sg.physAddr[i] as number, lengthBytes, direction);
      if (busAddr === DMA_MAPPING_ERROR) {
        this.unmapEntries(dev, sg, i, direction);
        return 0;
      }
      sg.dmaAddr[i] = busAddr;
      sg.dmaLengthBytes[i] = lengthBytes;
    }
    sg.mappedNents = nents;
    return nents;
  }

  unmapSg(dev: DmaDevice, sg: ScatterList, direction: DmaDirection): void {
    if (sg.mappedNents === 0) dev.kernel.ex.bug(`${dev.name}: dma_unmap_sg of a list that is not mapped`);
    this.unmapEntries(dev, sg, sg.mappedNents, direction);
    sg.mappedNents = 0;
  }

  private unmapEntries(dev: DmaDevice, sg: ScatterList, count: number, direction: DmaDirection): void {
    for (let i = 0; i < count; i++) {
      this.unmapPage(dev, sg.dmaAddr[i] as number, sg.dmaLengthBytes[i] as number, direction);
    }
  }

  private releaseRun(page: number, pages: number): void {
    for (let i = pages - 1; i >= 0; i--) this.remote.release(page + i);
  }

  supported(_dev: DmaDevice, maskBits: number): boolean {
    return dmaCapable(maskBits, this.transport.baseAddr, this.transport.sizeBytes);
  }
}

function pagesOf(sizeBytes: number): number {
  return Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
}

/**
 * Makes the operations over a range of the device's memory, which they alone hand out; throws RangeError when the
 * range is not whole pages. @kernel kernel/dma/swiotlb.c swiotlb_map
 */
export function createDmaMirrored(
  transport: DmaMirrorTransport,
  memory: PhysicalMemory,
  observer: DmaMappingObserver | null,
  live: LiveObjects,
): DmaOps {
  const { baseAddr, sizeBytes } = transport;
  if (!(baseAddr >= 0 && sizeBytes > 0) || baseAddr % PAGE_SIZE !== 0 || sizeBytes % PAGE_SIZE !== 0) {
    throw new RangeError(`range of ${sizeBytes} bytes at ${baseAddr}; allowed: whole pages of ${PAGE_SIZE} bytes`);
  }
  return new DmaMirrored(transport, memory, observer, live);
}
