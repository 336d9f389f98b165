/**
 * Files that show a PCI Express function's link.
 * Kernel counterpart: drivers/pci/pci-sysfs.c (current_link_speed …). Spec: [PCIe] 5.0 §7.5.3.6, §7.5.3.8.
 */
import type { Attribute } from '@nvme-stack/device-core/ports';
import * as regs from '@nvme-stack/pci-function';
import { expressType, readConfig } from './access.js';
import type { PciDevice } from './pci-device.js';

const SPEEDS = ['Unknown', '2.5 GT/s PCIe', '5.0 GT/s PCIe', '8.0 GT/s PCIe', '16.0 GT/s PCIe', '32.0 GT/s PCIe'];
/** @kernel include/linux/pci.h PCIE_LNK_WIDTH_UNKNOWN */
const WIDTH_UNKNOWN = 0xff;

export function linkAttributes(pdev: PciDevice): Attribute[] {
  const show = (name: string, text: () => string): Attribute => ({ name, mode: 0o444, show: () => `${text()}\n` });
  // An endpoint integrated into the root complex has no link, whatever its registers say.
  const hasLink = (): boolean => expressType(pdev) !== regs.PCI_EXP_TYPE_RC_END;
  const status = (): number => readConfig(pdev, pdev.expressCap + regs.PCI_EXP_LNKSTA, 2);
  const capabilities = (): number => readConfig(pdev, pdev.expressCap + regs.PCI_EXP_LNKCAP, 4);
  const speed = (value: number): string => SPEEDS[hasLink() ? value : 0] ?? 'Unknown';
  return [
    show('current_link_speed', () => speed(status() & regs.PCI_EXP_LNKSTA_CLS)),
    show('current_link_width', () => `${hasLink() ? (status() & regs.PCI_EXP_LNKSTA_NLW) >> 4 : 0}`),
    show('max_link_speed', () => speed(capabilities() & regs.PCI_EXP_LNKCAP_SLS)),
    show('max_link_width', () => `${hasLink() ? (capabilities() & regs.PCI_EXP_LNKCAP_MLW) >> 4 : WIDTH_UNKNOWN}`),
  ];
}
