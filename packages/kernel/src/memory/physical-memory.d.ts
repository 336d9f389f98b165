import type { LiveObjects, PhysicalMemory } from '../ports.js';
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
/** Makes RAM; throws RangeError when the options do not fit together. @kernel mm/page_alloc.c free_area_init */
export declare function createPhysicalMemory(options: PhysicalMemoryOptions): PhysicalMemory;
//# sourceMappingURL=physical-memory.d.ts.map
