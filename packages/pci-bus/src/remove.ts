/**
 * Takes functions off the bus: first their drivers, then themselves, what is below a bridge before the bridge.
 * Kernel counterpart: drivers/pci/remove.c.
 */
import { traced, withMutex } from '@nvme-stack/kernel';
import type { PciDevice } from './pci-device.js';
import type { PciBar } from './pci-resource.js';
import { disableSriov } from './sriov.js';

/** @kernel drivers/pci/remove.c pci_stop_and_remove_bus_device_locked */
export const pciStopAndRemoveBusDeviceLocked = traced(
  'pci_stop_and_remove_bus_device_locked',
  async (pdev: PciDevice): Promise<void> => {
    await withMutex(pdev.subsystem.rescanRemoveLock, () => pciStopAndRemoveBusDevice(pdev));
  },
);

/** With the rescan lock held. @kernel drivers/pci/remove.c pci_stop_and_remove_bus_device */
export const pciStopAndRemoveBusDevice = traced(
  'pci_stop_and_remove_bus_device',
  async (pdev: PciDevice): Promise<void> => {
    if (pdev.removed) return;
    await pciStopBusDevice(pdev);
    await pciRemoveBusDevice(pdev);
  },
);

/** @kernel drivers/pci/remove.c pci_stop_bus_device */
const pciStopBusDevice = traced('pci_stop_bus_device', async (pdev: PciDevice): Promise<void> => {
  if (pdev.subordinate !== null)
    for (const child of [...pdev.subordinate.devices].reverse()) await pciStopBusDevice(child);
  await pdev.subsystem.core.deviceReleaseDriver(pdev.dev);
  pdev.dev.matchDriver = false;
});

/** @kernel drivers/pci/remove.c pci_remove_bus_device */
const pciRemoveBusDevice = traced('pci_remove_bus_device', async (pdev: PciDevice): Promise<void> => {
  if (pdev.removed) return;
  if (pdev.sriov !== null && pdev.sriov.functions.length > 0) await disableSriov(pdev);
  const below = pdev.subordinate;
  if (below !== null) {
    for (const child of [...below.devices]) await pciRemoveBusDevice(child);
    for (const window of below.windows) pdev.kernel.iomem.release(window.resource);
    below.windows = [];
    pdev.subordinate = null;
  }
  pdev.removed = true;
  await pdev.subsystem.core.deviceDel(pdev.dev);
  releasePlaces(pdev, pdev.bars);
  releasePlaces(pdev, pdev.sriov?.bars ?? []);
  drop(pdev.segment.devices, pdev);
  drop(pdev.subsystem.devices, pdev);
  pdev.subsystem.core.putDevice(pdev.dev);
});

function releasePlaces(pdev: PciDevice, bars: readonly (PciBar | null)[]): void {
  for (const bar of bars) {
    if (bar === null || bar.resource === null) continue;
    if (bar.claimed !== null) {
      pdev.kernel.iomem.release(bar.claimed);
      pdev.kernel.live.remove('regions', pdev.name);
    }
    pdev.kernel.iomem.release(bar.resource);
    bar.claimed = null;
    bar.resource = null;
  }
}

function drop<T>(list: T[], item: T): void {
  const at = list.indexOf(item);
  if (at >= 0) list.splice(at, 1);
}
