/**
 * Stops a controller: for a reset, for removal, or because it no longer answers.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_dev_disable.
 */
import { mutexLock, mutexUnlock, traced } from '@nvme-stack/kernel';
import { NVME_CTRL_DEAD, NVME_CTRL_DELETING, NVME_CTRL_LIVE, NVME_CTRL_RESETTING } from '@nvme-stack/nvme-core/ports';
import { NVME_CSTS_CFS, NVME_CSTS_RDY, NVME_REG_CSTS } from '@nvme-stack/nvme-protocol';
import { releaseCmbOnDisable } from './cmb.js';
import { type NvmeCompletion, nvmePollIrqdisable } from './complete.js';
import { type NvmeDev, type NvmeQueue, resetWorkOf, resetWqOf } from './dev.js';
import { takeHostMemBack } from './host-mem.js';
import { nvmeUpdateAttrs } from './pci-attributes.js';
import { nvmeReapPendingCqes, nvmeSuspendIoQueues, nvmeSuspendQueue } from './queue.js';
import { nvmeDeleteIoQueues } from './queue-commands.js';
import { nvmeBar } from './registers.js';
import { stopWatchdog } from './watchdog.js';

const NS_PER_SECOND = 1e9;

/** Whether there is no point in speaking to the controller. @kernel drivers/nvme/host/pci.c nvme_pci_ctrl_is_dead */
function nvmePciCtrlIsDead(dev: NvmeDev): boolean {
  const { pciBus } = dev.deps;
  if (!pciBus.pciIsEnabled(dev.pdev) || !pciBus.pciDeviceIsPresent(dev.pdev) || dev.bar === null) return true;
  if (dev.pdev.errorState !== 'normal') return true;
  const csts = nvmeBar(dev).readl(NVME_REG_CSTS);
  return (csts & NVME_CSTS_CFS) !== 0 || (csts & NVME_CSTS_RDY) === 0;
}

/** Stops the controller and ends or keeps back every request; `shutdown` tells it that power may go. Task context; never throws. @kernel drivers/nvme/host/pci.c nvme_dev_disable */
export const nvmeDevDisable = traced(
  'nvme_dev_disable',
  async (dev: NvmeDev, shutdown: boolean, completion: NvmeCompletion): Promise<void> => {
    const { nvmeCore, pciBus } = dev.deps;
    const { ctrl } = dev;
    const { state } = ctrl;
    const { era } = dev.driver;
    stopWatchdog(dev);
    await mutexLock(dev.shutdownLock);
    const dead = nvmePciCtrlIsDead(dev);
    if (era.freezesOnDisable && (state === NVME_CTRL_LIVE || state === NVME_CTRL_RESETTING)) {
      if (pciBus.pciIsEnabled(dev.pdev)) nvmeCore.nvmeStartFreeze(ctrl);
      // Let what is in flight finish before power goes.
      if (!dead && shutdown) await nvmeCore.nvmeWaitFreezeTimeout(ctrl, ioTimeoutNs(dev));
    }
    if (!dead) await takeHostMemBack(dev);
    await nvmeCore.nvmeQuiesceIoQueues(ctrl);
    if (!dead && ctrl.queueCount > 0) await stopController(dev, shutdown, completion);
    await nvmeSuspendIoQueues(dev);
    if (dev.queues[0] !== undefined) await nvmeSuspendQueue(dev.queues[0]);
    if (releaseCmbOnDisable(dev)) nvmeUpdateAttrs(dev);
    pciBus.pciFreeIrqVectors(dev.pdev);
    if (pciBus.pciIsEnabled(dev.pdev)) {
      if (era.enableSteps.includes('error-reporting')) pciBus.pciDisablePcieErrorReporting(dev.pdev);
      pciBus.pciDisableDevice(dev.pdev);
    }
    nvmeReapPendingCqes(dev, completion);
    await nvmeCore.nvmeCancelTagset(ctrl);
    await nvmeCore.nvmeCancelAdminTagset(ctrl);
    // After a shutdown nobody else comes to let requests fail.
    if (shutdown) {
      nvmeCore.nvmeUnquiesceIoQueues(ctrl);
      if (ctrl.adminQ !== null && !ctrl.adminQ.dying) nvmeCore.nvmeUnquiesceAdminQueue(ctrl);
    }
    mutexUnlock(dev.shutdownLock);
  },
);

/** How long shutdown waits for I/O to drain. @kernel drivers/nvme/host/nvme.h NVME_IO_TIMEOUT */
function ioTimeoutNs(dev: NvmeDev): number {
  return (dev.deps.nvmeCore.param('io_timeout') as number) * NS_PER_SECOND;
}

/** Makes the state RESETTING and stops the controller; false when it is going away instead. Task context. @kernel drivers/nvme/host/pci.c nvme_disable_prepare_reset */
export async function nvmeDisablePrepareReset(
  dev: NvmeDev,
  shutdown: boolean,
  completion: NvmeCompletion,
): Promise<boolean> {
  if (dev.driver.era.waitsForReset && !(await dev.deps.nvmeCore.nvmeWaitReset(dev.ctrl))) return false;
  await nvmeDevDisable(dev, shutdown, completion);
  return true;
}

/** Queues the reset of a controller whose state is RESETTING; false when that cannot be. Any context. @kernel drivers/nvme/host/core.c nvme_try_sched_reset */
export function nvmeTrySchedReset(dev: NvmeDev): boolean {
  const { workqueues } = dev.deps;
  // Before 5.1 a stopped controller says nothing of the reset that is to come.
  if (!dev.driver.era.waitsForReset) return nvmeReset(dev);
  if (dev.ctrl.state !== NVME_CTRL_RESETTING) return false;
  return workqueues.queueWork(resetWqOf(dev), resetWorkOf(dev));
}

/** Resets a controller that is not being reset; false when it is, or goes away. Any context. @kernel drivers/nvme/host/core.c nvme_reset_ctrl */
export function nvmeReset(dev: NvmeDev): boolean {
  const { nvmeCore, workqueues } = dev.deps;
  const { state } = dev.ctrl;
  if (dev.ctrl.adminQ?.dying === true) return false;
  // A reset that is queued behind the controller's removal would find nothing to reset.
  if (state === NVME_CTRL_DELETING || state === NVME_CTRL_DEAD) return false;
  if (dev.driver.era.resettingFrom === 'request' && !nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_RESETTING)) {
    return false;
  }
  return workqueues.queueWork(resetWqOf(dev), resetWorkOf(dev));
}

async function stopController(dev: NvmeDev, shutdown: boolean, completion: NvmeCompletion): Promise<void> {
  const adminq = dev.queues[0] as NvmeQueue;
  const nrIoQueues = dev.onlineQueues - 1;
  if (dev.driver.era.suspendsBeforeDelete) await nvmeSuspendIoQueues(dev);
  if (adminq.enabled && dev.ctrl.adminQ !== null) await nvmeDeleteIoQueues(dev, nrIoQueues);
  try {
    await dev.deps.nvmeCore.nvmeDisableCtrl(dev.ctrl, shutdown);
  } catch {
    // The core has logged it; the queues are torn down all the same.
  }
  if (adminq.enabled) await nvmePollIrqdisable(adminq, completion);
}
