/**
 * Brings up a host bridge: its root bus, everything behind it, their places, and then their drivers; and rescans.
 * Kernel counterpart: drivers/pci/probe.c (pci_host_probe, pci_rescan_bus).
 */
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import { pciBusAddDevices } from './add-device.js';
import { addRootWindows, pciAssignUnassignedBusResources } from './assign-resources.js';
import { attachHotplug } from './hotplug.js';
import { digitsOf } from './pci-resource.js';
import { PciSegment } from './pci-segment.js';
import type { PciSubsystem } from './pci-subsystem.js';
import { pciePortdrvInit } from './pcie-port.js';
import type { PciHostBridge } from './ports.js';
import { pciScanChildBus } from './scan.js';

/** @kernel drivers/pci/probe.c pci_host_probe */
export const pciHostProbe = traced(
  'pci_host_probe',
  async (subsystem: PciSubsystem, bridge: PciHostBridge): Promise<void> => {
    const { core, kernel } = subsystem;
    const root = new PciSegment(subsystem, bridge, bridge.busStart, null);
    for (const other of subsystem.roots) {
      if (other.name === root.name) throw new KernelError('EEXIST', `host bridge ${bridge.name} on bus ${root.name}`);
    }
    if (!subsystem.busRegistered) {
      core.busRegister(subsystem.busType);
      subsystem.busRegistered = true;
    }
    root.subordinateNumber = bridge.busEnd;
    root.hostDevice = core.deviceInitialize({ name: `pci${root.name}`, parent: null, container: root });
    await core.deviceAdd(root.hostDevice);
    kernel.printk.print('info', `PCI host bridge to bus ${root.name}`);
    const buses = `${digitsOf(bridge.busStart, 2)}-${digitsOf(bridge.busEnd, 2)}`;
    kernel.printk.print('info', `pci_bus ${root.name}: root bus resource [bus ${buses}]`);
    addRootWindows(root);
    subsystem.roots.push(root);
    await withMutex(subsystem.rescanRemoveLock, () => scanAndAdd(root));
    attachHotplug(root);
    await pciePortdrvInit(subsystem);
  },
);

async function scanAndAdd(root: PciSegment): Promise<number> {
  const max = await pciScanChildBus(root);
  pciAssignUnassignedBusResources(root);
  await pciBusAddDevices(root);
  return max;
}

/** Looks for functions that were not there before; returns the highest bus number in use. @kernel drivers/pci/probe.c pci_rescan_bus */
export const pciRescanBus = traced(
  'pci_rescan_bus',
  async (subsystem: PciSubsystem): Promise<number> =>
    withMutex(subsystem.rescanRemoveLock, async () => {
      let max = 0;
      for (const root of subsystem.roots) max = Math.max(max, await scanAndAdd(root));
      return max;
    }),
);
