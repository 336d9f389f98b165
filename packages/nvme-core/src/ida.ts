/** Small integers that are given out and taken back, lowest first. Kernel counterpart: lib/idr.c (ida). */

/** @kernel include/linux/idr.h ida */
export class Ida {
  private readonly taken = new Set<number>();

  /** The lowest free number >= `min`. @kernel lib/idr.c ida_alloc_min */
  alloc(min = 0): number {
    let id = min;
    while (this.taken.has(id)) id++;
    this.taken.add(id);
    return id;
  }

  /** @kernel lib/idr.c ida_free */
  free(id: number): void {
    this.taken.delete(id);
  }
}
