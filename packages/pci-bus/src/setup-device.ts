/**
 * Reads what a function says of itself: identity, header type, BARs with their sizes.
 * Kernel counterpart: drivers/pci/probe.c (pci_setup_device, pci_read_bases). Spec: [PCI] 3.0 §6.1, §6.2.5.1.
 */
import { traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { expressType, findCapability, readConfig, writeConfig } from './access.js';
import { PCI_STD_NUM_BARS, SIZE_4G } from './pci-constants.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { digitsOf, PciBar } from './pci-resource.js';

const EXPRESS_TYPE_NAMES: Readonly<Record<number, string>> = {
  [regs.PCI_EXP_TYPE_ENDPOINT]: 'PCIe Endpoint',
  [regs.PCI_EXP_TYPE_ROOT_PORT]: 'PCIe Root Port',
  [regs.PCI_EXP_TYPE_UPSTREAM]: 'PCIe Switch Upstream Port',
  [regs.PCI_EXP_TYPE_DOWNSTREAM]: 'PCIe Switch Downstream Port',
  [regs.PCI_EXP_TYPE_RC_END]: 'PCIe Root Complex Integrated Endpoint',
};

/** Fills the device from its header. @kernel drivers/pci/probe.c pci_setup_device */
export const pciSetupDevice = traced('pci_setup_device', (pdev: PciDevice, vendorDevice: number): void => {
  pdev.vendor = vendorDevice & 0xffff;
  pdev.device = vendorDevice >>> 16;
  const type = readConfig(pdev, regs.PCI_HEADER_TYPE, 1);
  pdev.headerType = type & regs.PCI_HEADER_TYPE_MASK;
  pdev.multifunction = (type & regs.PCI_HEADER_TYPE_MFD) !== 0;
  const classRevision = readConfig(pdev, regs.PCI_CLASS_REVISION, 4);
  pdev.revision = classRevision & 0xff;
  pdev.class = classRevision >>> 8;
  pdev.expressCap = findCapability(pdev, regs.PCI_CAP_ID_EXP);
  pdev.pin = readConfig(pdev, regs.PCI_INTERRUPT_PIN, 1);
  if (pdev.pin > 4) pdev.pin = 0;
  readSubsystem(pdev);
  describeFunction(pdev);
  pciReadBases(pdev, pdev.headerType === regs.PCI_HEADER_TYPE_NORMAL ? PCI_STD_NUM_BARS : 2);
});

function readSubsystem(pdev: PciDevice): void {
  if (pdev.headerType === regs.PCI_HEADER_TYPE_NORMAL) {
    pdev.subsystemVendor = readConfig(pdev, regs.PCI_SUBSYSTEM_VENDOR_ID, 2);
    pdev.subsystemDevice = readConfig(pdev, regs.PCI_SUBSYSTEM_ID, 2);
    return;
  }
  const at = findCapability(pdev, regs.PCI_CAP_ID_SSVID);
  if (at === 0) return;
  pdev.subsystemVendor = readConfig(pdev, at + 4, 2);
  pdev.subsystemDevice = readConfig(pdev, at + 6, 2);
}

/** The log line of a function that was found. */
export function describeFunction(pdev: PciDevice): void {
  const kind = EXPRESS_TYPE_NAMES[expressType(pdev)] ?? 'conventional PCI endpoint';
  const id = `[${digitsOf(pdev.vendor, 4)}:${digitsOf(pdev.device, 4)}]`;
  const suffix = pdev.subsystem.era.namesPortKind ? ` ${kind}` : '';
  pciLog(pdev, 'info', `${id} type ${digitsOf(pdev.headerType, 2)} class 0x${digitsOf(pdev.class, 6)}${suffix}`);
}

/** Sizes the BARs, with decoding off meanwhile. @kernel drivers/pci/probe.c pci_read_bases */
function pciReadBases(pdev: PciDevice, count: number): void {
  const command = readConfig(pdev, regs.PCI_COMMAND, 2);
  writeConfig(pdev, regs.PCI_COMMAND, command & ~(regs.PCI_COMMAND_IO | regs.PCI_COMMAND_MEMORY), 2);
  for (let index = 0; index < count; index++) {
    const bar = sizeBar(pdev, index, regs.PCI_BASE_ADDRESS_0 + 4 * index);
    if (bar === null) continue;
    pdev.bars[index] = bar;
    const label = pdev.subsystem.era.namesBarFirst ? `BAR ${index}` : `reg 0x${digitsOf(0x10 + 4 * index, 2)}:`;
    pciLog(pdev, 'info', `${label} ${bar.text()}`);
    if (bar.is64Bit) index++;
  }
  writeConfig(pdev, regs.PCI_COMMAND, command, 2);
}

/** Finds the size behind one BAR register; null for none. I/O BARs are passed over. @kernel drivers/pci/probe.c __pci_read_base */
export function sizeBar(pdev: PciDevice, index: number, offset: number): PciBar | null {
  const low = readConfig(pdev, offset, 4);
  const lowMask = probeMask(pdev, offset, low);
  if (lowMask === 0 || lowMask === 0xffffffff) return null;
  if ((low & regs.PCI_BASE_ADDRESS_SPACE) === regs.PCI_BASE_ADDRESS_SPACE_IO) return null;
  const is64Bit = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
  const prefetchable = (low & regs.PCI_BASE_ADDRESS_MEM_PREFETCH) !== 0;
  let address = (low & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
  let mask = (lowMask & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
  let size = SIZE_4G - mask;
  if (is64Bit) {
    const high = readConfig(pdev, offset + 4, 4);
    const highMask = probeMask(pdev, offset + 4, high);
    address += high * SIZE_4G;
    if (mask === 0) size = (SIZE_4G - highMask) * SIZE_4G;
    mask += highMask;
  }
  if (mask === 0) return null;
  const bar = new PciBar(index, size, is64Bit, prefetchable);
  bar.start = address;
  return bar;
}

function probeMask(pdev: PciDevice, offset: number, value: number): number {
  writeConfig(pdev, offset, 0xffffffff, 4);
  const mask = readConfig(pdev, offset, 4);
  writeConfig(pdev, offset, value, 4);
  return mask;
}
