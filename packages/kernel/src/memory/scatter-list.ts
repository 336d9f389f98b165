/**
 * Scatter lists: the physical pieces of a request, in arrays made once and refilled.
 * Kernel counterpart: include/linux/scatterlist.h, lib/scatterlist.c.
 */
import type { ScatterList } from '../ports.js';

class ScatterListImpl implements ScatterList {
  readonly capacity: number;
  nents = 0;
  readonly physAddr: Float64Array;
  readonly lengthBytes: Float64Array;
  mappedNents = 0;
  readonly dmaAddr: Float64Array;
  readonly dmaLengthBytes: Float64Array;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.physAddr = new Float64Array(capacity);
    this.lengthBytes = new Float64Array(capacity);
    this.dmaAddr = new Float64Array(capacity);
    this.dmaLengthBytes = new Float64Array(capacity);
  }
}

/** Makes an empty list of at most `capacity` (>= 1) entries. @kernel lib/scatterlist.c sg_alloc_table */
export function createScatterList(capacity: number): ScatterList {
  return new ScatterListImpl(capacity);
}

/** Empties the list; it must not be mapped. Any context. @kernel lib/scatterlist.c sg_init_table */
export function sgInitTable(sg: ScatterList): void {
  sg.nents = 0;
}

/**
 * Sets entry `index` (0 to `capacity - 1`) to `lengthBytes` at `physAddr`; `nents` is the caller's. Any context.
 * @kernel include/linux/scatterlist.h sg_set_page
 */
export function sgSetPage(sg: ScatterList, index: number, physAddr: number, lengthBytes: number): void {
  sg.physAddr[index] = physAddr;
  sg.lengthBytes[index] = lengthBytes;
}

/** Appends an entry; false when the list is full. Any context. @kernel include/linux/scatterlist.h sg_set_buf */
export function sgAppend(sg: ScatterList, physAddr: number, lengthBytes: number): boolean {
  if (sg.nents === sg.capacity) return false;
  sgSetPage(sg, sg.nents++, physAddr, lengthBytes);
  return true;
}
