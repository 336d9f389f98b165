/**
 * Turning MSI-X on and off.
 * Kernel counterpart: drivers/pci/msi/msi.c (__pci_enable_msix_range, msix_capability_init). Spec: [PCI] 3.0 §6.8.2.
 */
import type { IrqAffinity } from '@nvme-stack/irq/ports';
import { Errno, errnoOf, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord, readConfig } from './access.js';
import { pciIntx } from './intx.js';
import { ioremapRange, iounmapRegion } from './map.js';
import { allocMessages, msiSupported, releaseMessages } from './msi-alloc.js';
import { type MsiHardware, PciMsi } from './msi-state.js';
import { type PciDevice, pciLog } from './pci-device.js';
import type { MmioRegion } from './ports.js';

/** How many vectors are wanted. */
export interface VectorRange {
  readonly min: number;
  readonly max: number;
  readonly affinity: IrqAffinity | null;
}

const MSIX_TABLE: MsiHardware = {
  setMask(msi, index, masked) {
    const table = msi.table as MmioRegion;
    const at = index * regs.PCI_MSIX_ENTRY_SIZE + regs.PCI_MSIX_ENTRY_VECTOR_CTRL;
    table.writel(at, masked ? regs.PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
    // The mask must have arrived before the caller goes on.
    if (masked) table.readl(at);
  },
  writeMsg(msi, index) {
    const table = msi.table as MmioRegion;
    const at = index * regs.PCI_MSIX_ENTRY_SIZE;
    // An entry may not change while it can fire.
    const unmasked = msi.masked[index] === 0;
    if (unmasked) table.writel(at + regs.PCI_MSIX_ENTRY_VECTOR_CTRL, regs.PCI_MSIX_ENTRY_CTRL_MASKBIT);
    table.writel(at + regs.PCI_MSIX_ENTRY_LOWER_ADDR, msi.addressLo[index] as number);
    table.writel(at + regs.PCI_MSIX_ENTRY_UPPER_ADDR, msi.addressHi[index] as number);
    table.writel(at + regs.PCI_MSIX_ENTRY_DATA, msi.data[index] as number);
    if (unmasked) table.writel(at + regs.PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    table.readl(at + regs.PCI_MSIX_ENTRY_DATA);
  },
};

/** Number of vectors the function has, 0 without MSI-X. @kernel drivers/pci/msi/api.c pci_msix_vec_count */
export function pciMsixVecCount(pdev: PciDevice): number {
  if (pdev.msixCap === 0) return 0;
  return (readConfig(pdev, pdev.msixCap + regs.PCI_MSIX_FLAGS, 2) & regs.PCI_MSIX_FLAGS_QSIZE) + 1;
}

/**
 * Turns MSI-X on with as many vectors of the range as there are; returns their number or a negative error number.
 * @kernel drivers/pci/msi/msi.c __pci_enable_msix_range
 */
export const pciEnableMsixRange = traced('__pci_enable_msix_range', (pdev: PciDevice, range: VectorRange): number => {
  const injected = pdev.subsystem.injected('pci_enable_msix');
  if (injected < 0) return injected;
  if (range.max < range.min) return -Errno.ERANGE;
  if (pdev.msiEnabled) {
    pciLog(pdev, 'info', "can't enable MSI-X (MSI IRQ already assigned)");
    return -Errno.EINVAL;
  }
  if (pdev.msixEnabled) {
    pciLog(pdev, 'warn', 'MSI-X is enabled already');
    return -Errno.EINVAL;
  }
  const size = pciMsixVecCount(pdev);
  if (!msiSupported(pdev) || pdev.currentState !== 0 || size === 0) return -Errno.EINVAL;
  let nvec = Math.min(range.max, size);
  if (nvec < range.min) return -Errno.ENOSPC;
  for (;;) {
    if (range.affinity !== null) {
      nvec = pdev.subsystem.irqs.irqCalcAffinityVectors(range.min, nvec, range.affinity);
      if (nvec < range.min) return -Errno.ENOSPC;
    }
    const error = msixCapabilityInit(pdev, nvec, range.affinity);
    if (error === 0) return nvec;
    // The vectors of the CPUs ran out: fewer may do.
    if (error !== -Errno.ENOSPC || nvec <= range.min) return error;
    nvec--;
  }
});

function msixCapabilityInit(pdev: PciDevice, nvec: number, affinity: IrqAffinity | null): number {
  const control = pdev.msixCap + regs.PCI_MSIX_FLAGS;
  // Everything stays masked until the whole table is written.
  changeWord(pdev, control, 0, regs.PCI_MSIX_FLAGS_MASKALL | regs.PCI_MSIX_FLAGS_ENABLE);
  pdev.msixEnabled = true;
  const table = mapTable(pdev, nvec);
  if (table === null) return giveUp(pdev, -Errno.ENOMEM);
  const msi = new PciMsi(pdev, 'msix', nvec, table, MSIX_TABLE);
  try {
    allocMessages(msi, affinity);
  } catch (error) {
    iounmapRegion(pdev, table);
    return giveUp(pdev, errnoOf(error));
  }
  pciIntx(pdev, false);
  for (let index = 0; index < nvec; index++) if (msi.masked[index] === 1) MSIX_TABLE.setMask(msi, index, true);
  changeWord(pdev, control, regs.PCI_MSIX_FLAGS_MASKALL, 0);
  return 0;
}

function giveUp(pdev: PciDevice, errno: number): number {
  pdev.msixEnabled = false;
  changeWord(pdev, pdev.msixCap + regs.PCI_MSIX_FLAGS, regs.PCI_MSIX_FLAGS_MASKALL | regs.PCI_MSIX_FLAGS_ENABLE, 0);
  return errno;
}

/** @kernel drivers/pci/msi/msi.c msix_map_region */
function mapTable(pdev: PciDevice, nvec: number): MmioRegion | null {
  const where = readConfig(pdev, pdev.msixCap + regs.PCI_MSIX_TABLE, 4);
  const bar = pdev.bars[where & regs.PCI_MSIX_TABLE_BIR];
  if (bar === null || bar === undefined || bar.resource === null) return null;
  const offset = (where & regs.PCI_MSIX_TABLE_OFFSET) >>> 0;
  return ioremapRange(pdev, bar.start + offset, nvec * regs.PCI_MSIX_ENTRY_SIZE);
}

/** @kernel drivers/pci/msi/api.c pci_disable_msix */
export function pciDisableMsix(pdev: PciDevice): void {
  const { msi } = pdev;
  if (!pdev.msixEnabled || msi === null) return;
  for (let index = 0; index < msi.vectors; index++) msi.setMask(index, true);
  changeWord(pdev, pdev.msixCap + regs.PCI_MSIX_FLAGS, regs.PCI_MSIX_FLAGS_ENABLE, 0);
  pciIntx(pdev, true);
  pdev.msixEnabled = false;
  releaseMessages(msi);
  iounmapRegion(pdev, msi.table as MmioRegion);
}

/** Writes messages and masks again after a reset. @kernel drivers/pci/msi/msi.c __pci_restore_msix_state */
export function restoreMsixState(pdev: PciDevice): void {
  const { msi } = pdev;
  if (!pdev.msixEnabled || msi === null) return;
  const control = pdev.msixCap + regs.PCI_MSIX_FLAGS;
  pciIntx(pdev, false);
  changeWord(pdev, control, 0, regs.PCI_MSIX_FLAGS_ENABLE | regs.PCI_MSIX_FLAGS_MASKALL);
  for (let index = 0; index < msi.vectors; index++) {
    msi.rewrite(index);
    MSIX_TABLE.setMask(msi, index, msi.masked[index] === 1);
  }
  changeWord(pdev, control, regs.PCI_MSIX_FLAGS_MASKALL, 0);
}
