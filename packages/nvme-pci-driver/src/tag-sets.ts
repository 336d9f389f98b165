/**
 * The tag set of the I/O queues: made, adapted to the number of queues, freed.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_dev_add, nvme_pci_update_nr_queues, nvme_free_tagset.
 */
import { HCTX_MAX_TYPES, HCTX_TYPE_POLL, HCTX_TYPE_READ } from '@nvme-stack/blk-mq/ports';
import { KernelError } from '@nvme-stack/kernel';
import type { NvmeDev } from './dev.js';
import type { NvmeIo } from './io.js';
import { nvmeFreeQueues } from './queue.js';

/** Tags for the I/O queues; without memory for them the controller has none. Task context. */
export async function allocIoTagSet(dev: NvmeDev, io: NvmeIo): Promise<void> {
  try {
    const nrMaps = nvmePciNrMaps(dev);
    await dev.deps.nvmeCore.nvmeAllocIoTagSet(dev.ctrl, { ops: io.ioOps, nrMaps, driverData: dev });
  } catch (error) {
    if (!KernelError.is(error)) throw error;
  }
}

/** @kernel drivers/nvme/host/pci.c nvme_pci_nr_maps */
function nvmePciNrMaps(dev: NvmeDev): number {
  if ((dev.ioQueues[HCTX_TYPE_POLL] as number) > 0) return HCTX_MAX_TYPES;
  return (dev.ioQueues[HCTX_TYPE_READ] as number) > 0 ? 2 : 1;
}

/** A controller that had no I/O queues gets its tag set now; queues it has no more are freed. Task context. @kernel drivers/nvme/host/pci.c nvme_pci_update_nr_queues */
export async function updateIoTagSet(dev: NvmeDev, io: NvmeIo): Promise<void> {
  const { blkMq } = dev.deps;
  if (dev.ctrl.tagset === null) {
    await allocIoTagSet(dev, io);
    return;
  }
  await blkMq.blkMqUpdateNrHwQueues(dev.ctrl.tagset, dev.onlineQueues - 1);
  nvmeFreeQueues(dev, dev.onlineQueues);
}

/** @kernel drivers/nvme/host/pci.c nvme_free_tagset */
export async function nvmeFreeTagset(dev: NvmeDev): Promise<void> {
  if (dev.ctrl.tagset === null) return;
  await dev.deps.nvmeCore.nvmeRemoveIoTagSet(dev.ctrl);
}
