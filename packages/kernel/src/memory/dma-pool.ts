/**
 * DMA pools: small coherent blocks of one size, cut from pages that stay with the pool until it goes.
 * Kernel counterpart: mm/dmapool.c.
 */
import { KernelError } from '../errno.js';
import { type LiveCounter, liveCounter } from '../live-objects.js';
import type { CoherentMemory, DmaDevice, HasKernel, Kernel } from '../ports.js';
import { PAGE_SIZE } from '../ports.js';
import { dmaAllocCoherent, dmaFreeCoherent } from './dma.js';

/** Smallest block: room for the link a free block holds. */
const MIN_BLOCK_BYTES = 16;

/** A device that remembers its pools, newest first, for its sysfs file `pools`. @kernel include/linux/device.h device.dma_pools */
export interface DmaPoolDevice extends DmaDevice {
  dmaPools?: DmaPool[];
}

/** One block; made with its page and reused for every allocation that gets it. */
export class DmaPoolBlock {
  readonly busAddr: number;
  /** The page it is cut from; publish and acquire at `offset`. */
  readonly memory: CoherentMemory;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  /** The pool's. */
  readonly pool: DmaPool;
  inUse = false;
  next: DmaPoolBlock | null = null;

  constructor(pool: DmaPool, memory: CoherentMemory, offset: number, sizeBytes: number) {
    this.pool = pool;
    this.memory = memory;
    this.offset = offset;
    this.busAddr = memory.busAddr + offset;
    this.bytes = memory.bytes.subarray(offset, offset + sizeBytes);
    this.u32 = memory.u32.subarray(Math.floor(offset / 4), Math.floor((offset + sizeBytes) / 4));
    this.view = new DataView(memory.view.buffer, memory.view.byteOffset + offset, sizeBytes);
  }

  publish(lengthBytes: number): void {
    this.memory.publish(this.offset, lengthBytes);
  }

  acquire(lengthBytes: number): void {
    this.memory.acquire(this.offset, lengthBytes);
  }
}

/** @kernel mm/dmapool.c dma_pool */
export class DmaPool implements HasKernel {
  readonly kernel: Kernel;
  readonly name: string;
  readonly dev: DmaPoolDevice;
  /** Bytes of a block, rounded up to the alignment. */
  readonly sizeBytes: number;
  readonly allocationBytes: number;
  readonly boundaryBytes: number;
  readonly pages: CoherentMemory[] = [];
  /** Blocks handed out. */
  nrActive = 0;
  nrBlocks = 0;
  destroyed = false;
  /** Free blocks, last freed first. */
  free: DmaPoolBlock | null = null;
  readonly live: LiveCounter;

  constructor(name: string, dev: DmaPoolDevice, sizeBytes: number, allocationBytes: number, boundaryBytes: number) {
    this.kernel = dev.kernel;
    this.name = name;
    this.dev = dev;
    this.sizeBytes = sizeBytes;
    this.allocationBytes = allocationBytes;
    this.boundaryBytes = boundaryBytes;
    this.live = liveCounter(dev.kernel.live, 'pools', `${dev.name} ${name}`);
  }
}

/**
 * Makes an empty pool of blocks of `sizeBytes`, aligned to `alignBytes` (a power of two, 0 for none) and never
 * crossing a multiple of `boundaryBytes` (a power of two >= the block, 0 for none); throws EINVAL for any other.
 * Task context. @kernel mm/dmapool.c dma_pool_create
 */
export function dmaPoolCreate(
  name: string,
  dev: DmaPoolDevice,
  sizeBytes: number,
  alignBytes: number,
  boundaryBytes = 0,
): DmaPool {
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('dma_pool_create');
  const align = alignBytes === 0 ? 1 : alignBytes;
  const size = Math.floor((Math.max(sizeBytes, MIN_BLOCK_BYTES) + align - 1) / align) * align;
  const allocation = Math.max(size, PAGE_SIZE);
  const boundary = boundaryBytes === 0 ? allocation : boundaryBytes;
  if (
    !(sizeBytes >= 1) ||
    !isPowerOfTwo(align) ||
    boundary < size ||
    (boundaryBytes !== 0 && !isPowerOfTwo(boundary))
  ) {
    if (trace.functions) trace.exit();
    const what = `size ${sizeBytes}, align ${alignBytes}, boundary ${boundaryBytes}`;
    throw new KernelError('EINVAL', `${dev.name}: dma_pool_create '${name}': ${what}`);
  }
  const pool = new DmaPool(name, dev, size, allocation, Math.min(boundary, allocation));
  pool.live.add(1);
  if (dev.dmaPools === undefined) dev.dmaPools = [pool];
  else dev.dmaPools.unshift(pool);
  if (trace.functions) trace.exit();
  return pool;
}

