/**
 * Reset: takes a controller down and brings it up again under its live namespaces.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_reset_work.
 */
import { HCTX_MAX_TYPES, HCTX_TYPE_POLL, HCTX_TYPE_READ } from '@nvme-stack/blk-mq/ports';
import { errnoOf, KernelError, mutexLock, mutexUnlock, traced } from '@nvme-stack/kernel';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_LIVE,
  NVME_CTRL_RESETTING,
} from '@nvme-stack/nvme-core/ports';
import { CC } from '@nvme-stack/nvme-protocol';
import type { NvmeDev } from './dev.js';
import { nvmeDevDisable } from './disable.js';
import { nvmePciEnable } from './enable.js';
import type { NvmeIo } from './io.js';
import { nvmeSetupIoQueues } from './io-queues.js';
import { nvmeFreeQueues } from './queue.js';
import { nvmeDbbufDmaAlloc, nvmeDbbufSet } from './shadow-doorbell.js';

/** @kernel drivers/nvme/host/pci.c nvme_reset_work */
export const nvmeResetWork = traced('nvme_reset_work', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  try {
    if (dev.ctrl.state !== NVME_CTRL_RESETTING) {
      dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: ctrl state ${dev.ctrl.state} is not RESETTING`);
      throw new KernelError('ENODEV', 'the controller is not being reset');
    }
    await resetController(dev, io);
  } catch (error) {
    await giveUp(dev, io, errnoOf(error));
  }
});

async function resetController(dev: NvmeDev, io: NvmeIo): Promise<void> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  if (CC.EN.get(ctrl.ctrlConfig) === 1) await nvmeDevDisable(dev, false, io.completion);
  await nvmeCore.nvmeSyncQueues(ctrl);
  await mutexLock(dev.shutdownLock);
  try {
    await nvmePciEnable(dev, io.completion);
    nvmeCore.nvmeUnquiesceAdminQueue(ctrl);
  } finally {
    mutexUnlock(dev.shutdownLock);
  }
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_CONNECTING)) {
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: failed to mark controller CONNECTING`);
    throw new KernelError('EBUSY', 'controller state');
  }
  await nvmeCore.nvmeInitCtrlFinish(ctrl, false);
  nvmeDbbufDmaAlloc(dev);
  await nvmeSetupIoQueues(dev, io.completion);
  if (dev.onlineQueues > 1) await restartQueues(dev, io);
  else await loseQueues(dev);
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_LIVE)) {
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: failed to mark controller live state`);
    throw new KernelError('ENODEV', 'controller state');
  }
  await nvmeCore.nvmeStartCtrl(ctrl);
}

/** Waits until every queue is frozen and adapts them to the number of queues there is now. */
async function restartQueues(dev: NvmeDev, io: NvmeIo): Promise<void> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  await nvmeDbbufSet(dev);
  nvmeCore.nvmeUnquiesceIoQueues(ctrl);
  await nvmeCore.nvmeWaitFreeze(ctrl);
  await nvmePciUpdateNrQueues(dev, io);
  nvmeCore.nvmeUnfreeze(ctrl);
}

/** A controller that had no I/O queues gets its tag set now. @kernel drivers/nvme/host/pci.c nvme_pci_update_nr_queues */
async function nvmePciUpdateNrQueues(dev: NvmeDev, io: NvmeIo): Promise<void> {
  const { blkMq } = dev.deps;
  if (dev.ctrl.tagset === null) {
    await allocIoTagSet(dev, io);
    return;
  }
  await blkMq.blkMqUpdateNrHwQueues(dev.ctrl.tagset, dev.onlineQueues - 1);
  nvmeFreeQueues(dev, dev.onlineQueues);
}

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

async function loseQueues(dev: NvmeDev): Promise<void> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  dev.kernel.printk.print('warn', `nvme ${ctrl.name}: IO queues lost`);
  nvmeCore.nvmeMarkNamespacesDead(ctrl);
  nvmeCore.nvmeUnquiesceIoQueues(ctrl);
  await nvmeCore.nvmeRemoveNamespaces(ctrl);
  await nvmeFreeTagset(dev);
}

/** @kernel drivers/nvme/host/pci.c nvme_free_tagset */
export async function nvmeFreeTagset(dev: NvmeDev): Promise<void> {
  if (dev.ctrl.tagset === null) return;
  await dev.deps.nvmeCore.nvmeRemoveIoTagSet(dev.ctrl);
}

/** The controller did not come back: its disks fail from now on, and the driver stays bound. */
async function giveUp(dev: NvmeDev, io: NvmeIo, errno: number): Promise<void> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  dev.kernel.printk.print('warn', `nvme ${ctrl.name}: Disabling device after reset failure: ${errno}`);
  nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DELETING);
  await nvmeDevDisable(dev, true, io.completion);
  await nvmeCore.nvmeSyncQueues(ctrl);
  nvmeCore.nvmeMarkNamespacesDead(ctrl);
  nvmeCore.nvmeUnquiesceIoQueues(ctrl);
  nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DEAD);
}
