/**
 * Resetting a function: by function level reset, by a trip through D3hot, or by the bus above it.
 * Kernel counterpart: drivers/pci/pci.c (pcie_flr, pci_reset_function). Spec: [PCIe] 5.0 §6.6.2.
 */
import { KernelError, msleep, traced, withMutex } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord, readConfig, writeConfig } from './access.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { throwErrno } from './pci-subsystem.js';
import { pciRestoreState, pciSaveState, pciSetPowerState } from './power.js';

/** How long a function may take to come back. @kernel drivers/pci/pci.h PCIE_RESET_READY_POLL_MS */
const PCIE_RESET_READY_POLL_MS = 60000;
/** Waits that are worth a log line. @kernel drivers/pci/pci.c PCI_RESET_WAIT */
const PCI_RESET_WAIT_MS = 1000;

export type PciResetMethod = 'flr' | 'pm' | 'bus';

/** What resets the function, in the order it is tried: what the user chose, else all there is. @kernel include/linux/pci.h reset_methods */
export function resetMethods(pdev: PciDevice): readonly PciResetMethod[] {
  return pdev.resetMethods ?? availableMethods(pdev);
}

/** `default`, nothing, or names in the order wanted. Throws EINVAL for one the function does not have. @kernel drivers/pci/pci.c reset_method_store */
export function chooseResetMethods(pdev: PciDevice, text: string): void {
  const words = text.split(/\s+/).filter((word) => word !== '');
  if (words.length === 1 && words[0] === 'default') {
    pdev.resetMethods = null;
    return;
  }
  const available = availableMethods(pdev);
  const unknown = words.find((word) => !available.some((method) => method === word));
  if (unknown !== undefined)
    throw new KernelError('EINVAL', `reset_method '${unknown}': allowed are default, ${available.join(', ')}`);
  pdev.resetMethods = words as PciResetMethod[];
}

/** The best first. @kernel drivers/pci/pci.c pci_init_reset_methods */
function availableMethods(pdev: PciDevice): PciResetMethod[] {
  const methods: PciResetMethod[] = [];
  if (hasFlr(pdev)) methods.push('flr');
  if (pdev.pmCap !== 0 && (readConfig(pdev, pdev.pmCap + regs.PCI_PM_CTRL, 2) & regs.PCI_PM_CTRL_NO_SOFT_RESET) === 0) {
    methods.push('pm');
  }
  if (pdev.segment.self !== null && pdev.segment.devices.length === 1) methods.push('bus');
  return methods;
}

function hasFlr(pdev: PciDevice): boolean {
  if (pdev.expressCap === 0) return false;
  const capabilities = readConfig(pdev, pdev.expressCap + regs.PCI_EXP_DEVCAP, 4);
  return capabilities !== 0xffffffff && (capabilities & regs.PCI_EXP_DEVCAP_FLR) !== 0;
}

/** Throws ENOTTY when the function has none or does not come back. @kernel drivers/pci/pci.c pcie_flr */
export const pcieFlr = traced('pcie_flr', async (pdev: PciDevice): Promise<void> => {
  const injected = pdev.subsystem.injected('pcie_flr');
  if (injected < 0) throwErrno(injected, `${pdev.name}: function level reset`);
  if (!hasFlr(pdev)) throw new KernelError('ENOTTY', `${pdev.name} has no function level reset`);
  if (!(await waitForPendingTransaction(pdev))) {
    pciLog(pdev, 'err', 'timed out waiting for pending transaction; performing function level reset anyway');
  }
  changeWord(pdev, pdev.expressCap + regs.PCI_EXP_DEVCTL, 0, regs.PCI_EXP_DEVCTL_BCR_FLR);
  await msleep(pdev, 100);
  await pciDevWait(pdev, 'FLR');
});

/** @kernel drivers/pci/pci.c pci_wait_for_pending_transaction */
async function waitForPendingTransaction(pdev: PciDevice): Promise<boolean> {
  for (let attempt = 0; attempt < 4; attempt++) {
    if (attempt > 0) await msleep(pdev, (1 << (attempt - 1)) * 100);
    const status = readConfig(pdev, pdev.expressCap + regs.PCI_EXP_DEVSTA, 2);
    if ((status & regs.PCI_EXP_DEVSTA_TRPND) === 0) return true;
  }
  return false;
}

