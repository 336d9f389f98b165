/**
 * Which PCI functions the driver takes, and their quirks, by era. The first entry that matches counts; the class entry
 * catches what no earlier one knows.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_id_table.
 */
import type { KernelProfile } from '@nvme-stack/kernel';
import {
  NVME_QUIRK_128_BYTES_SQES,
  NVME_QUIRK_BOGUS_NID,
  NVME_QUIRK_BROKEN_MSI,
  NVME_QUIRK_DEALLOCATE_ZEROES,
  NVME_QUIRK_DELAY_BEFORE_CHK_RDY,
  NVME_QUIRK_DISABLE_WRITE_ZEROES,
  NVME_QUIRK_DMA_ADDRESS_BITS_48,
  NVME_QUIRK_DMAPOOL_ALIGN_512,
  NVME_QUIRK_IDENTIFY_CNS,
  NVME_QUIRK_IGNORE_DEV_SUBNQN,
  NVME_QUIRK_LIGHTNVM,
  NVME_QUIRK_MEDIUM_PRIO_SQ,
  NVME_QUIRK_NO_DEEPEST_PS,
  NVME_QUIRK_NO_NS_DESC_LIST,
  NVME_QUIRK_NO_SECONDARY_TEMP_THRESH,
  NVME_QUIRK_NO_TEMP_THRESH_CHANGE,
  NVME_QUIRK_QDEPTH_ONE,
  NVME_QUIRK_SHARED_TAGS,
  NVME_QUIRK_SINGLE_VECTOR,
  NVME_QUIRK_SKIP_CID_GEN,
  NVME_QUIRK_STRIPE_SIZE,
} from '@nvme-stack/nvme-core/ports';
import type { PciDeviceId } from '@nvme-stack/pci-bus/ports';
import { PCI_CLASS_STORAGE_EXPRESS, PCI_VENDOR_ID, pciDevice, pciDeviceClass } from './pci-ids.js';

const PCI_VENDOR_ID_INTEL = PCI_VENDOR_ID.INTEL;
const PCI_VENDOR_ID_REDHAT = 0x1b36;
const PCI_VENDOR_ID_SAMSUNG = 0x144d;
const PCI_VENDOR_ID_AMAZON = 0x1d0f;
const PCI_VENDOR_ID_APPLE = 0x106b;
const KINGSTON = 0x2646;

/** Several devices of one vendor with the same quirks. */
function pciDevices(vendor: number, devices: readonly number[], driverData: number): PciDeviceId[] {
  return devices.map((device) => pciDevice(vendor, device, driverData));
}

const CATCH_ALL = pciDeviceClass(PCI_CLASS_STORAGE_EXPRESS, 0xffffff);
const STRIPED = NVME_QUIRK_STRIPE_SIZE | NVME_QUIRK_DEALLOCATE_ZEROES;
const SLOW_READY = NVME_QUIRK_DELAY_BEFORE_CHK_RDY;
const NO_WRITE_ZEROES = NVME_QUIRK_DISABLE_WRITE_ZEROES;
const BOGUS = NVME_QUIRK_BOGUS_NID;
const NO_SUBNQN = NVME_QUIRK_IGNORE_DEV_SUBNQN;
const AMAZON = [0x0061, 0x0065, 0x8061, 0xcd00, 0xcd01, 0xcd02];

/** Up to 4.10 a class entry, with Apple's first controller behind it, where code knew it by its numbers. */
const V4_10: readonly PciDeviceId[] = [
  ...pciDevices(PCI_VENDOR_ID_INTEL, [0x0953, 0x0a53, 0x0a54], STRIPED),
  pciDevice(PCI_VENDOR_ID_INTEL, 0x5845, NVME_QUIRK_IDENTIFY_CNS),
  pciDevice(0x1c58, 0x0003, SLOW_READY),
  pciDevice(0x1c5f, 0x0540, SLOW_READY),
  CATCH_ALL,
  pciDevice(PCI_VENDOR_ID_APPLE, 0x2001),
];

