/** Fixed sizes of the driver. Kernel counterpart: drivers/nvme/host/pci.c, nvme.h. */

/** Event requests that are out at once. @kernel drivers/nvme/host/nvme.h NVME_NR_AEN_COMMANDS */
export const NVME_NR_AEN_COMMANDS = 1;
/** Most segments of one request. @kernel drivers/nvme/host/pci.c NVME_MAX_SEGS */
export const NVME_MAX_SEGS = 128;
/** Largest transfer, in KiB. @kernel drivers/nvme/host/pci.c NVME_MAX_KB_SZ */
export const NVME_MAX_KB_SZ = 8192;
/** Most PRP list pages of one request. @kernel drivers/nvme/host/pci.c NVME_MAX_NR_ALLOCATIONS */
export const NVME_MAX_NR_ALLOCATIONS = 5;
/** Bytes of a block of the small pool and of the page pool. */
export const NVME_SMALL_POOL_BYTES = 256;
/** Bytes of a memory page as the controller sees it: CC.MPS is 0. @kernel drivers/nvme/host/nvme.h NVME_CTRL_PAGE_SIZE */
export const NVME_CTRL_PAGE_SIZE = 4096;
/** Default number of entries of an I/O queue. */
export const NVME_DEFAULT_IO_QUEUE_DEPTH = 1024;
export const NVME_MIN_IO_QUEUE_DEPTH = 2;
export const NVME_MAX_IO_QUEUE_DEPTH = 4095;
/** Bytes of a submission and of a completion entry. */
export const SQE_BYTES = 64;
export const CQE_BYTES = 16;
