/**
 * What a reset of a physical function takes from its SR-IOV capability is given back: BARs, number of functions, VF Enable.
 * Kernel counterpart: drivers/pci/iov.c (sriov_restore_state). Spec: [SR-IOV] 1.1 §2.2.2.
 */
import * as regs from '@nvme-stack/pci-function';
import { readConfig, writeConfig } from './access.js';
import type { PciDevice } from './pci-device.js';

const SIZE_4G = 0x100000000;

/** Does nothing where VF Enable has outlasted the reset. Any context. @kernel drivers/pci/iov.c pci_restore_iov_state */
export function pciRestoreIovState(pdev: PciDevice): void {
  const { sriov } = pdev;
  if (sriov === null) return;
  const { offset, functions } = sriov;
  if ((readConfig(pdev, offset + regs.PCI_SRIOV_CTRL, 2) & regs.PCI_SRIOV_CTRL_VFE) !== 0) return;
  for (const bar of sriov.bars) {
    if (bar === null || bar.resource === null) continue;
    const at = offset + regs.PCI_SRIOV_BAR + 4 * bar.index;
    writeConfig(pdev, at, bar.start % SIZE_4G, 4);
    if (bar.is64Bit) writeConfig(pdev, at + 4, Math.floor(bar.start / SIZE_4G), 4);
  }
  if (functions.length === 0) return;
  writeConfig(pdev, offset + regs.PCI_SRIOV_NUM_VF, functions.length, 2);
  writeConfig(pdev, offset + regs.PCI_SRIOV_CTRL, regs.PCI_SRIOV_CTRL_VFE | regs.PCI_SRIOV_CTRL_MSE, 2);
}