/** Waits until the function answers again. @kernel drivers/pci/pci.c pci_dev_wait */
async function pciDevWait(pdev: PciDevice, kind: string): Promise<void> {
  let waitedMs = 1;
  while (readConfig(pdev, regs.PCI_COMMAND, 4) === 0xffffffff) {
    if (pdev.disconnected || waitedMs > PCIE_RESET_READY_POLL_MS) {
      pciLog(pdev, 'warn', `not ready ${waitedMs - 1}ms after ${kind}; giving up`);
      throw new KernelError('ENOTTY', `${pdev.name} did not come back after ${kind}`);
    }
    if (waitedMs > PCI_RESET_WAIT_MS) pciLog(pdev, 'info', `not ready ${waitedMs - 1}ms after ${kind}; waiting`);
    await msleep(pdev, waitedMs);
    waitedMs *= 2;
  }
  if (waitedMs > PCI_RESET_WAIT_MS) pciLog(pdev, 'info', `ready ${waitedMs - 1}ms after ${kind}`);
}

/** By D3hot and back. @kernel drivers/pci/pci.c pci_pm_reset */
async function pmReset(pdev: PciDevice): Promise<void> {
  const at = pdev.pmCap + regs.PCI_PM_CTRL;
  const control = readConfig(pdev, at, 2) & ~regs.PCI_PM_CTRL_STATE_MASK;
  writeConfig(pdev, at, control | 3, 2);
  await msleep(pdev, 10);
  writeConfig(pdev, at, control, 2);
  await msleep(pdev, 10);
  await pciDevWait(pdev, 'PM D3hot->D0');
}

/** Resets everything below a bridge. @kernel drivers/pci/pci.c pci_bridge_secondary_bus_reset */
export const pciBridgeSecondaryBusReset = traced(
  'pci_bridge_secondary_bus_reset',
  async (bridge: PciDevice): Promise<void> => {
    changeWord(bridge, regs.PCI_BRIDGE_CONTROL, 0, regs.PCI_BRIDGE_CTL_BUS_RESET);
    await msleep(bridge, 2);
    changeWord(bridge, regs.PCI_BRIDGE_CONTROL, regs.PCI_BRIDGE_CTL_BUS_RESET, 0);
    await msleep(bridge, 100);
    for (const pdev of bridge.subordinate?.devices ?? []) await pciDevWait(pdev, 'bus reset');
  },
);

async function runMethod(pdev: PciDevice, method: PciResetMethod): Promise<void> {
  if (method === 'flr') await pcieFlr(pdev);
  else if (method === 'pm') await pmReset(pdev);
  else await pciBridgeSecondaryBusReset(pdev.segment.self as PciDevice);
}

/** Saves state, tells the driver, resets, restores, tells the driver. @kernel drivers/pci/pci.c pci_reset_function */
export const pciResetFunction = traced('pci_reset_function', async (pdev: PciDevice): Promise<void> => {
  const methods = resetMethods(pdev);
  if (methods.length === 0) throw new KernelError('ENOTTY', `${pdev.name} has no way to be reset`);
  await withMutex(pdev.lock, async () => {
    await saveAndDisable(pdev);
    try {
      await resetByFirst(pdev, methods);
    } finally {
      pciRestoreState(pdev);
      const done = pdev.driver?.driver.errHandler?.resetDone;
      if (done !== undefined) await done.call(pdev.driver?.driver.errHandler, pdev);
    }
  });
});

/** @kernel drivers/pci/pci.c pci_dev_save_and_disable */
async function saveAndDisable(pdev: PciDevice): Promise<void> {
  const handlers = pdev.driver?.driver.errHandler;
  if (handlers?.resetPrepare !== undefined) await handlers.resetPrepare(pdev);
  await pciSetPowerState(pdev, 0);
  pciSaveState(pdev);
  writeConfig(pdev, regs.PCI_COMMAND, regs.PCI_COMMAND_INTX_DISABLE, 2);
}

/** A method that says ENOTTY passes to the next. @kernel drivers/pci/pci.c __pci_reset_function_locked */
async function resetByFirst(pdev: PciDevice, methods: readonly PciResetMethod[]): Promise<void> {
  for (const [at, method] of methods.entries()) {
    try {
      await runMethod(pdev, method);
      return;
    } catch (error) {
      if (!KernelError.is(error) || error.code !== 'ENOTTY' || at === methods.length - 1) throw error;
    }
  }
}
