/** Contexts, profiles, and how much is checked. Counterpart: include/linux/preempt.h. Types and constants only. */

/** Where code runs. Device context belongs to hardware and to no CPU. */
export type Context = 'device' | 'hardirq' | 'softirq' | 'task';

/** How much is checked at run time: everything, only DMA mappings and tags, or nothing. */
export type Checks = 'full' | 'dma' | 'off';

/** The kernel whose flow, symbols and formats a machine follows. */
export type KernelProfile = '6.12' | '6.1' | '4.13' | '4.10';

/** The CPU of an item that belongs to no CPU (device context). */
export const NO_CPU = -1;
