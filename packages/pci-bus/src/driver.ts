/**
 * Binding a driver to a function and taking it away again.
 * Kernel counterpart: drivers/pci/pci-driver.c.
 */
import type { Device } from '@nvme-stack/device-core/ports';
import { KernelError, traced } from '@nvme-stack/kernel';
import { PciDriverRecord } from './driver-record.js';
import { assignIrq, freeAssignedIrq } from './intx.js';
import { pciMatchDevice } from './match.js';
import { PCI_UNKNOWN, type PciDevice, pciLog } from './pci-device.js';
import type { PciSubsystem } from './pci-subsystem.js';
import type { PciDeviceId, PciDriver } from './ports.js';
import { pciDeviceCanProbe } from './sriov-state.js';

/** @kernel drivers/pci/pci-driver.c __pci_register_driver */
export const pciRegisterDriver = traced(
  '__pci_register_driver',
  async (subsystem: PciSubsystem, drv: PciDriver): Promise<void> => {
    const record = new PciDriverRecord(subsystem, drv);
    subsystem.drivers.push(record);
    try {
      await subsystem.core.driverRegister(record);
    } catch (error) {
      forget(subsystem, record);
      throw error;
    }
  },
);

/** @kernel drivers/pci/pci-driver.c pci_unregister_driver */
export const pciUnregisterDriver = traced(
  'pci_unregister_driver',
  async (subsystem: PciSubsystem, drv: PciDriver): Promise<void> => {
    const record = subsystem.findDriver(drv);
    if (record === null) subsystem.kernel.ex.bug(`pci_unregister_driver of ${drv.name}, which is not registered`);
    await subsystem.core.driverUnregister(record);
    record.dynids.length = 0;
    forget(subsystem, record);
  },
);

function forget(subsystem: PciSubsystem, record: PciDriverRecord): void {
  const at = subsystem.drivers.indexOf(record);
  if (at >= 0) subsystem.drivers.splice(at, 1);
}

/** @kernel drivers/pci/pci-driver.c pci_device_probe */
export const pciDeviceProbe = traced('pci_device_probe', async (dev: Device): Promise<void> => {
  const pdev = dev.container as PciDevice;
  const record = driverOf(pdev, dev);
  if (!pciDeviceCanProbe(pdev))
    throw new KernelError('ENODEV', `${pdev.name} is a virtual function, and not to be probed`);
  assignIrq(pdev);
  try {
    const id = pciMatchDevice(record, pdev);
    if (id === null) throw new KernelError('ENODEV', `${record.name} does not match ${pdev.name}`);
    await pciCallProbe(pdev, record, id);
  } catch (error) {
    freeAssignedIrq(pdev);
    throw error;
  }
  for (const group of record.driver.devGroups ?? []) pdev.subsystem.core.sysfsCreateGroup(dev.kobj, group);
});

function driverOf(pdev: PciDevice, dev: Device): PciDriverRecord {
  const record = dev.driver?.container;
  if (record instanceof PciDriverRecord) return record;
  return pdev.kernel.ex.bug(`pci_device_probe of ${pdev.name} without a PCI driver`);
}

/**
 * Calls the driver on a CPU of the function's node, when it has one, so that what the driver allocates for itself lies there.
 * @kernel drivers/pci/pci-driver.c pci_call_probe
 */
async function pciCallProbe(pdev: PciDevice, record: PciDriverRecord, id: PciDeviceId): Promise<void> {
  const cpu = probeCpu(pdev);
  pdev.isProbed = true;
  try {
    if (cpu < 0) await localPciProbe(pdev, record, id);
    else await pdev.subsystem.workqueues.workOnCpu(cpu, () => localPciProbe(pdev, record, id));
  } finally {
    pdev.isProbed = false;
  }
}

/** The first CPU of its node that is on; -1: whichever this is. A virtual function is probed where its physical one is. */
function probeCpu({ kernel, dev, physfn }: PciDevice): number {
  const node = dev.numaNode;
  if (node < 0 || node >= kernel.nrNodes || physfn?.isProbed === true) return -1;
  for (let cpu = 0; cpu < kernel.nrCpus; cpu++) {
    if (kernel.cpuToNode(cpu) === node && kernel.cpus.isOnline(cpu)) return cpu;
  }
  return -1;
}

/** @kernel drivers/pci/pci-driver.c local_pci_probe */
const localPciProbe = traced(
  'local_pci_probe',
  async (pdev: PciDevice, record: PciDriverRecord, id: PciDeviceId): Promise<void> => {
    pdev.driver = record;
    try {
      await record.driver.probe(pdev, id);
    } catch (error) {
      pdev.driver = null;
      throw error;
    }
  },
);

/** @kernel drivers/pci/pci-driver.c pci_device_remove */
export const pciDeviceRemove = traced('pci_device_remove', async (dev: Device): Promise<void> => {
  const pdev = dev.container as PciDevice;
  const record = pdev.driver;
  if (record === null) return;
  for (const group of record.driver.devGroups ?? []) pdev.subsystem.core.sysfsRemoveGroup(dev.kobj, group);
  await record.driver.remove(pdev);
  freeAssignedIrq(pdev);
  pdev.driver = null;
  if (pdev.subsystem.era.sriov.warnsOfLeftVfs && (pdev.sriov?.functions.length ?? 0) > 0)
    pciLog(pdev, 'warn', 'driver left SR-IOV enabled after remove');
  // The next driver powers it up from whatever state it was left in.
  if (pdev.currentState === 0) pdev.currentState = PCI_UNKNOWN;
});

/** @kernel drivers/pci/pci-driver.c pci_device_shutdown */
export const pciDeviceShutdown = traced('pci_device_shutdown', async (dev: Device): Promise<void> => {
  const pdev = dev.container as PciDevice;
  if (pdev.driver?.driver.shutdown !== undefined) await pdev.driver.driver.shutdown(pdev);
});
