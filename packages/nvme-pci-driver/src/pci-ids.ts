/**
 * The three ways to write an entry of an id table.
 * Kernel counterpart: include/linux/pci.h PCI_DEVICE, PCI_VDEVICE, PCI_DEVICE_CLASS; include/linux/pci_ids.h.
 */
import { PCI_ANY_ID, type PciDeviceId } from '@nvme-stack/pci-bus/ports';

/** @kernel include/linux/pci_ids.h PCI_CLASS_STORAGE_EXPRESS */
export const PCI_CLASS_STORAGE_EXPRESS = 0x010802;

/** Vendors that PCI_VDEVICE knows by name. @kernel include/linux/pci_ids.h */
export const PCI_VENDOR_ID = { INTEL: 0x8086 } as const;

/** One device of a vendor, whoever built the board. @kernel include/linux/pci.h PCI_DEVICE */
export function pciDevice(vendor: number, device: number, driverData = 0): PciDeviceId {
  return { vendor, device, subvendor: PCI_ANY_ID, subdevice: PCI_ANY_ID, class: 0, classMask: 0, driverData };
}

/** One device of a vendor that is named. @kernel include/linux/pci.h PCI_VDEVICE */
export function pciVdevice(vendor: keyof typeof PCI_VENDOR_ID, device: number, driverData = 0): PciDeviceId {
  return pciDevice(PCI_VENDOR_ID[vendor], device, driverData);
}

/** Every device of a class, compared under a mask. @kernel include/linux/pci.h PCI_DEVICE_CLASS */
export function pciDeviceClass(cls: number, classMask: number, driverData = 0): PciDeviceId {
  return {
    vendor: PCI_ANY_ID,
    device: PCI_ANY_ID,
    subvendor: PCI_ANY_ID,
    subdevice: PCI_ANY_ID,
    class: cls,
    classMask,
    driverData,
  };
}
