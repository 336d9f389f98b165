/**
 * Hands out page numbers of one range: single pages from a short list of recently freed ones (they are still in the
 * host's cache), runs and scattered pages by first fit.
 * Kernel counterpart: mm/page_alloc.c (one zone with its per-CPU page list; buddies are not modelled).
 */

/** Tag of a page nobody holds. */
export const PAGE_FREE = 0;

/** What a take returns when the range has no room. */
export const NO_ROOM = -1;

const RECENT_PAGES = 256;

/** The pages [firstPage, firstPage + pageCount), each with the tag of its holder. */
export class PageAllocator {
  readonly firstPage: number;
  readonly pageCount: number;
  freeCount: number;
  private readonly tags: Uint32Array;
  /** No page below this index is free. */
  private lowest = 0;
  /** Indexes freed lately; an entry counts only if its page is still free. */
  private readonly recent = new Int32Array(RECENT_PAGES);
  private recentCount = 0;

  constructor(firstPage: number, pageCount: number) {
    this.firstPage = firstPage;
    this.pageCount = pageCount;
    this.freeCount = pageCount;
    this.tags = new Uint32Array(pageCount);
  }

  /** Takes one page; returns its number or NO_ROOM. */
  takeOne(tag: number): number {
    while (this.recentCount > 0) {
      const index = this.recent[--this.recentCount] as number;
      if (this.tags[index] === PAGE_FREE) return this.mark(index, 1, tag);
    }
    const index = this.nextFree(this.lowest);
    return index < 0 ? NO_ROOM : this.mark(index, 1, tag);
  }

  /** Takes `count` consecutive pages; returns the first one's number or NO_ROOM. */
  takeRun(count: number, tag: number): number {
    const { tags, pageCount } = this;
    let start = this.nextFree(this.lowest);
    while (start >= 0 && start + count <= pageCount) {
      let length = 1;
      while (length < count && tags[start + length] === PAGE_FREE) length++;
      if (length === count) return this.mark(start, count, tag);
      start = this.nextFree(start + length);
    }
    return NO_ROOM;
  }

  /** Takes one given page, which must be free. */
  takePage(page: number, tag: number): void {
    this.mark(page - this.firstPage, 1, tag);
  }

  /** The first free page at or above `page`, or NO_ROOM. */
  nextFreePage(page: number): number {
    const from = page - this.firstPage;
    const index = this.nextFree(Math.max(from, this.lowest));
    return index < 0 ? NO_ROOM : index + this.firstPage;
  }

  /** The holder's tag; PAGE_FREE also for a page outside the range. */
  tagOf(page: number): number {
    return this.tags[page - this.firstPage] ?? PAGE_FREE;
  }

  /** Changes the tag of a held page. */
  setTag(page: number, tag: number): void {
    this.tags[page - this.firstPage] = tag;
  }

  /** Gives back one page, which must be held. */
  release(page: number): void {
    const index = page - this.firstPage;
    this.tags[index] = PAGE_FREE;
    this.freeCount++;
    if (index < this.lowest) this.lowest = index;
    if (this.recentCount < RECENT_PAGES) this.recent[this.recentCount++] = index;
  }

  private nextFree(from: number): number {
    return this.tags[from] === PAGE_FREE ? from : this.tags.indexOf(PAGE_FREE, from);
  }

  private mark(index: number, count: number, tag: number): number {
    for (let i = index; i < index + count; i++) this.tags[i] = tag;
    this.freeCount -= count;
    if (index === this.lowest) this.lowest = index + count;
    return index + this.firstPage;
  }
}
