/**
 * Virtual functions: the capability, enabling a number of them, and `sriov_numvfs`.
 * Kernel counterpart: drivers/pci/iov.c. Spec: [SR-IOV] 1.1 §3.3.
 */
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import { KernelError, msleep, traced, withMutex } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { changeWord, findCapability, readConfig, writeConfig } from './access.js';
import { pciBusAddDevice, pciDeviceAdd } from './add-device.js';
import * as iov from './pci-constants.js';
import { PciDevice, pciLog } from './pci-device.js';
import { PciBar } from './pci-resource.js';
import { pciStopAndRemoveBusDevice } from './remove.js';
import { describeFunction, sizeBar } from './setup-device.js';
import type { PciSriov } from './sriov-state.js';

/** Notes the capability and the places its functions will need. @kernel drivers/pci/iov.c sriov_init */
export function sriovInit(pdev: PciDevice, offset: number): void {
  const totalVfs = readConfig(pdev, offset + regs.PCI_SRIOV_TOTAL_VF, 2);
  if (totalVfs === 0) return;
  const bars: (PciBar | null)[] = new Array<PciBar | null>(iov.PCI_STD_NUM_BARS).fill(null);
  const vfBarBytes: number[] = new Array<number>(iov.PCI_STD_NUM_BARS).fill(0);
  for (let index = 0; index < iov.PCI_STD_NUM_BARS; index++) {
    const one = sizeBar(pdev, index, offset + regs.PCI_SRIOV_BAR + 4 * index);
    if (one === null) continue;
    vfBarBytes[index] = one.sizeBytes;
    bars[index] = new PciBar(index, one.sizeBytes * totalVfs, one.is64Bit, one.prefetchable, one.sizeBytes);
    logBar(pdev, one, bars[index] as PciBar, offset, totalVfs);
    if (one.is64Bit) index++;
  }
  pdev.sriov = {
    offset,
    totalVfs,
    firstVfOffset: readConfig(pdev, offset + regs.PCI_SRIOV_VF_OFFSET, 2),
    vfStride: readConfig(pdev, offset + regs.PCI_SRIOV_VF_STRIDE, 2),
    vfDevice: readConfig(pdev, offset + regs.PCI_SRIOV_VF_DID, 2),
    bars,
    vfBarBytes,
    functions: [],
    driversAutoprobe: true,
  };
}

/** One BAR of a virtual function, and the room for those of all. */
function logBar(pdev: PciDevice, one: PciBar, all: PciBar, offset: number, totalVfs: number): void {
  const { index } = one;
  if (pdev.subsystem.era.namesBarFirst) {
    pciLog(pdev, 'info', `VF BAR ${index} ${one.text()}`);
    pciLog(pdev, 'info', `VF BAR ${index} ${all.text()}: contains BAR ${index} for ${totalVfs} VFs`);
    return;
  }
  pciLog(pdev, 'info', `reg 0x${(offset + regs.PCI_SRIOV_BAR + 4 * index).toString(16)}: ${one.text()}`);
  pciLog(pdev, 'info', `VF(n) BAR${index} space: ${all.text()} (contains BAR${index} for ${totalVfs} VFs)`);
}

/** Enables so many virtual functions, or none; returns how many there are. @kernel drivers/pci/iov.c pci_sriov_configure_simple */
export const pciSriovConfigureSimple = traced(
  'pci_sriov_configure_simple',
  async (pdev: PciDevice, numVfs: number): Promise<number> => {
    if (pdev.sriov === null) throw new KernelError('ENODEV', `${pdev.name} has no SR-IOV`);
    if (numVfs === 0) {
      await disableSriov(pdev);
      return 0;
    }
    await enableSriov(pdev, pdev.sriov, numVfs);
    return numVfs;
  },
);

/** @kernel drivers/pci/iov.c sriov_enable */
async function enableSriov(pdev: PciDevice, sriov: PciSriov, numVfs: number): Promise<void> {
  if (sriov.functions.length > 0) throw new KernelError('EBUSY', `${pdev.name} has virtual functions already`);
  if (numVfs > sriov.totalVfs)
    throw new KernelError('ERANGE', `${pdev.name}: ${numVfs} of ${sriov.totalVfs} virtual functions`);
  if (pdev.requesterId + sriov.firstVfOffset + sriov.vfStride * (numVfs - 1) > ((pdev.busNumber << 8) | 0xff)) {
    pciLog(pdev, 'err', `can't enable ${numVfs} VFs (bus ${pdev.busNumber} out of range)`);
    throw new KernelError('ENOMEM', `${pdev.name}: virtual functions do not fit on their bus`);
  }
  writeConfig(pdev, sriov.offset + regs.PCI_SRIOV_NUM_VF, numVfs, 2);
  changeWord(pdev, sriov.offset + regs.PCI_SRIOV_CTRL, 0, regs.PCI_SRIOV_CTRL_VFE | regs.PCI_SRIOV_CTRL_MSE);
  await msleep(pdev, 100);
  try {
    for (let number = 0; number < numVfs; number++) await addVirtfn(pdev, sriov, number);
  } catch (error) {
    await disableSriov(pdev);
    throw error;
  }
}

