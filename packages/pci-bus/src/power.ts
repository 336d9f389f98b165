/**
 * Power states, and the configuration kept across them and across resets.
 * Kernel counterpart: drivers/pci/pci.c (pci_set_power_state, pci_save_state, pci_restore_state). Spec: [PCI-PM] 1.2 §5.
 */
import { msleep, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { readConfig, writeConfig } from './access.js';
import { restoreMsiState } from './msi.js';
import { restoreMsixState } from './msix.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { pciRestoreIovState } from './restore-sriov.js';

/** Time to wait after entering or leaving D3hot. @kernel drivers/pci/pci.h PCI_PM_D3HOT_WAIT */
const PCI_PM_D3HOT_WAIT_MS = 10;

/** Registers of the PCI Express capability that are kept. */
const EXPRESS_REGISTERS = [regs.PCI_EXP_DEVCTL, regs.PCI_EXP_LNKCTL, regs.PCI_EXP_SLTCTL, regs.PCI_EXP_DEVCTL2];

/** Moves the function to D0..D3hot; without power management only D0 exists. @kernel drivers/pci/pci.c pci_set_power_state */
export async function pciSetPowerState(pdev: PciDevice, state: 0 | 1 | 2 | 3): Promise<void> {
  if (pdev.pmCap === 0) {
    pdev.currentState = 0;
    return;
  }
  const at = pdev.pmCap + regs.PCI_PM_CTRL;
  const control = readConfig(pdev, at, 2);
  if (control === 0xffff) {
    pciLog(
      pdev,
      'err',
      `Unable to change power state from ${stateName(pdev.currentState)} to ${stateName(state)}, device inaccessible`,
    );
    pdev.currentState = 4;
    return;
  }
  const old = (control & regs.PCI_PM_CTRL_STATE_MASK) as 0 | 1 | 2 | 3;
  pdev.currentState = old;
  if (old === state) return;
  const losesState = old === 3 && state === 0 && (control & regs.PCI_PM_CTRL_NO_SOFT_RESET) === 0;
  writeConfig(pdev, at, (control & ~regs.PCI_PM_CTRL_STATE_MASK) | state, 2);
  if (old === 3 || state === 3) await msleep(pdev, PCI_PM_D3HOT_WAIT_MS);
  pdev.currentState = (readConfig(pdev, at, 2) & regs.PCI_PM_CTRL_STATE_MASK) as 0 | 1 | 2 | 3;
  // The function came up as after a reset: its BARs are gone.
  if (losesState) restoreBars(pdev);
}

/** `D0`, `D3hot`, `unknown`. @kernel include/linux/pci.h pci_power_name */
export function stateName(state: number): string {
  return ['D0', 'D1', 'D2', 'D3hot', 'D3cold', 'unknown'][state] ?? 'unknown';
}

function restoreBars(pdev: PciDevice): void {
  for (const bar of pdev.bars) {
    if (bar === null || bar.resource === null) continue;
    writeConfig(pdev, regs.PCI_BASE_ADDRESS_0 + 4 * bar.index, bar.start % 0x100000000, 4);
    if (bar.is64Bit)
      writeConfig(pdev, regs.PCI_BASE_ADDRESS_0 + 4 * bar.index + 4, Math.floor(bar.start / 0x100000000), 4);
  }
}

/** @kernel drivers/pci/pci.c pci_save_state */
export const pciSaveState = traced('pci_save_state', (pdev: PciDevice): void => {
  const config = new Uint32Array(16);
  for (let i = 0; i < 16; i++) config[i] = readConfig(pdev, 4 * i, 4);
  let express: Uint16Array | null = null;
  if (pdev.expressCap !== 0) {
    express = new Uint16Array(EXPRESS_REGISTERS.length);
    for (const [i, offset] of EXPRESS_REGISTERS.entries()) express[i] = readConfig(pdev, pdev.expressCap + offset, 2);
  }
  pdev.savedState = { config, express };
  pdev.stateSaved = true;
});

/** Does nothing when nothing was saved. @kernel drivers/pci/pci.c pci_restore_state */
export const pciRestoreState = traced('pci_restore_state', (pdev: PciDevice): void => {
  const saved = pdev.savedState;
  if (!pdev.stateSaved || saved === null) return;
  if (saved.express !== null) {
    for (const [i, offset] of EXPRESS_REGISTERS.entries()) {
      writeConfig(pdev, pdev.expressCap + offset, saved.express[i] as number, 2);
    }
  }
  // BARs before the command register: decoding goes on last.
  for (let i = 15; i >= 0; i--) {
    const value = saved.config[i] as number;
    if (readConfig(pdev, 4 * i, 4) !== value) writeConfig(pdev, 4 * i, value, 4);
  }
  restoreMsiState(pdev);
  restoreMsixState(pdev);
  pciRestoreIovState(pdev);
  pdev.isBusMaster = ((saved.config[1] as number) & regs.PCI_COMMAND_MASTER) !== 0;
  pdev.stateSaved = false;
});

/** @kernel drivers/pci/pcie/aspm.c pcie_aspm_enabled */
export function pcieAspmEnabled(pdev: PciDevice): boolean {
  const port = pdev.segment.self;
  if (port === null || port.expressCap === 0) return false;
  return (readConfig(port, port.expressCap + regs.PCI_EXP_LNKCTL, 2) & regs.PCI_EXP_LNKCTL_ASPMC) !== 0;
}
