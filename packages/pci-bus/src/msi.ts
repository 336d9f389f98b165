/**
 * Turning MSI on and off. One message per function: several need consecutive CPU vectors, which an x86 without
 * interrupt remapping does not hand out.
 * Kernel counterpart: drivers/pci/msi/msi.c (__pci_enable_msi_range, msi_capability_init). Spec: [PCI] 3.0 §6.8.1.
 */
import type { IrqAffinity } from '@nvme-stack/irq/ports';
import { Errno, errnoOf, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord, readConfig, writeConfig } from './access.js';
import { pciIntx } from './intx.js';
import { allocMessages, msiSupported, releaseMessages } from './msi-alloc.js';
import { type MsiHardware, PciMsi } from './msi-state.js';
import type { VectorRange } from './msix.js';
import { type PciDevice, pciLog } from './pci-device.js';

const MSI_CAPABILITY: MsiHardware = {
  setMask({ pdev }, index, masked) {
    const flags = msiFlags(pdev);
    if ((flags & regs.PCI_MSI_FLAGS_MASKBIT) === 0) return;
    const at = pdev.msiCap + ((flags & regs.PCI_MSI_FLAGS_64BIT) !== 0 ? regs.PCI_MSI_MASK_64 : regs.PCI_MSI_MASK_32);
    const bit = 1 << index;
    const old = readConfig(pdev, at, 4);
    writeConfig(pdev, at, (masked ? old | bit : old & ~bit) >>> 0, 4);
  },
  writeMsg(msi, index) {
    const { pdev } = msi;
    const at = pdev.msiCap;
    changeWord(pdev, at + regs.PCI_MSI_FLAGS, regs.PCI_MSI_FLAGS_QSIZE, 0);
    writeConfig(pdev, at + regs.PCI_MSI_ADDRESS_LO, msi.addressLo[index] as number, 4);
    const is64Bit = (msiFlags(pdev) & regs.PCI_MSI_FLAGS_64BIT) !== 0;
    if (is64Bit) writeConfig(pdev, at + regs.PCI_MSI_ADDRESS_HI, msi.addressHi[index] as number, 4);
    writeConfig(pdev, at + (is64Bit ? regs.PCI_MSI_DATA_64 : regs.PCI_MSI_DATA_32), msi.data[index] as number, 2);
  },
};

function msiFlags(pdev: PciDevice): number {
  return readConfig(pdev, pdev.msiCap + regs.PCI_MSI_FLAGS, 2);
}

/** Number of messages the function can send, 0 without MSI. @kernel drivers/pci/msi/api.c pci_msi_vec_count */
export function pciMsiVecCount(pdev: PciDevice): number {
  if (pdev.msiCap === 0) return 0;
  return 1 << ((msiFlags(pdev) & regs.PCI_MSI_FLAGS_QMASK) >> 1);
}

/**
 * Turns MSI on; returns the number of vectors or a negative error number.
 * @kernel drivers/pci/msi/msi.c __pci_enable_msi_range
 */
export const pciEnableMsiRange = traced('__pci_enable_msi_range', (pdev: PciDevice, range: VectorRange): number => {
  const injected = pdev.subsystem.injected('pci_enable_msi');
  if (injected < 0) return injected;
  if (!msiSupported(pdev) || pdev.currentState !== 0) return -Errno.EINVAL;
  if (pdev.msixEnabled) {
    pciLog(pdev, 'info', "can't enable MSI (MSI-X already enabled)");
    return -Errno.EINVAL;
  }
  if (range.max < range.min) return -Errno.ERANGE;
  if (pdev.msiEnabled) {
    pciLog(pdev, 'warn', 'MSI is enabled already');
    return -Errno.EINVAL;
  }
  const count = pciMsiVecCount(pdev);
  if (count === 0) return -Errno.EINVAL;
  if (count < range.min || range.min > 1) return -Errno.ENOSPC;
  if (range.affinity !== null && pdev.subsystem.irqs.irqCalcAffinityVectors(1, 1, range.affinity) < 1)
    return -Errno.ENOSPC;
  const error = msiCapabilityInit(pdev, range.affinity);
  return error < 0 ? error : 1;
});

function msiCapabilityInit(pdev: PciDevice, affinity: IrqAffinity | null): number {
  const control = pdev.msiCap + regs.PCI_MSI_FLAGS;
  changeWord(pdev, control, regs.PCI_MSI_FLAGS_ENABLE, 0);
  pdev.msiEnabled = true;
  const msi = new PciMsi(pdev, 'msi', 1, null, MSI_CAPABILITY);
  try {
    msi.setMask(0, true);
    allocMessages(msi, affinity);
  } catch (error) {
    pdev.msiEnabled = false;
    return errnoOf(error);
  }
  pciIntx(pdev, false);
  changeWord(pdev, control, 0, regs.PCI_MSI_FLAGS_ENABLE);
  return 0;
}

/** @kernel drivers/pci/msi/api.c pci_disable_msi */
export function pciDisableMsi(pdev: PciDevice): void {
  const { msi } = pdev;
  if (!pdev.msiEnabled || msi === null) return;
  changeWord(pdev, pdev.msiCap + regs.PCI_MSI_FLAGS, regs.PCI_MSI_FLAGS_ENABLE, 0);
  pciIntx(pdev, true);
  pdev.msiEnabled = false;
  releaseMessages(msi);
  // Unmasked again, as the function was found. @kernel drivers/pci/msi/msi.c pci_msi_shutdown
  MSI_CAPABILITY.setMask(msi, 0, false);
}

/** @kernel drivers/pci/msi/msi.c __pci_restore_msi_state */
export function restoreMsiState(pdev: PciDevice): void {
  const { msi } = pdev;
  if (!pdev.msiEnabled || msi === null) return;
  const control = pdev.msiCap + regs.PCI_MSI_FLAGS;
  pciIntx(pdev, false);
  changeWord(pdev, control, regs.PCI_MSI_FLAGS_ENABLE, 0);
  msi.rewrite(0);
  MSI_CAPABILITY.setMask(msi, 0, msi.masked[0] === 1);
  changeWord(pdev, control, 0, regs.PCI_MSI_FLAGS_ENABLE);
}
