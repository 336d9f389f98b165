/**
 * The memory that a device's own structures take, on the NUMA node of its PCI function. The structures themselves are objects
 * (dev.ts); whole pages are taken for them, so that memory can run out and a node can be full.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_probe, nvme_pci_alloc_dev (kzalloc_node, set_dev_node).
 */
import { type Kernel, KernelError, NO_PAGE, PAGE_SIZE } from '@nvme-stack/kernel';
import type { NvmeDev } from './dev.js';

/** Bytes of struct nvme_dev, as slabs of that size come. */
const NVME_DEV_BYTES = 8192;
/** Bytes of an element of its array of queues: a pointer, or the structure. */
const QUEUE_ELEMENT_BYTES = { pointers: 8, structures: 192 } as const;
const OWNER = 'nvme_dev';

/** A run of pages. */
export interface NodePages {
  readonly address: number;
  readonly count: number;
}

/** Zeroed pages, on `node` as long as it has any; -1: no matter where. Throws ENOMEM. Any context. @kernel include/linux/slab.h kzalloc_node */
function kzallocNode(kernel: Kernel, sizeBytes: number, node: number): NodePages {
  const count = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
  const address = kernel.memory.allocPages(count, OWNER, node < 0 ? undefined : node);
  if (address === NO_PAGE) throw new KernelError('ENOMEM', `${sizeBytes} bytes`);
  return { address, count };
}

/**
 * Takes the memory of `dev` and of its queues. Older kernels put a function whose node nobody knows on the first one, for
 * all that is allocated after these two. Throws ENOMEM with nothing taken.
 */
export function allocDevMemory(dev: NvmeDev): void {
  const { kernel, driver } = dev;
  const { dev: device } = dev.pdev;
  const node = device.numaNode;
  if (node < 0 && driver.era.takesFirstNode) device.numaNode = 0;
  const structure = kzallocNode(kernel, NVME_DEV_BYTES, node);
  dev.memory.push(structure);
  try {
    const queues = dev.nrAllocatedQueues * QUEUE_ELEMENT_BYTES[driver.era.queueArray];
    dev.memory.push(kzallocNode(kernel, queues, node));
  } catch (error) {
    freeDevMemory(dev);
    throw error;
  }
}

/** Gives it back; the second time there is none. @kernel drivers/nvme/host/pci.c nvme_pci_free_ctrl */
export function freeDevMemory(dev: NvmeDev): void {
  for (const { address, count } of dev.memory.splice(0)) dev.kernel.memory.freePages(address, count);
}
