/**
 * Claims on an address space, as a tree: windows contain devices' ranges, which contain drivers' claims.
 * Kernel counterpart: kernel/resource.c.
 */
import type { ResourceTree } from './ports.js';
/** @kernel include/linux/ioport.h IORESOURCE_IO */
export declare const IORESOURCE_IO = 256;
export declare const IORESOURCE_MEM = 512;
/** A driver has claimed it: nothing may be claimed inside. */
export declare const IORESOURCE_BUSY = 2147483648;
/**
 * Makes the tree of an address space of `sizeBytes`. A claim with IORESOURCE_BUSY descends into resources that are
 * not busy, as `request_mem_region` does; one without is strict, as `request_resource` is. Any context.
 * @kernel kernel/resource.c iomem_resource
 */
export declare function createResourceTree(name: string, sizeBytes: number): ResourceTree;
//# sourceMappingURL=resource.d.ts.map