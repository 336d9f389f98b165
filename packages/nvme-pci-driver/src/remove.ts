/**
 * Unbinding: what probe made is taken down.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_remove, nvme_dev_remove_admin, nvme_shutdown.
 */
import { traced } from '@nvme-stack/kernel';
import { NVME_CTRL_DEAD, NVME_CTRL_DELETING } from '@nvme-stack/nvme-core/ports';
import { type NvmeDev, resetWorkOf } from './dev.js';
import { nvmeDevDisable, nvmeDisablePrepareReset } from './disable.js';
import type { RemoveStep } from './eras.js';
import { nvmeFreeHostMem } from './host-mem.js';
import type { NvmeIo } from './io.js';
import { nvmeReleasePrpPools } from './map-data.js';
import { nvmeFreeQueues } from './queue.js';
import { nvmeDevUnmap } from './registers.js';
import { nvmeDbbufDmaFree } from './shadow-doorbell.js';
import { nvmeFreeTagset } from './tag-sets.js';

type Step = (dev: NvmeDev, io: NvmeIo) => Promise<unknown> | unknown;

function isAbsent(dev: NvmeDev): boolean {
  return !dev.deps.pciBus.pciDeviceIsPresent(dev.pdev);
}

const STEPS: Readonly<Record<RemoveStep, Step>> = {
  deleting: (dev) => dev.deps.nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_DELETING),
  // A reset that is still to come would find the controller on its way out, and give it up a second time.
  'cancel-reset': (dev) => dev.deps.workqueues.cancelWorkSync(resetWorkOf(dev)),
  'dead-if-absent': (dev) => {
    if (isAbsent(dev)) dev.deps.nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_DEAD);
  },
  'disable-if-absent': (dev, io) => (isAbsent(dev) ? nvmeDevDisable(dev, false, io.completion) : undefined),
  'shutdown-if-absent': (dev, io) => (isAbsent(dev) ? nvmeDevDisable(dev, true, io.completion) : undefined),
  'flush-reset': (dev) => dev.deps.workqueues.flushWork(resetWorkOf(dev)),
  stop: (dev) => dev.deps.nvmeCore.nvmeStopCtrl(dev.ctrl),
  'remove-namespaces': (dev) => dev.deps.nvmeCore.nvmeRemoveNamespaces(dev.ctrl),
  disable: (dev, io) => nvmeDevDisable(dev, true, io.completion),
  'free-tags': (dev) => nvmeFreeTagset(dev),
  'free-host-mem': (dev) => nvmeFreeHostMem(dev),
  'remove-admin': (dev) => nvmeDevRemoveAdmin(dev),
  'free-dbbuf': (dev) => nvmeDbbufDmaFree(dev),
  'free-queues': (dev) => nvmeFreeQueues(dev, 0),
  'release-pools': (dev) => nvmeReleasePrpPools(dev),
  unmap: (dev) => nvmeDevUnmap(dev),
  uninit: (dev) => dev.deps.nvmeCore.nvmeUninitCtrl(dev.ctrl),
  put: (dev) => {
    dev.driver.devices.delete(dev.ctrl);
    dev.deps.nvmeCore.nvmePutCtrl(dev.ctrl);
  },
};

/** Unbinds the driver: the disks go first. Task context. @kernel drivers/nvme/host/pci.c nvme_remove */
export const nvmeRemove = traced('nvme_remove', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  for (const step of dev.driver.era.removeSteps) await STEPS[step](dev, io);
});

/** A stopped controller's admin queue answers what still waits, and goes. @kernel drivers/nvme/host/pci.c nvme_dev_remove_admin */
export async function nvmeDevRemoveAdmin(dev: NvmeDev): Promise<void> {
  const { nvmeCore } = dev.deps;
  if (dev.ctrl.adminQ === null || dev.ctrl.adminQ.dying) return;
  nvmeCore.nvmeUnquiesceAdminQueue(dev.ctrl);
  await nvmeCore.nvmeRemoveAdminTagSet(dev.ctrl);
}

/** The system goes down: stop the controller in order, keep nothing else. @kernel drivers/nvme/host/pci.c nvme_shutdown */
export const nvmeShutdown = traced('nvme_shutdown', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  await nvmeDisablePrepareReset(dev, true, io.completion);
});
