/**
 * RAM: one array of bytes whose pages are handed out by NUMA node and counted by owner.
 * Kernel counterpart: mm/page_alloc.c.
 */
import { type LiveCounter, liveCounter } from '../live-objects.js';
import type { LiveObjects, PhysicalMemory } from '../ports.js';
import { NO_PAGE, PAGE_SIZE } from '../ports.js';
import { NO_ROOM, PAGE_FREE, PageAllocator } from './page-allocator.js';

/** Words are addressed as `address >>> 2`, so RAM ends where 32-bit addresses do. */
const MAX_RAM_BYTES = 4294967296;

/** Tag of pages that are never handed out. */
const RESERVED = 1;

/** What RAM is made of. */
export interface PhysicalMemoryOptions {
  /** A multiple of PAGE_SIZE, from one page per node to 4 GiB. */
  readonly sizeBytes: number;
  /** NUMA nodes, >= 1; each gets an equal share, the last one also the rest. */
  readonly nrNodes: number;
  readonly live: LiveObjects;
  /** An arena whose first `sizeBytes` are RAM; default: an array of `sizeBytes`. */
  readonly bytes?: Uint8Array;
  /** Told of a caller's defect, such as a double free; must not return. */
  readonly onBug: (message: string) => never;
}

/** Who holds pages under a tag. */
class PageOwner {
  readonly name: string;
  readonly tag: number;
  readonly live: LiveCounter;

  constructor(name: string, tag: number, live: LiveCounter) {
    this.name = name;
    this.tag = tag;
    this.live = live;
  }
}

class PhysicalMemoryImpl implements PhysicalMemory {
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly sizeBytes: number;
  private readonly nodes: PageAllocator[] = [];
  private readonly pagesPerNode: number;
  private readonly live: LiveObjects;
  private readonly onBug: (message: string) => never;
  /** By tag; FREE and RESERVED have no owner. */
  private readonly owners: (PageOwner | null)[] = [null, null];
  private readonly ownersByName = new Map<string, PageOwner>();
  private lastOwner: PageOwner | null = null;

  constructor(options: PhysicalMemoryOptions, bytes: Uint8Array) {
    const { sizeBytes, nrNodes } = options;
    this.bytes = bytes;
    this.u32 = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(bytes.byteLength / 4));
    this.sizeBytes = sizeBytes;
    this.live = options.live;
    this.onBug = options.onBug;
    const pages = sizeBytes / PAGE_SIZE;
    this.pagesPerNode = Math.floor(pages / nrNodes);
    for (let node = 0; node < nrNodes; node++) {
      const first = node * this.pagesPerNode;
      const end = node === nrNodes - 1 ? pages : first + this.pagesPerNode;
      this.nodes.push(new PageAllocator(first, end - first));
    }
    // Address 0 must never look like a valid buffer.
    this.node(0).takePage(0, RESERVED);
  }

  get freePageCount(): number {
    let free = 0;
    for (const node of this.nodes) free += node.freeCount;
    return free;
  }

  allocPages(count: number, owner: string, node = 0): number {
    if (!(count >= 1)) this.onBug(`alloc_pages of ${count} pages for ${owner}`);
    const holder = this.owner(owner);
    const { length } = this.nodes;
    let nid = node >= 0 && node < length ? node : 0;
    for (let tried = 0; tried < length; tried++) {
      const from = this.node(nid);
      const page = count === 1 ? from.takeOne(holder.tag) : from.takeRun(count, holder.tag);
      if (page !== NO_ROOM) {
        const address = page * PAGE_SIZE;
        this.bytes.fill(0, address, address + count * PAGE_SIZE);
        holder.live.add(count);
        return address;
      }
      nid = nid + 1 === length ? 0 : nid + 1;
    }
    return NO_PAGE;
  }

  allocScattered(count: number, owner: string): number[] | null {
    const pages: number[] = [];
    // Ascending and greedy: takes every second page of a free run, which is the most that fits.
    let from = 0;
    for (const node of this.nodes) {
      while (pages.length < count) {
        const page = node.nextFreePage(from);
        if (page === NO_ROOM) break;
        pages.push(page);
        from = page + 2;
      }
    }
    if (pages.length < count) return null;
    const holder = this.owner(owner);
    for (let i = 0; i < count; i++) {
      const page = pages[i] as number;
      this.node(this.nodeOfPage(page)).takePage(page, holder.tag);
      const address = page * PAGE_SIZE;
      this.bytes.fill(0, address, address + PAGE_SIZE);
      pages[i] = address;
    }
    holder.live.add(count);
    return pages;
  }

  freePages(address: number, count: number): void {
    const first = address / PAGE_SIZE;
    if (!(address >= 0 && count >= 1) || address % PAGE_SIZE !== 0 || address + count * PAGE_SIZE > this.sizeBytes) {
      this.onBug(`free_pages of ${count} pages at ${hex(address)}: not pages of RAM`);
    }
    for (let page = first; page < first + count; page++) {
      const node = this.node(this.nodeOfPage(page));
      const tag = node.tagOf(page);
      if (tag === PAGE_FREE) this.onBug(`free_pages of page ${hex(page * PAGE_SIZE)}: it is not allocated`);
      const owner = this.owners[tag] as PageOwner | null;
      if (owner === null) this.onBug(`free_pages of page ${hex(page * PAGE_SIZE)}: it is reserved`);
      node.release(page);
      owner.live.remove(1);
    }
  }

  nodeOf(address: number): number {
    return this.nodeOfPage(Math.floor(address / PAGE_SIZE));
  }

  private nodeOfPage(page: number): number {
    return Math.min(this.nodes.length - 1, Math.floor(page / this.pagesPerNode));
  }

  private node(node: number): PageAllocator {
    return this.nodes[node] as PageAllocator;
  }

  private owner(name: string): PageOwner {
    if (this.lastOwner !== null && this.lastOwner.name === name) return this.lastOwner;
    let owner = this.ownersByName.get(name);
    if (owner === undefined) {
      owner = new PageOwner(name, this.owners.length, liveCounter(this.live, 'pages', name));
      this.owners.push(owner);
      this.ownersByName.set(name, owner);
    }
    this.lastOwner = owner;
    return owner;
  }
}

/** Makes RAM; throws RangeError when the options do not fit together. @kernel mm/page_alloc.c free_area_init */
export function createPhysicalMemory(options: PhysicalMemoryOptions): PhysicalMemory {
  const { sizeBytes, nrNodes } = options;
  if (!(nrNodes >= 1) || nrNodes % 1 !== 0) throw new RangeError(`nrNodes is ${nrNodes}; allowed: a whole number >= 1`);
  if (!(sizeBytes >= PAGE_SIZE * nrNodes && sizeBytes <= MAX_RAM_BYTES) || sizeBytes % PAGE_SIZE !== 0) {
    throw new RangeError(
      `sizeBytes of RAM is ${sizeBytes}; allowed: a multiple of ${PAGE_SIZE}, one page per node to 4 GiB`,
    );
  }
  const bytes = options.bytes ?? new Uint8Array(sizeBytes);
  if (bytes.byteLength < sizeBytes) {
    throw new RangeError(`bytes holds ${bytes.byteLength} bytes; RAM needs sizeBytes = ${sizeBytes}`);
  }
  if (bytes.byteOffset % PAGE_SIZE !== 0) {
    throw new RangeError(`bytes begins at ${bytes.byteOffset} of its buffer; allowed: a multiple of ${PAGE_SIZE}`);
  }
  return new PhysicalMemoryImpl(options, bytes);
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}
