/**
 * Finds functions by reading configuration space, and the buses behind bridges.
 * Kernel counterpart: drivers/pci/probe.c (pci_scan_child_bus, pci_scan_slot, pci_scan_bridge).
 * Spec: [PCI] 3.0 §6.1, [PCI-BRIDGE] 1.2 §3.2.5.
 */
import { traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { expressType, readConfig, writeConfig } from './access.js';
import { pciDeviceAdd } from './add-device.js';
import { PciDevice, pciLog } from './pci-device.js';
import { digitsOf } from './pci-resource.js';
import { PciSegment } from './pci-segment.js';
import { pciSetupDevice } from './setup-device.js';

/** Vendor and device id of a slot, all ones where nothing answers. @kernel drivers/pci/probe.c pci_bus_read_dev_vendor_id */
const pciBusReadDevVendorId = traced('pci_bus_read_dev_vendor_id', (segment: PciSegment, devfn: number): number =>
  segment.bridge.config.read(segment.number, devfn, regs.PCI_VENDOR_ID, 4),
);

/** @kernel drivers/pci/probe.c pci_scan_device */
const pciScanDevice = traced('pci_scan_device', (segment: PciSegment, devfn: number): PciDevice | null => {
  const id = pciBusReadDevVendorId(segment, devfn);
  // Some boards answer an empty slot with a vendor of zero.
  if (id === 0xffffffff || id === 0 || (id & 0xffff) === 0xffff || (id & 0xffff) === 0) return null;
  const pdev = new PciDevice(segment, devfn);
  pciSetupDevice(pdev, id);
  return pdev;
});

/** The function at `devfn`, known or new; null for none. @kernel drivers/pci/probe.c pci_scan_single_device */
export const pciScanSingleDevice = traced(
  'pci_scan_single_device',
  async (segment: PciSegment, devfn: number): Promise<PciDevice | null> => {
    const known = segment.findDevice(devfn);
    if (known !== null) return known;
    const pdev = pciScanDevice(segment, devfn);
    if (pdev !== null) await pciDeviceAdd(pdev);
    return pdev;
  },
);

/** Every function of a slot; returns how many are new. @kernel drivers/pci/probe.c pci_scan_slot */
export const pciScanSlot = traced('pci_scan_slot', async (segment: PciSegment, slot: number): Promise<number> => {
  if (slot > 0 && onlyOneChild(segment)) return 0;
  const before = segment.devices.length;
  const first = await pciScanSingleDevice(segment, slot << 3);
  if (first === null || !first.multifunction) return segment.devices.length - before;
  for (let fn = 1; fn < 8; fn++) await pciScanSingleDevice(segment, (slot << 3) | fn);
  return segment.devices.length - before;
});

/** A PCI Express link has one device. @kernel drivers/pci/probe.c only_one_child */
function onlyOneChild(segment: PciSegment): boolean {
  if (segment.self === null) return false;
  const type = expressType(segment.self);
  return type === regs.PCI_EXP_TYPE_ROOT_PORT || type === regs.PCI_EXP_TYPE_DOWNSTREAM;
}

/** Scans a bus and what is below it; returns the highest bus number in use. @kernel drivers/pci/probe.c pci_scan_child_bus */
export const pciScanChildBus = traced('pci_scan_child_bus', async (segment: PciSegment): Promise<number> => {
  for (let slot = 0; slot < 32; slot++) await pciScanSlot(segment, slot);
  let max = Math.max(
    segment.number,
    segment.subordinateNumber === segment.bridge.busEnd ? 0 : segment.subordinateNumber,
  );
  for (const pdev of [...segment.devices]) {
    if (pdev.headerType === regs.PCI_HEADER_TYPE_BRIDGE) max = await pciScanBridge(pdev, max);
  }
  return max;
});

/** Gives the bus behind a bridge its numbers and scans it; returns the highest number in use. @kernel drivers/pci/probe.c pci_scan_bridge */
const pciScanBridge = traced('pci_scan_bridge', async (pdev: PciDevice, max: number): Promise<number> => {
  const known = pdev.subordinate;
  if (known !== null) {
    await pciScanChildBus(known);
    return Math.max(max, known.subordinateNumber);
  }
  const number = max + 1;
  const { bridge } = pdev.segment;
  if (number > bridge.busEnd) {
    pciLog(pdev, 'warn', 'no bus number left for the bus behind this bridge');
    return max;
  }
  const child = new PciSegment(pdev.subsystem, bridge, number, pdev);
  pdev.subordinate = child;
  // Everything below is reachable while the scan goes on; the real limit is written after it.
  setBusNumbers(pdev, number, bridge.busEnd);
  child.subordinateNumber = number;
  child.subordinateNumber = Math.max(await pciScanChildBus(child), number);
  setBusNumbers(pdev, number, child.subordinateNumber);
  const range =
    number === child.subordinateNumber
      ? digitsOf(number, 2)
      : `${digitsOf(number, 2)}-${digitsOf(child.subordinateNumber, 2)}`;
  pciLog(pdev, 'info', `PCI bridge to [bus ${range}]`);
  return child.subordinateNumber;
});

function setBusNumbers(pdev: PciDevice, secondary: number, subordinate: number): void {
  const latency = readConfig(pdev, regs.PCI_SEC_LATENCY_TIMER, 1);
  const value = pdev.busNumber | (secondary << 8) | (subordinate << 16) | (latency << 24);
  writeConfig(pdev, regs.PCI_PRIMARY_BUS, value >>> 0, 4);
}
