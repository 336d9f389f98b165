/**
 * A PCI function becomes a controller, and goes again.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_probe, nvme_remove, nvme_shutdown.
 *
 * On 6.12 probe brings the controller up itself, in a worker; reset work serves resets only.
 */
import { dmaSetMaskAndCoherent, KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_LIVE,
  NVME_QUIRK_DMA_ADDRESS_BITS_48,
} from '@nvme-stack/nvme-core/ports';
import type { PciDev } from '@nvme-stack/pci-bus/ports';
import { NvmeDev, type NvmeDriverState } from './dev.js';
import { nvmeDevDisable, nvmeDisablePrepareReset } from './disable.js';
import { nvmePciEnable } from './enable.js';
import { NvmeIo } from './io.js';
import { nvmeMaxIoQueues, nvmeSetupIoQueues } from './io-queues.js';
import { NVME_MAX_KB_SZ, NVME_MAX_SEGS } from './limits.js';
import { nvmeReleasePrpPools, nvmeSetupPrpPools } from './map-data.js';
import { nvmeFreeQueues } from './queue.js';
import { nvmeDevMap, nvmeDevUnmap } from './registers.js';
import { allocIoTagSet, nvmeFreeTagset, nvmeResetWork } from './reset.js';
import { nvmeDbbufDmaAlloc, nvmeDbbufDmaFree, nvmeDbbufSet } from './shadow-doorbell.js';
import { nvmePciCtrlOps } from './transport.js';

/** A bound device: what probe made and remove takes down. */
export interface BoundNvme {
  readonly dev: NvmeDev;
  readonly io: NvmeIo;
}

/** Steps that undo what probe has done so far; run last first. */
type Undo = (() => Promise<void> | void)[];

async function unwind(undo: Undo): Promise<void> {
  for (let step = undo.pop(); step !== undefined; step = undo.pop()) await step();
}

/** Makes the device's data and its controller. Throws. @kernel drivers/nvme/host/pci.c nvme_pci_alloc_dev */
function nvmePciAllocDev(driver: NvmeDriverState, pdev: PciDev, quirks: number): BoundNvme {
  const { nvmeCore, workqueues } = driver.deps;
  const { dma } = pdev.dev;
  if (dma === null) throw new KernelError('ENODEV', `${pdev.dev.name} does no DMA`);
  const dev = new NvmeDev(driver, pdev, dma);
  dev.nrWriteQueues = driver.params.write_queues as number;
  dev.nrPollQueues = driver.params.poll_queues as number;
  dev.nrAllocatedQueues = nvmeMaxIoQueues(dev) + 1;
  dev.ctrl = nvmeCore.nvmeInitCtrl(pdev.dev, nvmePciCtrlOps, quirks, dev);
  const io = new NvmeIo(dev);
  dev.resetWork = workqueues.initWork('nvme_reset_work', dev, (device) => nvmeResetWork(device, io));
  dev.ctrl.resetWork = dev.resetWork;
  try {
    dmaSetMaskAndCoherent(dma, quirks & NVME_QUIRK_DMA_ADDRESS_BITS_48 ? 48 : 64);
  } catch {
    // The mask the bus has set stays.
  }
  dev.ctrl.maxHwSectors = NVME_MAX_KB_SZ << 1;
  dev.ctrl.maxSegments = NVME_MAX_SEGS;
  return { dev, io };
}

/** Binds the driver to a function, whose `driverData` is then a BoundNvme; throws what the bus reports. Task context. @kernel drivers/nvme/host/pci.c nvme_probe */
export const nvmeProbe = traced(
  'nvme_probe',
  async (driver: NvmeDriverState, pdev: PciDev, quirks: number): Promise<void> => {
    const { nvmeCore, workqueues } = driver.deps;
    const bound = nvmePciAllocDev(driver, pdev, quirks);
    const { dev } = bound;
    const { ctrl } = dev;
    const undo: Undo = [() => nvmeCore.nvmePutCtrl(ctrl)];
    try {
      await nvmeCore.nvmeAddCtrl(ctrl);
      undo.push(() => nvmeCore.nvmeUninitCtrl(ctrl));
      nvmeDevMap(dev);
      undo.push(() => nvmeDevUnmap(dev));
      undo.push(() => nvmeReleasePrpPools(dev));
      nvmeSetupPrpPools(dev);
      driver.kernel.printk.print('info', `nvme ${ctrl.name}: pci function ${pdev.dev.name}`);
      undo.push(() => nvmeFreeQueues(dev, 0));
      await nvmePciEnable(dev, bound.io.completion);
      undo.push(() => takeDown(bound));
      await bringUp(bound);
    } catch (error) {
      await unwind(undo);
      throw error;
    }
    pdev.dev.driverData = bound;
    driver.devices.set(ctrl, dev);
    await nvmeCore.nvmeStartCtrl(ctrl);
    await workqueues.flushWork(ctrl.scanWork);
  },
);

