/**
 * The NVMe PCI driver (nvme.ko): finds controllers on the PCI bus, brings them up, and moves their I/O.
 *
 * @packageDocumentation
 */
export { createNvmePciDriver } from './driver.js';
export { nvmeIdTable } from './id-table.js';
export type { NvmePciDriver, NvmePciDriverDeps, NvmePciParam, NvmeQueueInfo } from './ports.js';
export { buildPrps, PRP_BAD_SG, PRP_NO_MEMORY, PRP_OK, type PrpListBlock, type PrpListSource, PrpPair } from './prp.js';
