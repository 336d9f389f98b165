/**
 * What the bus does when the platform says that a card comes or goes while the machine runs: slots that no port of ours
 * serves. Those of ports are pciehp's.
 * Kernel counterpart: drivers/pci/hotplug/acpiphp_glue.c (enable_slot, disable_slot).
 */
import { withMutex } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { readConfig } from './access.js';
import { pciBusAddDevices } from './add-device.js';
import { pciAssignUnassignedBusResources } from './assign-resources.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { type PciSegment, segmentsBelow } from './pci-segment.js';
import { pciStopAndRemoveBusDevice } from './remove.js';
import { pciScanChildBus, pciScanSlot } from './scan.js';

interface SlotEvent {
  readonly bus: number;
  readonly devfn: number;
  readonly present: boolean;
}

/** Listens to the slots of a host bridge. The platform may call from any context; the work runs in a worker. */
export function attachHotplug(root: PciSegment): void {
  const { workqueues } = root.subsystem;
  const events: SlotEvent[] = [];
  const work = workqueues.initWork('acpi_hotplug_work_fn', events, async (queue) => {
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) await handle(root, event);
  });
  root.bridge.onHotplug = (event) => {
    // A driver must not wait for an answer of a card that is gone until the worker has its turn.
    if (!event.present) for (const pdev of functionsOf(root, event)) markDisconnected(pdev);
    events.push(event);
    workqueues.scheduleWork(work);
  };
}

function functionsOf(root: PciSegment, event: SlotEvent): PciDevice[] {
  const segment = segmentsBelow(root).find(({ number }) => number === event.bus);
  return segment?.devices.filter(({ devfn }) => devfn >>> 3 === event.devfn >>> 3) ?? [];
}

/** @kernel drivers/pci/pci.h pci_dev_set_disconnected */
export function markDisconnected(pdev: PciDevice): void {
  pdev.disconnected = true;
  pdev.errorState = 'perm-failure';
  if (pdev.subordinate !== null) for (const below of pdev.subordinate.devices) markDisconnected(below);
  for (const vf of pdev.sriov?.functions ?? []) markDisconnected(vf);
}

async function handle(root: PciSegment, event: SlotEvent): Promise<void> {
  const { subsystem } = root;
  await withMutex(subsystem.rescanRemoveLock, async () => {
    const segment = segmentsBelow(root).find(({ number }) => number === event.bus);
    if (segment === undefined) return;
    logSlot(segment, event);
    if (event.present) await configureSegment(segment, event.devfn >>> 3);
    else await unconfigureSlot(segment, event);
  });
}

function logSlot(segment: PciSegment, { devfn, present }: SlotEvent): void {
  const text = present ? 'Card present' : 'Card not present';
  if (segment.self !== null) pciLog(segment.self, 'info', `pciehp: Slot(${slotNumber(segment.self)}): ${text}`);
  else segment.kernel.printk.print('info', `pci_bus ${segment.name}: slot ${devfn >>> 3}: ${text}`);
}

/** The number printed on it; of a port without one its device number. */
function slotNumber(port: PciDevice): number {
  const capabilities = readConfig(port, port.expressCap + regs.PCI_EXP_SLTCAP, 4);
  return port.expressCap === 0 ? port.devfn >>> 3 : capabilities >>> 19;
}

/** Finds, places and adds what is new in a slot; false for nothing. With the rescan lock. */
export async function configureSegment(segment: PciSegment, slot: number): Promise<boolean> {
  const found = await pciScanSlot(segment, slot);
  if (found === 0) return false;
  for (const pdev of segment.devices) if (pdev.subordinate !== null) await pciScanChildBus(pdev.subordinate);
  pciAssignUnassignedBusResources(segment);
  await pciBusAddDevices(segment);
  return true;
}

async function unconfigureSlot(segment: PciSegment, { devfn }: SlotEvent): Promise<void> {
  const gone = segment.devices.filter((pdev) => pdev.devfn >>> 3 === devfn >>> 3 && pdev.disconnected);
  for (const pdev of gone.reverse()) await pciStopAndRemoveBusDevice(pdev);
}