/**
 * A block with whatever its last user left in it, or null when memory is short; the pool grows by a page at a time.
 * Any context. @kernel mm/dmapool.c dma_pool_alloc
 */
export function dmaPoolAlloc(pool: DmaPool): DmaPoolBlock | null {
  const { trace } = pool.kernel;
  if (trace.functions) trace.enter('dma_pool_alloc');
  let block = pool.free;
  if (block === null) block = growPool(pool);
  if (block !== null) {
    pool.free = block.next;
    block.inUse = true;
    pool.nrActive++;
  }
  if (trace.functions) trace.exit();
  return block;
}

/** Adds a page's blocks, lowest address first, to an empty free list; returns its head. */
function growPool(pool: DmaPool): DmaPoolBlock | null {
  if (pool.destroyed) pool.kernel.ex.bug(`dma_pool_alloc from ${pool.name}, which is destroyed`);
  const memory = dmaAllocCoherent(pool.dev, pool.allocationBytes);
  if (memory === null) return null;
  pool.pages.push(memory);
  let last: DmaPoolBlock | null = null;
  let boundary = pool.boundaryBytes;
  let offset = 0;
  while (offset + pool.sizeBytes <= pool.allocationBytes) {
    if (offset + pool.sizeBytes > boundary) {
      offset = boundary;
      boundary += pool.boundaryBytes;
      continue;
    }
    const block = new DmaPoolBlock(pool, memory, offset, pool.sizeBytes);
    if (last === null) pool.free = block;
    else last.next = block;
    last = block;
    pool.nrBlocks++;
    offset += pool.sizeBytes;
  }
  return pool.free;
}

/** Gives a block back; a block that is free, or another pool's, is a BUG. Any context. @kernel mm/dmapool.c dma_pool_free */
export function dmaPoolFree(pool: DmaPool, block: DmaPoolBlock): void {
  const { trace } = pool.kernel;
  if (trace.functions) trace.enter('dma_pool_free');
  if (block.pool !== pool) pool.kernel.ex.bug(`dma_pool_free ${pool.name}, dma ${hex(block.busAddr)} (bad dma)`);
  if (!block.inUse) pool.kernel.ex.bug(`dma_pool_free ${pool.name}, dma ${hex(block.busAddr)} already free`);
  block.inUse = false;
  block.next = pool.free;
  pool.free = block;
  pool.nrActive--;
  if (trace.functions) trace.exit();
}

/**
 * Ends a pool and gives its pages back. While blocks are in use it logs that, keeps the pages, and the pool stays a
 * leak. Task context. @kernel mm/dmapool.c dma_pool_destroy
 */
export function dmaPoolDestroy(pool: DmaPool): void {
  const { trace, printk, ex } = pool.kernel;
  if (trace.functions) trace.enter('dma_pool_destroy');
  if (pool.destroyed) ex.bug(`dma_pool_destroy of ${pool.name}, which is destroyed`);
  pool.destroyed = true;
  const pools = pool.dev.dmaPools as DmaPool[];
  pools.splice(pools.indexOf(pool), 1);
  if (pool.nrActive > 0) {
    printk.print('err', `${pool.dev.name}: dma_pool_destroy ${pool.name} busy`);
  } else {
    for (const memory of pool.pages) dmaFreeCoherent(pool.dev, memory);
    pool.pages.length = 0;
    pool.free = null;
    pool.live.remove(1);
  }
  if (trace.functions) trace.exit();
}

/** Text of a device's sysfs file `pools`. @kernel mm/dmapool.c pools_show */
export function dmaPoolsShow(dev: DmaPoolDevice): string {
  let text = 'poolinfo - 0.1\n';
  for (const pool of dev.dmaPools ?? []) {
    const active = String(pool.nrActive).padStart(4);
    const total = String(pool.nrBlocks).padStart(4);
    const size = String(pool.sizeBytes).padStart(4);
    const pages = String(pool.pages.length).padStart(2);
    text += `${pool.name.padEnd(16)} ${active} ${total} ${size} ${pages}\n`;
  }
  return text;
}

function isPowerOfTwo(value: number): boolean {
  let power = 1;
  while (power < value) power *= 2;
  return power === value;
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