const V4_13: readonly PciDeviceId[] = [
  ...pciDevices(PCI_VENDOR_ID_INTEL, [0x0953, 0x0a53, 0x0a54, 0x0a55], STRIPED),
  pciDevice(PCI_VENDOR_ID_INTEL, 0xf1a5, NVME_QUIRK_NO_DEEPEST_PS),
  pciDevice(PCI_VENDOR_ID_INTEL, 0x5845, NVME_QUIRK_IDENTIFY_CNS),
  ...pciDevices(0x1c58, [0x0003, 0x0023], SLOW_READY),
  pciDevice(0x1c5f, 0x0540, SLOW_READY),
  ...pciDevices(PCI_VENDOR_ID_SAMSUNG, [0xa821, 0xa822], SLOW_READY),
  ...pciDevices(0x1d1d, [0x1f1f, 0x2807], NVME_QUIRK_LIGHTNVM),
  CATCH_ALL,
  ...pciDevices(PCI_VENDOR_ID_APPLE, [0x2001, 0x2003], 0),
];

/** Devices that 6.1 and 6.12 both know, in the order of their sources, before the first that differs. */
function intelOnwards(newer: boolean): PciDeviceId[] {
  return [
    ...pciDevices(PCI_VENDOR_ID_INTEL, [0x0953, 0x0a53], STRIPED),
    pciDevice(PCI_VENDOR_ID_INTEL, 0x0a54, STRIPED | NO_SUBNQN | BOGUS),
    pciDevice(PCI_VENDOR_ID_INTEL, 0x0a55, STRIPED),
    pciDevice(
      PCI_VENDOR_ID_INTEL,
      0xf1a5,
      NVME_QUIRK_NO_DEEPEST_PS | NVME_QUIRK_MEDIUM_PRIO_SQ | NVME_QUIRK_NO_TEMP_THRESH_CHANGE | NO_WRITE_ZEROES,
    ),
    pciDevice(PCI_VENDOR_ID_INTEL, 0xf1a6, NO_SUBNQN),
    pciDevice(PCI_VENDOR_ID_INTEL, 0x5845, NVME_QUIRK_IDENTIFY_CNS | NO_WRITE_ZEROES | BOGUS),
    pciDevice(PCI_VENDOR_ID_REDHAT, 0x0010, BOGUS),
    pciDevice(0x1217, 0x8760, newer ? NVME_QUIRK_DMAPOOL_ALIGN_512 : NVME_QUIRK_QDEPTH_ONE),
    ...(newer ? [pciDevice(0x126f, 0x1001, NVME_QUIRK_NO_DEEPEST_PS | NO_SUBNQN)] : []),
    pciDevice(0x126f, 0x2262, NVME_QUIRK_NO_DEEPEST_PS | BOGUS),
    pciDevice(0x126f, 0x2263, NVME_QUIRK_NO_NS_DESC_LIST | BOGUS),
    pciDevice(0x1bb1, 0x0100, SLOW_READY | NVME_QUIRK_NO_NS_DESC_LIST),
    ...pciDevices(0x1c58, [0x0003, 0x0023], SLOW_READY),
    pciDevice(0x1c5f, 0x0540, SLOW_READY),
    pciDevice(PCI_VENDOR_ID_SAMSUNG, 0xa821, SLOW_READY),
    pciDevice(PCI_VENDOR_ID_SAMSUNG, 0xa822, SLOW_READY | NO_WRITE_ZEROES | NO_SUBNQN),
    ...(newer
      ? [
          pciDevice(0x15b7, 0x5008, NVME_QUIRK_BROKEN_MSI),
          pciDevice(0x15b7, 0x5009, NVME_QUIRK_BROKEN_MSI | NVME_QUIRK_NO_DEEPEST_PS),
        ]
      : []),
  ];
}

