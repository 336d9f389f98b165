/**
 * Which PCI functions the driver takes, and their quirks. The first entry that matches counts; the class entry comes
 * last, so that it catches what no earlier one knows.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_id_table.
 */
import {
  NVME_QUIRK_BOGUS_NID,
  NVME_QUIRK_DEALLOCATE_ZEROES,
  NVME_QUIRK_DELAY_BEFORE_CHK_RDY,
  NVME_QUIRK_IDENTIFY_CNS,
  NVME_QUIRK_IGNORE_DEV_SUBNQN,
  NVME_QUIRK_MEDIUM_PRIO_SQ,
  NVME_QUIRK_NO_DEEPEST_PS,
  NVME_QUIRK_NO_TEMP_THRESH_CHANGE,
  NVME_QUIRK_QDEPTH_ONE,
  NVME_QUIRK_SINGLE_VECTOR,
  NVME_QUIRK_STRIPE_SIZE,
} from '@nvme-stack/nvme-core/ports';
import { PCI_ANY_ID, type PciDeviceId } from '@nvme-stack/pci-bus/ports';

/** @kernel include/linux/pci_ids.h PCI_CLASS_STORAGE_EXPRESS */
const PCI_CLASS_STORAGE_EXPRESS = 0x010802;

/** One device of a vendor. @kernel include/linux/pci.h PCI_DEVICE */
function pciDevice(vendor: number, device: number, driverData = 0): PciDeviceId {
  return { vendor, device, subvendor: PCI_ANY_ID, subdevice: PCI_ANY_ID, class: 0, classMask: 0, driverData };
}

/** Every device of a class. @kernel include/linux/pci.h PCI_DEVICE_CLASS */
function pciDeviceClass(cls: number, classMask: number, driverData = 0): PciDeviceId {
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

const INTEL_DATACENTER = NVME_QUIRK_STRIPE_SIZE | NVME_QUIRK_DEALLOCATE_ZEROES;

/** @kernel drivers/nvme/host/pci.c nvme_id_table */
export const nvmeIdTable: readonly PciDeviceId[] = [
  pciDevice(0x8086, 0x0953, INTEL_DATACENTER),
  pciDevice(0x8086, 0x0a53, INTEL_DATACENTER),
  pciDevice(0x8086, 0x0a54, INTEL_DATACENTER | NVME_QUIRK_IGNORE_DEV_SUBNQN),
  pciDevice(0x8086, 0xf1a5, NVME_QUIRK_NO_DEEPEST_PS | NVME_QUIRK_MEDIUM_PRIO_SQ | NVME_QUIRK_NO_TEMP_THRESH_CHANGE),
  pciDevice(0x8086, 0x5845, NVME_QUIRK_IDENTIFY_CNS | NVME_QUIRK_BOGUS_NID),
  pciDevice(0x1b36, 0x0010, NVME_QUIRK_BOGUS_NID),
  pciDevice(0x1c58, 0x0003, NVME_QUIRK_DELAY_BEFORE_CHK_RDY),
  pciDevice(0x1c5f, 0x0540, NVME_QUIRK_DELAY_BEFORE_CHK_RDY),
  pciDevice(0x106b, 0x2001, NVME_QUIRK_SINGLE_VECTOR | NVME_QUIRK_QDEPTH_ONE),
  pciDeviceClass(PCI_CLASS_STORAGE_EXPRESS, 0xffffff),
];