/** From an enabled controller to a live one. */
async function bringUp({ dev, io }: BoundNvme): Promise<void> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  await nvmeCore.nvmeAllocAdminTagSet(ctrl, { ops: io.adminOps, nrMaps: 1, driverData: dev });
  // Before the first admin command, so that its time-out is judged rightly.
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_CONNECTING)) {
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: failed to mark controller CONNECTING`);
    throw new KernelError('EBUSY', 'controller state');
  }
  await nvmeCore.nvmeInitCtrlFinish(ctrl, false);
  nvmeDbbufDmaAlloc(dev);
  await nvmeSetupIoQueues(dev, io.completion);
  if (dev.onlineQueues > 1) {
    await allocIoTagSet(dev, io);
    await nvmeDbbufSet(dev);
  }
  if (ctrl.tagset === null) dev.kernel.printk.print('warn', `nvme ${ctrl.name}: IO queues not created`);
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_LIVE)) {
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: failed to mark controller live state`);
    throw new KernelError('ENODEV', 'controller state');
  }
}

/** Undoes `bringUp` wherever it stopped: the controller is stopped before the memory that it uses goes. */
async function takeDown({ dev, io }: BoundNvme): Promise<void> {
  const { nvmeCore } = dev.deps;
  nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_DELETING);
  await nvmeDevDisable(dev, true, io.completion);
  await nvmeFreeTagset(dev);
  await nvmeDevRemoveAdmin(dev);
  nvmeDbbufDmaFree(dev);
}

/** A stopped controller's admin queue answers what still waits, and goes. @kernel drivers/nvme/host/pci.c nvme_dev_remove_admin */
async function nvmeDevRemoveAdmin(dev: NvmeDev): Promise<void> {
  const { nvmeCore } = dev.deps;
  if (dev.ctrl.adminQ === null || dev.ctrl.adminQ.dying) return;
  nvmeCore.nvmeUnquiesceAdminQueue(dev.ctrl);
  await nvmeCore.nvmeRemoveAdminTagSet(dev.ctrl);
}

/** Unbinds the driver: the disks go first, the mapping of the BAR last. Task context. @kernel drivers/nvme/host/pci.c nvme_remove */
export const nvmeRemove = traced('nvme_remove', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  const { nvmeCore, pciBus, workqueues } = dev.deps;
  const { ctrl } = dev;
  nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DELETING);
  if (!pciBus.pciDeviceIsPresent(dev.pdev)) {
    nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DEAD);
    await nvmeDevDisable(dev, true, io.completion);
  }
  if (dev.resetWork !== null) await workqueues.flushWork(dev.resetWork);
  await nvmeCore.nvmeStopCtrl(ctrl);
  await nvmeCore.nvmeRemoveNamespaces(ctrl);
  await nvmeDevDisable(dev, true, io.completion);
  await nvmeFreeTagset(dev);
  await nvmeDevRemoveAdmin(dev);
  nvmeDbbufDmaFree(dev);
  nvmeFreeQueues(dev, 0);
  nvmeReleasePrpPools(dev);
  nvmeDevUnmap(dev);
  await nvmeCore.nvmeUninitCtrl(ctrl);
  dev.driver.devices.delete(ctrl);
  nvmeCore.nvmePutCtrl(ctrl);
});

/** The system goes down: stop the controller in order, keep nothing else. @kernel drivers/nvme/host/pci.c nvme_shutdown */
export const nvmeShutdown = traced('nvme_shutdown', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  await nvmeDisablePrepareReset(dev, true, io.completion);
});