/** Drives of many makers. */
function phisonOnwards(newer: boolean): PciDeviceId[] {
  return [
    pciDevice(0x1987, 0x5012, BOGUS),
    pciDevice(0x1987, 0x5016, NO_SUBNQN | BOGUS),
    ...pciDevices(0x1987, [0x5019, 0x5021], NO_WRITE_ZEROES),
    pciDevice(0x1b4b, 0x1092, NVME_QUIRK_NO_NS_DESC_LIST | NO_SUBNQN),
    pciDevice(0x1cc1, 0x33f8, BOGUS),
    pciDevice(0x10ec, 0x5762, NO_SUBNQN | BOGUS),
    ...(newer ? [pciDevice(0x10ec, 0x5763, BOGUS)] : []),
    pciDevice(0x1cc1, 0x8201, NVME_QUIRK_NO_DEEPEST_PS | NO_SUBNQN),
    pciDevice(0x1344, 0x5407, NO_SUBNQN),
    pciDevice(0x1344, 0x6001, BOGUS),
    ...(newer ? [pciDevice(0x1344, 0x6004, NVME_QUIRK_DMAPOOL_ALIGN_512)] : []),
    pciDevice(0x1c5c, 0x1504, NO_WRITE_ZEROES),
    pciDevice(0x1c5c, 0x174a, BOGUS),
    ...(newer ? [pciDevice(0x1c5c, 0x1d59, NO_WRITE_ZEROES)] : []),
    pciDevice(0x15b7, 0x2001, NO_WRITE_ZEROES),
    pciDevice(0x1d97, 0x2263, NO_WRITE_ZEROES),
    pciDevice(PCI_VENDOR_ID_SAMSUNG, 0xa80b, NO_WRITE_ZEROES | BOGUS),
    pciDevice(PCI_VENDOR_ID_SAMSUNG, 0xa809, NO_WRITE_ZEROES),
    ...(newer ? [pciDevice(PCI_VENDOR_ID_SAMSUNG, 0xa802, BOGUS)] : []),
    ...pciDevices(0x1cc4, [0x6303, 0x6302], NO_WRITE_ZEROES),
    ...pciDevices(KINGSTON, [0x2262, 0x2263], NVME_QUIRK_NO_DEEPEST_PS),
    pciDevice(KINGSTON, 0x5013, NVME_QUIRK_NO_SECONDARY_TEMP_THRESH),
    ...pciDevices(KINGSTON, [0x5018, 0x5016, 0x501a, 0x501b, 0x501e, 0x502f], NO_WRITE_ZEROES),
    ...pciDevices(0x1f40, [0x1202, 0x5236], BOGUS),
    ...pciDevices(0x1e4b, [0x1001, 0x1002, 0x1202, 0x1602], BOGUS),
    pciDevice(0x1cc1, 0x5350, BOGUS),
    ...pciDevices(0x1dbe, [0x5216, 0x5236], BOGUS),
    ...pciDevices(0x1e49, [0x0021, 0x0041], NVME_QUIRK_NO_DEEPEST_PS),
    pciDevice(0x1fa0, 0x2283, NVME_QUIRK_NO_SECONDARY_TEMP_THRESH),
    pciDevice(0x025e, 0xf1ac, NVME_QUIRK_NO_DEEPEST_PS),
    pciDevice(0xc0a9, 0x540a, BOGUS),
    ...pciDevices(0x1d97, [0x2263, 0x1d97], BOGUS),
    pciDevice(0x1d97, 0x2269, BOGUS | NO_SUBNQN),
    pciDevice(0x10ec, 0x5763, BOGUS),
    pciDevice(0x1e4b, 0x1602, BOGUS),
    pciDevice(0x10ec, 0x5765, BOGUS),
    ...pciDevices(PCI_VENDOR_ID_AMAZON, AMAZON, NVME_QUIRK_DMA_ADDRESS_BITS_48),
  ];
}

const APPLE_T2 =
  NVME_QUIRK_SINGLE_VECTOR | NVME_QUIRK_128_BYTES_SQES | NVME_QUIRK_SHARED_TAGS | NVME_QUIRK_SKIP_CID_GEN;

function modern(newer: boolean): readonly PciDeviceId[] {
  return [
    ...intelOnwards(newer),
    ...phisonOnwards(newer),
    pciDevice(PCI_VENDOR_ID_APPLE, 0x2001, NVME_QUIRK_SINGLE_VECTOR | NVME_QUIRK_QDEPTH_ONE),
    pciDevice(PCI_VENDOR_ID_APPLE, 0x2003),
    pciDevice(PCI_VENDOR_ID_APPLE, 0x2005, APPLE_T2 | (newer ? NVME_QUIRK_IDENTIFY_CNS : 0)),
    CATCH_ALL,
  ];
}

/** By era. @kernel drivers/nvme/host/pci.c nvme_id_table */
export const NVME_ID_TABLES: Readonly<Record<KernelProfile, readonly PciDeviceId[]>> = {
  '6.12': modern(true),
  '6.1': modern(false),
  '4.13': V4_13,
  '4.10': V4_10,
};

/** The default profile's. */
export const nvmeIdTable: readonly PciDeviceId[] = NVME_ID_TABLES['6.12'];
