// Which sectors of a medium hold data: written since they were last deallocated.
// Kernel counterpart: none (what a drive's mapping table knows). Spec: [NVM] 1.0 §3.2.3.2.

/** Bytes that are allocated and deallocated as one; no logical block is smaller. */
export const SECTOR_BYTES = 512;
const PAGE_BYTES = 4096;
const PAGES_PER_BYTE = 1 / PAGE_BYTES;
const WHOLE_PAGE = 0xff;

/** True if `length` bytes at (bytes, offset) are zeroes. */
export function isZero(bytes: Uint8Array, offset: number, length: number): boolean {
  for (let i = offset; i < offset + length; i++) if (bytes[i] !== 0) return false;
  return true;
}

/** One bit a sector, one byte for eight of them: an aligned write of 4 KiB is one store. At first nothing is allocated. */
export class SectorMap {
  readonly #pages: Uint8Array;

  /** sizeBytes is what the map covers, at most 2 TiB, so that sectors are counted in 32 bits. */
  constructor(sizeBytes: number) {
    this.#pages = new Uint8Array(Math.floor((sizeBytes + PAGE_BYTES - 1) / PAGE_BYTES));
  }

  /** Every sector that the range touches holds data from now on. */
  allocate(offset: number, length: number): void {
    if (length === PAGE_BYTES) {
      const place = offset * PAGES_PER_BYTE;
      const page = place >>> 0;
      if (page === place) {
        this.#pages[page] = WHOLE_PAGE;
        return;
      }
    }
    this.#set(Math.floor(offset / SECTOR_BYTES), Math.floor((offset + length + SECTOR_BYTES - 1) / SECTOR_BYTES), true);
  }

  /** Every sector that lies wholly in the range is deallocated. */
  deallocate(offset: number, length: number): void {
    this.#set(
      Math.floor((offset + SECTOR_BYTES - 1) / SECTOR_BYTES),
      Math.floor((offset + length) / SECTOR_BYTES),
      false,
    );
  }

  /** True if every sector that the range touches holds data. */
  isAllocated(offset: number, length: number): boolean {
    const end = Math.floor((offset + length + SECTOR_BYTES - 1) / SECTOR_BYTES);
    for (let sector = Math.floor(offset / SECTOR_BYTES); sector < end; sector++) {
      if (((this.#pages[sector >>> 3] as number) & (1 << (sector & 7))) === 0) return false;
    }
    return true;
  }

  /** Sectors from `first` up to but not including `end`. */
  #set(first: number, end: number, allocated: boolean): void {
    for (let sector = first; sector < end; ) {
      const index = sector >>> 3;
      const within = sector & 7;
      const count = Math.min(8 - within, end - sector);
      if (count === 8) {
        const pages = (end - sector) >>> 3;
        this.#pages.fill(allocated ? WHOLE_PAGE : 0, index, index + pages);
        sector += 8 * pages;
        continue;
      }
      const bits = ((1 << count) - 1) << within;
      const page = this.#pages[index] as number;
      this.#pages[index] = allocated ? page | bits : page & ~bits;
      sector += count;
    }
  }
}
