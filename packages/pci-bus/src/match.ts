/**
 * Decides whether a driver wants a function: override first, then dynamic ids, then the driver's table, in order.
 * Kernel counterpart: drivers/pci/pci-driver.c (pci_bus_match, pci_match_device, pci_match_id).
 */
import type { Device, DeviceDriver } from '@nvme-stack/device-core/ports';
import { traced } from '@nvme-stack/kernel';
import type { PciDriverRecord } from './driver-record.js';
import type { PciDevice } from './pci-device.js';
import { PCI_ANY_ID, type PciDeviceId } from './ports.js';

/** What an override matches with when the driver has no entry for the function. @kernel drivers/pci/pci-driver.c pci_device_id_any */
const ANY: PciDeviceId = {
  vendor: PCI_ANY_ID,
  device: PCI_ANY_ID,
  subvendor: PCI_ANY_ID,
  subdevice: PCI_ANY_ID,
  class: 0,
  classMask: 0,
  driverData: 0,
};

/** What an id is compared with. */
export type PciIdentityToMatch = Pick<PciDevice, 'vendor' | 'device' | 'subsystemVendor' | 'subsystemDevice' | 'class'>;

/** @kernel drivers/pci/pci.h pci_match_one_device */
export function pciMatchOneDevice(id: PciDeviceId, pdev: PciIdentityToMatch): boolean {
  return (
    (id.vendor === PCI_ANY_ID || id.vendor === pdev.vendor) &&
    (id.device === PCI_ANY_ID || id.device === pdev.device) &&
    (id.subvendor === PCI_ANY_ID || id.subvendor === pdev.subsystemVendor) &&
    (id.subdevice === PCI_ANY_ID || id.subdevice === pdev.subsystemDevice) &&
    ((id.class ^ pdev.class) & id.classMask) === 0
  );
}

/** The first entry that matches; an all-zero entry ends the table. @kernel drivers/pci/pci-driver.c pci_match_id */
export function pciMatchId(ids: readonly PciDeviceId[], pdev: PciIdentityToMatch): PciDeviceId | null {
  for (const id of ids) {
    if (id.vendor === 0 && id.subvendor === 0 && id.classMask === 0) return null;
    if (pciMatchOneDevice(id, pdev)) return id;
  }
  return null;
}

/** @kernel drivers/pci/pci-driver.c pci_match_device */
export const pciMatchDevice = traced(
  'pci_match_device',
  (record: PciDriverRecord, pdev: PciDevice): PciDeviceId | null => {
    if (pdev.driverOverride !== null && pdev.driverOverride !== record.name) return null;
    const found = pciMatchId(record.dynids, pdev) ?? pciMatchId(record.driver.idTable, pdev);
    return found ?? (pdev.driverOverride !== null ? ANY : null);
  },
);

/** @kernel drivers/pci/pci-driver.c pci_bus_match */
export const pciBusMatch = traced('pci_bus_match', (dev: Device, drv: DeviceDriver): boolean => {
  if (!dev.matchDriver) return false;
  return pciMatchDevice(drv.container as PciDriverRecord, dev.container as PciDevice) !== null;
});
