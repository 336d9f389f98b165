/**
 * System sleep: shut down before the power goes, or left on in its lowest power state when the power stays.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_suspend, nvme_resume, nvme_dev_pm_ops. [NVMe] 2.0 §5.27.1.2, §8.15.
 */
import type { RequestQueue } from '@nvme-stack/blk-mq/ports';
import type { Device, DevPmOps } from '@nvme-stack/device-core/ports';
import { KernelError, traced } from '@nvme-stack/kernel';
import { NVME_CTRL_LIVE, NVME_QUIRK_SIMPLE_SUSPEND, type NvmeSyncResult } from '@nvme-stack/nvme-core/ports';
import { NVME_FEAT_POWER_MGMT, NvmeAdminOpcode, NvmeFeatures } from '@nvme-stack/nvme-protocol';
import type { NvmeDev } from './dev.js';
import { nvmeDisablePrepareReset, nvmeTrySchedReset } from './disable.js';
import { nvmeSetHostMem, nvmeSetupHostMem } from './host-mem.js';
import { boundOf } from './power.js';
import type { BoundNvme } from './probe.js';
import { commandWords } from './queue-commands.js';

/** The controller was shut down: there is no state to go back to. */
const SHUT_DOWN = -1;

function powerManagement(dev: NvmeDev, opcode: number, dword11: number): Promise<NvmeSyncResult> {
  const command = commandWords(NvmeFeatures.encode({ opcode, fid: NVME_FEAT_POWER_MGMT, dword11 }));
  return dev.deps.nvmeCore.nvmeSubmitSyncCmd(dev.ctrl.adminQ as RequestQueue, command, null);
}

/** Power Management feature, current value. @kernel drivers/nvme/host/pci.c nvme_get_power_state */
function nvmeGetPowerState(dev: NvmeDev): Promise<NvmeSyncResult> {
  return powerManagement(dev, NvmeAdminOpcode.getFeatures, 0);
}

/** Negative: an errno; above 0: the controller refuses. @kernel drivers/nvme/host/pci.c nvme_set_power_state */
async function nvmeSetPowerState(dev: NvmeDev, state: number): Promise<number> {
  return (await powerManagement(dev, NvmeAdminOpcode.setFeatures, state)).status;
}

/** Whether the controller must be shut down: power goes, or nobody could save it. */
function mustShutDown(dev: NvmeDev): boolean {
  const { deviceCore, pciBus } = dev.deps;
  if (!dev.driver.era.hostManagedSleep || deviceCore.pmSuspendViaFirmware() || dev.ctrl.npss === 0) return true;
  return !pciBus.pcieAspmEnabled(dev.pdev) || (dev.ctrl.quirks & NVME_QUIRK_SIMPLE_SUSPEND) !== 0;
}

/** Throws EBUSY when the controller is going away. */
async function shutDown({ dev, io }: BoundNvme): Promise<void> {
  if (await nvmeDisablePrepareReset(dev, true, io.completion)) return;
  throw new KernelError('EBUSY', dev.ctrl.name);
}

/** The reset that suspend has prepared runs in its own worker. Throws EBUSY. */
function wakeUp({ dev }: BoundNvme): void {
  if (!nvmeTrySchedReset(dev)) throw new KernelError('EBUSY', dev.ctrl.name);
}

/** Throws EBUSY. @kernel drivers/nvme/host/pci.c nvme_simple_suspend */
const nvmeSimpleSuspend = traced('nvme_simple_suspend', (device: Device): Promise<void> => shutDown(boundOf(device)));

/** Throws EBUSY. @kernel drivers/nvme/host/pci.c nvme_simple_resume */
const nvmeSimpleResume = traced('nvme_simple_resume', async (device: Device): Promise<void> => wakeUp(boundOf(device)));

/** Throws EBUSY, or what the controller's answer stands for. @kernel drivers/nvme/host/pci.c nvme_suspend */
const nvmeSuspend = traced('nvme_suspend', async (device: Device): Promise<void> => {
  const bound = boundOf(device);
  const { dev } = bound;
  const { nvmeCore } = dev.deps;
  dev.lastPowerState = SHUT_DOWN;
  if (mustShutDown(dev)) {
    await shutDown(bound);
    return;
  }
  nvmeCore.nvmeStartFreeze(dev.ctrl);
  await nvmeCore.nvmeWaitFreeze(dev.ctrl);
  await nvmeCore.nvmeSyncQueues(dev.ctrl);
  try {
    await enterLowestState(bound);
  } finally {
    nvmeCore.nvmeUnfreeze(dev.ctrl);
  }
});

async function enterLowestState({ dev, io }: BoundNvme): Promise<void> {
  const { pciBus } = dev.deps;
  if (dev.ctrl.state !== NVME_CTRL_LIVE) throw new KernelError('EBUSY', `${dev.ctrl.name} is not live`);
  // A sleeping host may not answer, and a controller may use what it was lent in any power state.
  if (dev.hmb && (await nvmeSetHostMem(dev, 0)) < 0)
    throw new KernelError('EIO', `${dev.ctrl.name}: host memory buffer`);
  const { status, result } = await nvmeGetPowerState(dev);
  if (status < 0) throw new KernelError('EIO', `${dev.ctrl.name}: Power Management`);
  dev.lastPowerState = status === 0 ? result : SHUT_DOWN;
  // Saved state tells the bus that this driver chooses the power state.
  pciBus.pciSaveState(dev.pdev);
  const refused = await nvmeSetPowerState(dev, dev.ctrl.npss);
  if (refused < 0) throw new KernelError('EIO', `${dev.ctrl.name}: Power Management`);
  if (refused === 0) return;
  pciBus.pciForgetState(dev.pdev);
  // Without states to choose from, resume resets the controller.
  dev.ctrl.npss = 0;
  dev.lastPowerState = SHUT_DOWN;
  await nvmeDisablePrepareReset(dev, true, io.completion);
}

/** Throws EBUSY. @kernel drivers/nvme/host/pci.c nvme_resume */
const nvmeResume = traced('nvme_resume', async (device: Device): Promise<void> => {
  const bound = boundOf(device);
  const { dev } = bound;
  if (dev.lastPowerState === SHUT_DOWN || (await nvmeSetPowerState(dev, dev.lastPowerState)) !== 0) wakeUp(bound);
  else if ((await nvmeSetupHostMem(dev)) !== 0) wakeUp(bound);
});

/** @kernel drivers/nvme/host/pci.c nvme_dev_pm_ops */
export const nvmeDevPmOps: DevPmOps = {
  suspend: nvmeSuspend,
  resume: nvmeResume,
  freeze: nvmeSimpleSuspend,
  thaw: nvmeSimpleResume,
  poweroff: nvmeSimpleSuspend,
  restore: nvmeSimpleResume,
};
