/**
 * Whether a function reports its errors, as drivers asked for until 6.2.
 * Kernel counterpart: drivers/pci/pcie/aer.c pci_enable_pcie_error_reporting. Spec: [PCIe] 5.0 §7.5.3.4, §7.8.4.
 */
import { Errno, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord, findExtCapability } from './access.js';
import type { PciDevice } from './pci-device.js';

/** @kernel drivers/pci/pcie/aer.c PCI_EXP_AER_FLAGS */
const PCI_EXP_AER_FLAGS =
  regs.PCI_EXP_DEVCTL_CERE | regs.PCI_EXP_DEVCTL_NFERE | regs.PCI_EXP_DEVCTL_FERE | regs.PCI_EXP_DEVCTL_URRE;

function hasAer(pdev: PciDevice): boolean {
  return findExtCapability(pdev, regs.PCI_EXT_CAP_ID_ERR) !== 0;
}

/** 0, or -EIO without Advanced Error Reporting. Task context. @kernel drivers/pci/pcie/aer.c pci_enable_pcie_error_reporting */
export const pciEnablePcieErrorReporting = traced('pci_enable_pcie_error_reporting', (pdev: PciDevice): number => {
  if (!hasAer(pdev)) return -Errno.EIO;
  changeWord(pdev, pdev.expressCap + regs.PCI_EXP_DEVCTL, 0, PCI_EXP_AER_FLAGS);
  return 0;
});

/** 0, or -EIO without Advanced Error Reporting. Task context. @kernel drivers/pci/pcie/aer.c pci_disable_pcie_error_reporting */
export const pciDisablePcieErrorReporting = traced('pci_disable_pcie_error_reporting', (pdev: PciDevice): number => {
  if (!hasAer(pdev)) return -Errno.EIO;
  changeWord(pdev, pdev.expressCap + regs.PCI_EXP_DEVCTL, PCI_EXP_AER_FLAGS, 0);
  return 0;
});
