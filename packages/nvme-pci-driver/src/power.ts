/**
 * The bus's errors and resets.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_err_handler.
 */
import type { Device } from '@nvme-stack/device-core/ports';
import { traced } from '@nvme-stack/kernel';
import { NVME_CTRL_RESETTING } from '@nvme-stack/nvme-core/ports';
import type { PciChannelState, PciDev, PciErrorHandlers, PciErsResult } from '@nvme-stack/pci-bus/ports';
import { type NvmeDev, resetWorkOf } from './dev.js';
import { nvmeDevDisable, nvmeDisablePrepareReset, nvmeReset, nvmeTrySchedReset } from './disable.js';
import type { BoundNvme } from './probe.js';

/** What is bound to a device. @kernel include/linux/pci.h pci_get_drvdata */
export function boundOf(dev: Device): BoundNvme {
  return dev.driverData as BoundNvme;
}

function log(dev: NvmeDev, level: 'info' | 'warn', text: string): void {
  dev.kernel.printk.print(level, `nvme ${dev.ctrl.name}: ${text}`);
}

/** @kernel drivers/nvme/host/pci.c nvme_error_detected */
const nvmeErrorDetected = traced(
  'nvme_error_detected',
  async (pdev: PciDev, state: PciChannelState): Promise<PciErsResult> => {
    const { dev, io } = boundOf(pdev.dev);
    if (state === 'normal') return 'can-recover';
    if (state === 'perm-failure') {
      log(dev, 'warn', 'failure state error detected, request disconnect');
      return 'disconnect';
    }
    log(dev, 'warn', 'frozen state error detected, reset controller');
    if (dev.driver.era.recoversFirst === 'stop') {
      await nvmeDevDisable(dev, false, io.completion);
      return 'need-reset';
    }
    const mine = dev.deps.nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_RESETTING);
    await nvmeDevDisable(dev, !mine, io.completion);
    return mine ? 'need-reset' : 'disconnect';
  },
);

/** @kernel drivers/nvme/host/pci.c nvme_slot_reset */
const nvmeSlotReset = traced('nvme_slot_reset', async (pdev: PciDev): Promise<PciErsResult> => {
  const { dev } = boundOf(pdev.dev);
  log(dev, 'info', 'restart after slot reset');
  dev.deps.pciBus.pciRestoreState(pdev);
  if (dev.driver.era.recoversFirst === 'stop') nvmeReset(dev);
  else if (!nvmeTrySchedReset(dev)) dev.deps.nvmeCore.nvmeUnquiesceIoQueues(dev.ctrl);
  return 'recovered';
});

async function flushReset(dev: NvmeDev): Promise<void> {
  await dev.deps.workqueues.flushWork(resetWorkOf(dev));
}

/** @kernel drivers/nvme/host/pci.c nvme_error_resume */
const nvmeErrorResume = traced('nvme_error_resume', async (pdev: PciDev): Promise<void> => {
  const { dev } = boundOf(pdev.dev);
  if (dev.driver.era.waitsForReset) await flushReset(dev);
});

/** @kernel drivers/nvme/host/pci.c nvme_reset_prepare */
const nvmeResetPrepare = traced('nvme_reset_prepare', async (pdev: PciDev): Promise<void> => {
  const { dev, io } = boundOf(pdev.dev);
  await nvmeDisablePrepareReset(dev, false, io.completion);
  if (dev.driver.era.waitsForReset) await dev.deps.nvmeCore.nvmeSyncQueues(dev.ctrl);
});

/** @kernel drivers/nvme/host/pci.c nvme_reset_done */
const nvmeResetDone = traced('nvme_reset_done', async (pdev: PciDev): Promise<void> => {
  const { dev } = boundOf(pdev.dev);
  if (!dev.driver.era.waitsForReset) nvmeReset(dev);
  else if (nvmeTrySchedReset(dev)) await flushReset(dev);
});

/** @kernel drivers/nvme/host/pci.c nvme_err_handler */
export const nvmeErrHandler: PciErrorHandlers = {
  errorDetected: nvmeErrorDetected,
  slotReset: nvmeSlotReset,
  resume: nvmeErrorResume,
  resetPrepare: nvmeResetPrepare,
  resetDone: nvmeResetDone,
};