/** @kernel drivers/pci/iov.c pci_iov_add_virtfn */
async function addVirtfn(pdev: PciDevice, sriov: PciSriov, number: number): Promise<void> {
  const devfn = (pdev.devfn + sriov.firstVfOffset + sriov.vfStride * number) & 0xff;
  const vf = new PciDevice(pdev.segment, devfn, pdev);
  vf.vendor = pdev.vendor;
  vf.device = sriov.vfDevice;
  vf.subsystemVendor = pdev.subsystemVendor;
  vf.subsystemDevice = pdev.subsystemDevice;
  const classRevision = readConfig(vf, regs.PCI_CLASS_REVISION, 4);
  if (classRevision === 0xffffffff) throw new KernelError('ENODEV', `${vf.name} does not answer`);
  vf.class = classRevision >>> 8;
  vf.revision = classRevision & 0xff;
  vf.expressCap = findCapability(vf, regs.PCI_CAP_ID_EXP);
  describeFunction(vf);
  for (const bar of sriov.bars) {
    if (bar === null || bar.resource === null) continue;
    const size = sriov.vfBarBytes[bar.index] as number;
    const own = new PciBar(bar.index, size, bar.is64Bit, bar.prefetchable);
    own.start = bar.start + size * number;
    own.resource = pdev.kernel.iomem.request(vf.name, own.start, size, own.flags, bar.resource);
    vf.bars[bar.index] = own;
  }
  await pciDeviceAdd(vf);
  sriov.functions.push(vf);
  const { core } = pdev.subsystem;
  core.sysfsCreateLink(pdev.dev.kobj, `virtfn${number}`, vf.dev.kobj);
  core.sysfsCreateLink(vf.dev.kobj, 'physfn', pdev.dev.kobj);
  await pciBusAddDevice(vf);
}

/** @kernel drivers/pci/iov.c sriov_disable */
export async function disableSriov(pdev: PciDevice): Promise<void> {
  const { sriov } = pdev;
  if (sriov === null || sriov.functions.length === 0) return;
  const { core } = pdev.subsystem;
  while (sriov.functions.length > 0) {
    const vf = sriov.functions.pop() as PciDevice;
    core.sysfsRemoveLink(pdev.dev.kobj, `virtfn${sriov.functions.length}`);
    core.sysfsRemoveLink(vf.dev.kobj, 'physfn');
    await pciStopAndRemoveBusDevice(vf);
  }
  changeWord(pdev, sriov.offset + regs.PCI_SRIOV_CTRL, regs.PCI_SRIOV_CTRL_VFE | regs.PCI_SRIOV_CTRL_MSE, 0);
  await msleep(pdev, 1000);
  writeConfig(pdev, sriov.offset + regs.PCI_SRIOV_NUM_VF, 0, 2);
}

/** Asks the driver for so many functions. @kernel drivers/pci/iov.c sriov_numvfs_store */
async function numvfsStore(pdev: PciDevice, sriov: PciSriov, text: string): Promise<void> {
  const trimmed = text.trim();
  if (!/^\d+$/.test(trimmed)) throw new KernelError('EINVAL', `sriov_numvfs "${trimmed}" is not a number`);
  const wanted = Number.parseInt(trimmed, 10);
  if (wanted > sriov.totalVfs) throw new KernelError('ERANGE', `sriov_numvfs ${wanted}; allowed: 0..${sriov.totalVfs}`);
  await withMutex(pdev.lock, async () => {
    const present = sriov.functions.length;
    if (wanted === present) return;
    const drv = pdev.driver?.driver;
    if (drv?.sriovConfigure === undefined) {
      const why =
        drv === undefined ? 'no driver bound to device' : 'driver does not support SR-IOV configuration via sysfs';
      pciLog(pdev, 'info', `${why}; cannot configure SR-IOV`);
      throw new KernelError('ENOENT', `${pdev.name}: ${why}`);
    }
    if (wanted !== 0 && present !== 0) {
      pciLog(pdev, 'warn', `${present} VFs already enabled. Disable before enabling ${wanted} VFs`);
      throw new KernelError('EBUSY', `${pdev.name} has ${present} virtual functions`);
    }
    const got = await drv.sriovConfigure(pdev, wanted);
    if (got !== wanted) pciLog(pdev, 'warn', `${wanted} VFs requested; only ${got} enabled`);
  });
}

/** Files of a physical function; which of them there are is the era's. @kernel drivers/pci/iov.c sriov_pf_dev_attrs */
export function sriovAttributes(pdev: PciDevice, sriov: PciSriov): AttributeGroup {
  const shown = (name: string, text: () => string): Attribute => ({ name, mode: 0o444, show: () => `${text()}\n` });
  const all: readonly Attribute[] = [
    shown('sriov_totalvfs', () => `${sriov.totalVfs}`),
    {
      name: 'sriov_numvfs',
      mode: 0o644,
      show: () => `${sriov.functions.length}\n`,
      store: (text) => numvfsStore(pdev, sriov, text),
    },
    shown('sriov_offset', () => `${sriov.firstVfOffset}`),
    shown('sriov_stride', () => `${sriov.vfStride}`),
    shown('sriov_vf_device', () => sriov.vfDevice.toString(16)),
    {
      name: 'sriov_drivers_autoprobe',
      mode: 0o644,
      show: () => `${sriov.driversAutoprobe ? 1 : 0}\n`,
      store: (text) => {
        sriov.driversAutoprobe = text.trim() === '1';
      },
    },
  ];
  const { files } = pdev.subsystem.era.sriov;
  return { attributes: all.filter(({ name }) => files.includes(name)) };
}
