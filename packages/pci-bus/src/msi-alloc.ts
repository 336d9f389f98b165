/**
 * What MSI-X and MSI share: whether messages may be used at all, their interrupts, and the `msi_irqs` directory.
 * Kernel counterpart: drivers/pci/msi/msi.c (pci_msi_supported), drivers/pci/msi/irqdomain.c.
 */
import type { IrqAffinity } from '@nvme-stack/irq/ports';
import { KernelError } from '@nvme-stack/kernel';
import type { PciMsi } from './msi-state.js';
import type { PciDevice } from './pci-device.js';
import type { PciSegment } from './pci-segment.js';

/** @kernel drivers/pci/msi/msi.c pci_msi_supported */
export function msiSupported(pdev: PciDevice): boolean {
  if (pdev.segment.bridge.msiDomain === null || !pdev.msiAllowed) return false;
  for (let at: PciSegment | null = pdev.segment; at !== null; at = at.parent) {
    if (at.self !== null && !at.self.msiAllowed) return false;
  }
  return true;
}

/** Makes the interrupts of every message, which writes the messages; throws ENOSPC. @kernel drivers/pci/msi/irqdomain.c pci_msi_setup_msi_irqs */
export function allocMessages(msi: PciMsi, affinity: IrqAffinity | null): void {
  const { pdev } = msi;
  const { irqs, core } = pdev.subsystem;
  const domain = pdev.segment.bridge.msiDomain;
  if (domain === null) throw new KernelError('ENOSPC', `${pdev.name}: this platform has no MSI`);
  msi.affinity = affinity === null ? null : irqs.irqCreateAffinityMasks(msi.vectors, affinity);
  msi.irqs = irqs.msiAllocIrqs(domain, msi, msi.vectors, msi.affinity);
  pdev.msi = msi;
  msi.group = {
    name: 'msi_irqs',
    attributes: msi.irqs.map((irq) => ({ name: `${irq}`, mode: 0o444, show: () => `${msi.kind}\n` })),
  };
  core.sysfsCreateGroup(pdev.dev.kobj, msi.group);
}

/** @kernel drivers/pci/msi/msi.c pci_free_msi_irqs */
export function releaseMessages(msi: PciMsi): void {
  const { pdev } = msi;
  const { irqs, core } = pdev.subsystem;
  if (msi.group !== null) core.sysfsRemoveGroup(pdev.dev.kobj, msi.group);
  const domain = pdev.segment.bridge.msiDomain;
  if (domain !== null) irqs.msiFreeIrqs(domain, msi, msi.irqs);
  pdev.msi = null;
}
