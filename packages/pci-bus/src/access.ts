/**
 * Configuration space of a function: reads, writes, capability lists. Any context.
 * Kernel counterpart: drivers/pci/access.c, drivers/pci/pci.c. Spec: [PCI] 3.0 §6.7, [PCIe] 5.0 §7.6.3.
 */
import * as regs from '@nvme-stack/pci-function';
import type { PciDevice } from './pci-device.js';

/** All ones when the function is gone. @kernel drivers/pci/access.c pci_read_config_dword */
export function readConfig(pdev: PciDevice, offset: number, size: 1 | 2 | 4): number {
  if (pdev.disconnected) return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
  return pdev.segment.bridge.config.read(pdev.busNumber, pdev.devfn, offset, size);
}

/** @kernel drivers/pci/access.c pci_write_config_dword */
export function writeConfig(pdev: PciDevice, offset: number, value: number, size: 1 | 2 | 4): void {
  if (pdev.disconnected) return;
  pdev.segment.bridge.config.write(pdev.busNumber, pdev.devfn, offset, value, size);
}

/** Clears and sets bits of a word. */
export function changeWord(pdev: PciDevice, offset: number, clear: number, set: number): void {
  const old = readConfig(pdev, offset, 2);
  const value = (old & ~clear) | set;
  if (value !== old) writeConfig(pdev, offset, value, 2);
}

/** Offset of a capability, 0: absent. @kernel drivers/pci/pci.c pci_find_capability */
export function findCapability(pdev: PciDevice, id: number): number {
  const status = readConfig(pdev, regs.PCI_STATUS, 2);
  if ((status & regs.PCI_STATUS_CAP_LIST) === 0 || status === 0xffff) return 0;
  let at = readConfig(pdev, regs.PCI_CAPABILITY_LIST, 1);
  // As many as fit into 192 bytes: a list that loops ends too.
  for (let left = 48; left > 0 && at >= 0x40; left--) {
    at &= ~3;
    const found = readConfig(pdev, at + regs.PCI_CAP_LIST_ID, 1);
    if (found === 0xff) return 0;
    if (found === id) return at;
    at = readConfig(pdev, at + regs.PCI_CAP_LIST_NEXT, 1);
  }
  return 0;
}

/** Offset of an extended capability, 0: absent. @kernel drivers/pci/pci.c pci_find_ext_capability */
export function findExtCapability(pdev: PciDevice, id: number): number {
  if (pdev.expressCap === 0) return 0;
  let at = regs.PCI_EXT_CAP_START;
  for (let left = 480; left > 0 && at >= regs.PCI_EXT_CAP_START; left--) {
    const header = readConfig(pdev, at, 4);
    if (header === 0 || header === 0xffffffff) return 0;
    if ((header & 0xffff) === id) return at;
    at = (header >>> 20) & 0xffc;
  }
  return 0;
}

/** Any context. @kernel drivers/pci/pci.c pci_device_is_present */
export function deviceIsPresent(pdev: PciDevice): boolean {
  if (pdev.disconnected) return false;
  const of = pdev.physfn ?? pdev;
  return readConfig(of, regs.PCI_VENDOR_ID, 4) !== 0xffffffff;
}

/** Type of the PCI Express port, -1 for conventional PCI. @kernel include/linux/pci.h pci_pcie_type */
export function expressType(pdev: PciDevice): number {
  if (pdev.expressCap === 0) return -1;
  return (readConfig(pdev, pdev.expressCap + regs.PCI_EXP_FLAGS, 2) & regs.PCI_EXP_FLAGS_TYPE) >> 4;
}
