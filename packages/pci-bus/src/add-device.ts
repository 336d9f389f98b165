/**
 * Makes a found function visible, and later lets drivers have it.
 * Kernel counterpart: drivers/pci/probe.c (pci_device_add), drivers/pci/bus.c (pci_bus_add_devices).
 */
import { traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { findCapability, findExtCapability, readConfig } from './access.js';
import { PciDmaDevice } from './dma-device.js';
import type { PciDevice } from './pci-device.js';
import type { PciSegment } from './pci-segment.js';
import { sriovInit } from './sriov.js';
import { deviceGroups } from './sysfs-device.js';

/** Adds the function to its bus and to the device core; no driver is looked for yet. @kernel drivers/pci/probe.c pci_device_add */
export const pciDeviceAdd = traced('pci_device_add', async (pdev: PciDevice): Promise<void> => {
  const { core, busType } = pdev.subsystem;
  const { bridge, parentDevice } = pdev.segment;
  pciInitCapabilities(pdev);
  pdev.dev = core.deviceInitialize({
    name: pdev.name,
    parent: pdev.physfn === null ? parentDevice : pdev.physfn.segment.parentDevice,
    container: pdev,
    bus: busType,
    groups: deviceGroups(pdev),
    numaNode: bridge.numaNode,
  });
  const { dev } = pdev;
  dev.dma = new PciDmaDevice(pdev, bridge.dmaOps(pdev.requesterId));
  dev.matchDriver = false;
  pdev.segment.devices.push(pdev);
  pdev.subsystem.devices.push(pdev);
  await core.deviceAdd(dev);
});

/** @kernel drivers/pci/probe.c pci_init_capabilities */
const pciInitCapabilities = traced('pci_init_capabilities', (pdev: PciDevice): void => {
  pdev.msiCap = findCapability(pdev, regs.PCI_CAP_ID_MSI);
  pdev.msixCap = findCapability(pdev, regs.PCI_CAP_ID_MSIX);
  pdev.pmCap = findCapability(pdev, regs.PCI_CAP_ID_PM);
  if (pdev.expressCap === 0) pdev.expressCap = findCapability(pdev, regs.PCI_CAP_ID_EXP);
  if (pdev.pmCap !== 0) {
    const control = readConfig(pdev, pdev.pmCap + regs.PCI_PM_CTRL, 2);
    pdev.currentState = (control & regs.PCI_PM_CTRL_STATE_MASK) as 0 | 1 | 2 | 3;
  } else {
    pdev.currentState = 0;
  }
  const sriov = findExtCapability(pdev, regs.PCI_EXT_CAP_ID_SRIOV);
  if (sriov !== 0 && !pdev.isVirtfn) sriovInit(pdev, sriov);
});

/** Lets drivers have every function of a bus and below. @kernel drivers/pci/bus.c pci_bus_add_devices */
export const pciBusAddDevices = traced('pci_bus_add_devices', async (segment: PciSegment): Promise<void> => {
  for (const pdev of [...segment.devices]) {
    if (!pdev.dev.matchDriver) await pciBusAddDevice(pdev);
  }
  for (const pdev of [...segment.devices]) {
    if (pdev.subordinate !== null) await pciBusAddDevices(pdev.subordinate);
  }
});

/** @kernel drivers/pci/bus.c pci_bus_add_device */
export const pciBusAddDevice = traced('pci_bus_add_device', async (pdev: PciDevice): Promise<void> => {
  pdev.dev.matchDriver = true;
  await pdev.subsystem.core.deviceAttach(pdev.dev);
});
