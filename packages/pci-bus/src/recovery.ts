/**
 * Recovery from a bus error: the driver is told, the link is reset when it has to be, the driver brings its device up.
 * Kernel counterpart: drivers/pci/pcie/err.c. Spec: [PCIe] 5.0 §6.2.
 */
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import { type PciDevice, pciLog } from './pci-device.js';
import type { PciChannelState, PciErsResult } from './ports.js';
import { pciBridgeSecondaryBusReset, pcieFlr } from './reset.js';

/** Which result counts more when several functions answer. @kernel drivers/pci/pcie/err.c merge_result */
const WEIGHT: Readonly<Record<PciErsResult, number>> = {
  none: 0,
  recovered: 1,
  'can-recover': 2,
  'need-reset': 3,
  disconnect: 4,
};

function merge(a: PciErsResult, b: PciErsResult): PciErsResult {
  return WEIGHT[b] > WEIGHT[a] ? b : a;
}

/** Delivers an error of a channel to its drivers and drives recovery. Task context. @kernel drivers/pci/pcie/err.c pcie_do_recovery */
export const pcieDoRecovery = traced(
  'pcie_do_recovery',
  async (pdev: PciDevice, state: PciChannelState): Promise<PciErsResult> => {
    const affected = affectedBy(pdev);
    let status: PciErsResult = 'none';
    for (const each of affected) status = merge(status, await reportErrorDetected(each, state));
    if (state === 'frozen' && status !== 'disconnect') {
      if (await resetLink(pdev)) status = merge(status, 'need-reset');
      else status = 'disconnect';
    }
    if (status === 'can-recover') status = 'recovered';
    if (status === 'need-reset') {
      status = 'recovered';
      for (const each of affected) status = merge(status, await reportSlotReset(each));
    }
    if (status !== 'recovered') {
      pciLog(pdev, 'info', 'AER: device recovery failed');
      return status;
    }
    for (const each of affected) await reportResume(each);
    pciLog(pdev, 'info', 'AER: device recovery successful');
    return status;
  },
);

/** Everything behind the port that leads to the function; an integrated endpoint stands alone. */
function affectedBy(pdev: PciDevice): readonly PciDevice[] {
  if (pdev.subordinate !== null) return [...pdev.subordinate.devices];
  return pdev.segment.self === null ? [pdev] : [...pdev.segment.devices];
}

/** @kernel drivers/pci/pcie/err.c report_error_detected */
async function reportErrorDetected(pdev: PciDevice, state: PciChannelState): Promise<PciErsResult> {
  return withMutex(pdev.lock, async () => {
    if (pdev.errorState === 'perm-failure') return 'disconnect';
    pdev.errorState = state;
    const handlers = pdev.driver?.driver.errHandler;
    if (handlers?.errorDetected === undefined) {
      pciLog(pdev, 'info', "AER: can't recover (no error_detected callback)");
      return 'none';
    }
    return await handlers.errorDetected(pdev, state);
  });
}

/** @kernel drivers/pci/pcie/err.c report_slot_reset */
async function reportSlotReset(pdev: PciDevice): Promise<PciErsResult> {
  return withMutex(pdev.lock, async () => {
    const handlers = pdev.driver?.driver.errHandler;
    return handlers?.slotReset === undefined ? 'none' : await handlers.slotReset(pdev);
  });
}

/** @kernel drivers/pci/pcie/err.c report_resume */
async function reportResume(pdev: PciDevice): Promise<void> {
  await withMutex(pdev.lock, async () => {
    pdev.errorState = 'normal';
    const handlers = pdev.driver?.driver.errHandler;
    if (handlers?.resume !== undefined) await handlers.resume(pdev);
  });
}

/** Resets the link above the function, or the function itself where there is no link. @kernel drivers/pci/pcie/err.c pcie_do_recovery (reset_subordinates) */
async function resetLink(pdev: PciDevice): Promise<boolean> {
  const port = pdev.subordinate !== null ? pdev : pdev.segment.self;
  try {
    if (port !== null) await pciBridgeSecondaryBusReset(port);
    else await pcieFlr(pdev);
    return true;
  } catch (error) {
    if (!KernelError.is(error)) throw error;
    pciLog(pdev, 'warn', 'AER: subordinate device reset failed');
    return false;
  }
}
