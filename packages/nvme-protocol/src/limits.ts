/** Sizes, depths and identifiers that belong to no one structure. Kernel counterpart: include/linux/nvme.h, pci_ids.h. */

/** PCI class code of an NVMe controller: mass storage, non-volatile memory, NVM Express I/O. [NVMe-PCIe] 3. */
export const PCI_CLASS_STORAGE_EXPRESS = 0x010802;

/** Entries of the admin queues. */
export const NVME_AQ_DEPTH = 32;
/** Asynchronous event requests the driver keeps outstanding, without a request of their own. */
export const NVME_NR_AEN_COMMANDS = 1;
export const NVME_AQ_BLK_MQ_DEPTH = NVME_AQ_DEPTH - NVME_NR_AEN_COMMANDS;
export const NVME_AQ_MQ_TAG_DEPTH = NVME_AQ_BLK_MQ_DEPTH - 1;

/** Bytes of one submission entry and of one completion entry. */
export const NVME_SQE_BYTES = 64;
export const NVME_CQE_BYTES = 16;

/** Namespace id that means all namespaces. [NVMe] 3.2.1. */
export const NVME_NSID_ALL = 0xffffffff;
/** Bytes of an identify data structure. */
export const NVME_IDENTIFY_DATA_SIZE = 4096;
/** Bytes of an NVMe qualified name field. */
export const NVME_NQN_FIELD_LEN = 256;
export const NVMF_NQN_SIZE = 223;
/** Largest number of ranges of one Dataset Management command. */
export const NVME_DSM_MAX_RANGES = 256;
/** Page size that CC.MPS = 0 stands for, and its shift. */
export const NVME_CTRL_PAGE_SIZE = 4096;
export const NVME_CTRL_PAGE_SHIFT = 12;
/** Entries in a namespace id list. */
export const NVME_MAX_NS_LIST_ENTRIES = 1024;
/** Entries in the changed namespace list. */
export const NVME_MAX_CHANGED_NAMESPACES = 1024;
