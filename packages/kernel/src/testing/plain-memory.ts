/**
 * RAM in the plainest way: the owner of each page in one array, looked through from the start. A second
 * implementation of `PhysicalMemory`, so that nothing comes to depend on how the first one places its pages.
 */
import type { PhysicalMemoryOptions } from '../memory/physical-memory.js';
import type { LiveObjects, PhysicalMemory } from '../ports.js';
import { NO_PAGE, PAGE_SIZE } from '../ports.js';

class PlainMemory implements PhysicalMemory {
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly sizeBytes: number;
  /** Who holds each page; null: free. Page 0 is never handed out. */
  private readonly owners: (string | null)[];
  private readonly pagesPerNode: number;
  private readonly nrNodes: number;
  private readonly live: LiveObjects;
  private readonly onBug: (message: string) => never;

  constructor({ sizeBytes, nrNodes, live, onBug, bytes }: PhysicalMemoryOptions) {
    this.bytes = bytes ?? new Uint8Array(sizeBytes);
    this.u32 = new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, Math.floor(this.bytes.byteLength / 4));
    this.sizeBytes = sizeBytes;
    this.owners = new Array<string | null>(Math.floor(sizeBytes / PAGE_SIZE)).fill(null);
    this.owners[0] = 'reserved';
    this.pagesPerNode = Math.floor(this.owners.length / nrNodes);
    this.nrNodes = nrNodes;
    this.live = live;
    this.onBug = onBug;
  }

  get freePageCount(): number {
    return this.owners.filter((owner) => owner === null).length;
  }

  nodeOf(address: number): number {
    return Math.min(Math.floor(address / PAGE_SIZE / this.pagesPerNode), this.nrNodes - 1);
  }

  allocPages(count: number, owner: string, node = 0): number {
    const fits = (first: number): boolean =>
      first + count <= this.owners.length && this.owners.slice(first, first + count).every((one) => one === null);
    const all = this.owners.map((_, page) => page);
    const near = all.filter((page) => this.nodeOf(page * PAGE_SIZE) === node);
    const first = [...near, ...all].find(fits);
    if (first === undefined) return NO_PAGE;
    this.take(first, count, owner);
    return first * PAGE_SIZE;
  }

  allocScattered(count: number, owner: string): number[] | null {
    const pages: number[] = [];
    for (let page = 1; page < this.owners.length && pages.length < count; page++) {
      if (this.owners[page] === null && pages.at(-1) !== page - 1) pages.push(page);
    }
    if (pages.length < count) return null;
    for (const page of pages) this.take(page, 1, owner);
    return pages.map((page) => page * PAGE_SIZE);
  }

  freePages(address: number, count: number): void {
    const first = address / PAGE_SIZE;
    for (let page = first; page < first + count; page++) {
      const owner = this.owners[page];
      if (page === 0 || owner === null || owner === undefined) this.onBug(`free of page ${page}, which nobody holds`);
      this.owners[page] = null;
      this.live.remove('pages', owner);
    }
  }

  private take(first: number, count: number, owner: string): void {
    this.owners.fill(owner, first, first + count);
    this.bytes.fill(0, first * PAGE_SIZE, (first + count) * PAGE_SIZE);
    this.live.add('pages', owner, count);
  }
}

/** Makes RAM that is slow and simple; for tests. */
export function createPlainMemory(options: PhysicalMemoryOptions): PhysicalMemory {
  return new PlainMemory(options);
}
