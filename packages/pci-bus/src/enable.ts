/**
 * Enabling and disabling a function, counted; bus mastering.
 * Kernel counterpart: drivers/pci/pci.c (pci_enable_device_mem, pci_disable_device, pci_set_master).
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord, readConfig, writeConfig } from './access.js';
import { pciIntx } from './intx.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { hex } from './pci-resource.js';
import { throwErrno } from './pci-subsystem.js';
import { pciSetPowerState } from './power.js';

/** @kernel drivers/pci/pci.c pci_enable_device_mem */
export const pciEnableDeviceMem = traced('pci_enable_device_mem', async (pdev: PciDevice): Promise<void> => {
  await enableDevice(pdev);
});

async function enableDevice(pdev: PciDevice): Promise<void> {
  if (++pdev.enableCount > 1) return;
  try {
    const injected = pdev.subsystem.injected('pci_enable_device');
    if (injected < 0) throwErrno(injected, `${pdev.name}: enabling`);
    if (pdev.segment.self !== null) await enableBridge(pdev.segment.self);
    await pciSetPowerState(pdev, 0);
    enableResources(pdev);
    if (!pdev.msiEnabled && !pdev.msixEnabled && pdev.pin !== 0) pciIntx(pdev, true);
  } catch (error) {
    pdev.enableCount--;
    throw error;
  }
}

/** @kernel drivers/pci/setup-res.c pci_enable_resources */
function enableResources(pdev: PciDevice): void {
  let needsMemory = pdev.subordinate !== null;
  for (const bar of pdev.bars) {
    if (bar === null) continue;
    if (bar.resource === null && !pdev.isVirtfn) {
      pciLog(pdev, 'err', `BAR ${bar.index} ${bar.text()}: not assigned; can't enable device`);
      throw new KernelError('EINVAL', `${pdev.name}: BAR ${bar.index} has no place`);
    }
    needsMemory = true;
  }
  const command = readConfig(pdev, regs.PCI_COMMAND, 2);
  const wanted = needsMemory ? command | regs.PCI_COMMAND_MEMORY : command;
  if (wanted === command) return;
  pciLog(pdev, 'info', `enabling device (${hex(command, 4).slice(2)} -> ${hex(wanted, 4).slice(2)})`);
  writeConfig(pdev, regs.PCI_COMMAND, wanted, 2);
}

/** Bridges forward memory and let masters through before anything below them works. @kernel drivers/pci/pci.c pci_enable_bridge */
async function enableBridge(bridge: PciDevice): Promise<void> {
  if (bridge.enableCount === 0) await enableDevice(bridge);
  if (!bridge.isBusMaster) setMaster(bridge, true);
}

/** @kernel drivers/pci/pci.c pci_disable_device */
export const pciDisableDevice = traced('pci_disable_device', (pdev: PciDevice): void => {
  if (pdev.enableCount <= 0) {
    pciLog(pdev, 'warn', 'disabling already-disabled device');
    return;
  }
  if (--pdev.enableCount > 0) return;
  changeWord(pdev, regs.PCI_COMMAND, regs.PCI_COMMAND_MASTER, 0);
  pdev.isBusMaster = false;
});

/** @kernel drivers/pci/pci.c pci_set_master */
export const pciSetMaster = traced('pci_set_master', (pdev: PciDevice): void => setMaster(pdev, true));

function setMaster(pdev: PciDevice, enable: boolean): void {
  changeWord(pdev, regs.PCI_COMMAND, enable ? 0 : regs.PCI_COMMAND_MASTER, enable ? regs.PCI_COMMAND_MASTER : 0);
  pdev.isBusMaster = enable;
}
