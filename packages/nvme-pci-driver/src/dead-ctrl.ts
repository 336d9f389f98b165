/**
 * A controller that did not come up: it stays as a dead one, or the driver is unbound from it in a work of its own.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_remove_dead_ctrl, nvme_remove_dead_ctrl_work, and the error end of
 * nvme_reset_work.
 */
import { traced } from '@nvme-stack/kernel';
import { NVME_CTRL_DEAD, NVME_CTRL_DELETING } from '@nvme-stack/nvme-core/ports';
import type { WorkStruct } from '@nvme-stack/workqueue/ports';
import type { NvmeDev } from './dev.js';
import { nvmeDevDisable } from './disable.js';
import type { DeadStep } from './eras.js';
import type { NvmeIo } from './io.js';

/** What the era does when a reset failed with `errno` (negative). Task context. */
export async function giveUp(dev: NvmeDev, io: NvmeIo, errno: number): Promise<void> {
  if (dev.driver.era.afterFailedReset === 'dead') await keepDead(dev, io, errno);
  else await nvmeRemoveDeadCtrl(dev, io, errno);
}

/** Its disks fail from now on, and the driver stays bound. */
async function keepDead(dev: NvmeDev, io: NvmeIo, errno: number): Promise<void> {
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

/** The work holds a reference of its own. @kernel drivers/nvme/host/pci.c nvme_remove_dead_ctrl */
const nvmeRemoveDeadCtrl = traced(
  'nvme_remove_dead_ctrl',
  async (dev: NvmeDev, io: NvmeIo, errno: number): Promise<void> => {
    const { nvmeCore, workqueues } = dev.deps;
    const { ctrl } = dev;
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: Removing after probe failure status: ${errno}`);
    nvmeCore.nvmeGetCtrl(ctrl);
    await runDeadSteps(dev, io, dev.driver.era.deadSteps);
    if (!workqueues.queueWork(nvmeCore.nvmeWq, dev.removeWork as WorkStruct)) nvmeCore.nvmePutCtrl(ctrl);
  },
);

async function runDeadSteps(dev: NvmeDev, io: NvmeIo, steps: readonly DeadStep[]): Promise<void> {
  const { nvmeCore } = dev.deps;
  for (const step of steps) {
    if (step === 'deleting') nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_DELETING);
    else if (step === 'disable') await nvmeDevDisable(dev, false, io.completion);
    else nvmeCore.nvmeKillQueues(dev.ctrl);
  }
}

/** Made with the device, in the eras that unbind. */
export function removeWork(dev: NvmeDev, io: NvmeIo): WorkStruct {
  return dev.deps.workqueues.initWork('nvme_remove_dead_ctrl_work', dev, (device) =>
    nvmeRemoveDeadCtrlWork(device, io),
  );
}

/** @kernel drivers/nvme/host/pci.c nvme_remove_dead_ctrl_work */
const nvmeRemoveDeadCtrlWork = traced('nvme_remove_dead_ctrl_work', async (dev: NvmeDev, io: NvmeIo): Promise<void> => {
  const { deviceCore, nvmeCore } = dev.deps;
  await runDeadSteps(dev, io, dev.driver.era.unbindSteps);
  if (dev.pdev.dev.driverData !== null) await deviceCore.deviceReleaseDriver(dev.pdev.dev);
  nvmeCore.nvmePutCtrl(dev.ctrl);
});
