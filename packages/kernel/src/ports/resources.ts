/** Ranges of address spaces. Counterpart: include/linux/ioport.h. Types and constants only. */

/** A range of an address space, as in /proc/iomem. @kernel include/linux/ioport.h resource */
export interface Resource {
  readonly name: string;
  readonly start: number;
  /** Inclusive, as in Linux. */
  readonly end: number;
  readonly flags: number;
  readonly children: readonly Resource[];
}
