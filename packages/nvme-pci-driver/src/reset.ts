/**
 * Reset: takes a controller down and brings it up again under its live namespaces. Kernels before 6.2 bring a new one up
 * in the same work.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_reset_work.
 */
import { errnoOf, traced } from '@nvme-stack/kernel';
import { bringUp } from './bring-up.js';
import { giveUp } from './dead-ctrl.js';
import type { NvmeDev } from './dev.js';
import type { NvmeIo } from './io.js';

/** @kernel drivers/nvme/host/pci.c nvme_reset_work */
export const nvmeResetWork = traced('nvme_reset_work', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  try {
    await bringUp(dev, io, dev.driver.era.resetSteps);
  } catch (error) {
    await giveUp(dev, io, errnoOf(error));
  }
});
