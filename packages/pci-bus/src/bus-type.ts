/**
 * The bus type that the device core calls.
 * Kernel counterpart: drivers/pci/pci-driver.c (pci_bus_type, pci_uevent, pci_dma_configure).
 */
import type { Attribute, BusType, Device } from '@nvme-stack/device-core/ports';
import { traced } from '@nvme-stack/kernel';
import { pciDeviceProbe, pciDeviceRemove, pciDeviceShutdown } from './driver.js';
import type { PciDriverRecord } from './driver-record.js';
import { dynamicIdAttributes } from './dynamic-ids.js';
import { pciIrqGetAffinity } from './irq-vectors.js';
import { pciBusMatch } from './match.js';
import type { PciDevice } from './pci-device.js';
import { digitsOf } from './pci-resource.js';
import type { PciSubsystem } from './pci-subsystem.js';
import { pciPmResume, pciPmSuspend } from './pm.js';
import { modalias, parseFlag } from './sysfs-device.js';

/** @kernel drivers/pci/pci-driver.c pci_dma_configure */
const pciDmaConfigure = traced('pci_dma_configure', (_dev: Device): void => {});

function idText(vendor: number, device: number): string {
  return `${digitsOf(vendor, 4)}:${digitsOf(device, 4)}`.toUpperCase();
}

/** @kernel drivers/pci/pci-driver.c pci_uevent */
function pciUevent(dev: Device): Record<string, string> {
  const pdev = dev.container as PciDevice;
  return {
    PCI_CLASS: digitsOf(pdev.class, 4).toUpperCase(),
    PCI_ID: idText(pdev.vendor, pdev.device),
    PCI_SUBSYS_ID: idText(pdev.subsystemVendor, pdev.subsystemDevice),
    PCI_SLOT_NAME: pdev.name,
    MODALIAS: modalias(pdev),
  };
}

/** Every root is walked again. @kernel drivers/pci/pci-sysfs.c rescan_store */
function rescanAttribute(subsystem: PciSubsystem): Attribute {
  return {
    name: 'rescan',
    mode: 0o200,
    store: async (text) => {
      if (parseFlag('rescan', text)) await subsystem.rescan();
    },
  };
}

/** @kernel drivers/pci/pci-driver.c pci_bus_type */
export function createPciBusType(subsystem: PciSubsystem): BusType {
  return {
    name: 'pci',
    match: pciBusMatch,
    probe: pciDeviceProbe,
    remove: pciDeviceRemove,
    shutdown: pciDeviceShutdown,
    uevent: pciUevent,
    dmaConfigure: pciDmaConfigure,
    irqGetAffinity: (dev, index) => pciIrqGetAffinity(dev.container as PciDevice, index),
    driverAttributes: (drv) => dynamicIdAttributes(drv.container as PciDriverRecord),
    suspend: pciPmSuspend,
    resume: pciPmResume,
    busGroups: [{ attributes: [rescanAttribute(subsystem)] }],
  };
}
