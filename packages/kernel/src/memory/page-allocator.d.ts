/**
 * Hands out page numbers of one range: single pages from a short list of recently freed ones (they are still in the
 * host's cache), runs and scattered pages by first fit.
 * Kernel counterpart: mm/page_alloc.c (one zone with its per-CPU page list; buddies are not modelled).
 */
/** Tag of a page nobody holds. */
export declare const PAGE_FREE = 0;
/** What a take returns when the range has no room. */
export declare const NO_ROOM = -1;
/** The pages [firstPage, firstPage + pageCount), each with the tag of its holder. */
export declare class PageAllocator {
  readonly firstPage: number;
  readonly pageCount: number;
  freeCount: number;
  private readonly tags;
  /** No page below this index is free. */
  private lowest;
  /** Indexes freed lately; an entry counts only if its page is still free. */
  private readonly recent;
  private recentCount;
  constructor(firstPage: number, pageCount: number);
  /** Takes one page; returns its number or NO_ROOM. */
  takeOne(tag: number): number;
  /** Takes `count` consecutive pages; returns the first one's number or NO_ROOM. */
  takeRun(count: number, tag: number): number;
  /** Takes one given page, which must be free. */
  takePage(page: number, tag: number): void;
  /** The first free page at or above `page`, or NO_ROOM. */
  nextFreePage(page: number): number;
  /** The holder's tag; PAGE_FREE also for a page outside the range. */
  tagOf(page: number): number;
  /** Changes the tag of a held page. */
  setTag(page: number, tag: number): void;
  /** Gives back one page, which must be held. */
  release(page: number): void;
  private nextFree;
  private mark;
}
//# sourceMappingURL=page-allocator.d.ts.map
