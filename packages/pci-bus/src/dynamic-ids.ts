/**
 * `new_id` and `remove_id` of a driver: ids added while the machine runs.
 * Kernel counterpart: drivers/pci/pci-driver.c (new_id_store, remove_id_store).
 */
import type { Attribute } from '@nvme-stack/device-core/ports';
import { KernelError } from '@nvme-stack/kernel';
import type { PciDriverRecord } from './driver-record.js';
import { pciMatchId } from './match.js';
import type { PciDevice } from './pci-device.js';
import { PCI_ANY_ID, type PciDeviceId } from './ports.js';

/** Files of a PCI driver's directory. */
export function dynamicIdAttributes(record: PciDriverRecord): Attribute[] {
  return [
    { name: 'new_id', mode: 0o200, store: (text) => newIdStore(record, text) },
    { name: 'remove_id', mode: 0o200, store: (text) => removeIdStore(record, text) },
  ];
}

/** Parses up to seven hexadecimal numbers; EINVAL below `least`. */
function parseNumbers(text: string, least: number): number[] {
  const words = text.trim().split(/\s+/);
  const numbers: number[] = [];
  for (const word of words.slice(0, 7)) {
    if (!/^(0x)?[0-9a-fA-F]+$/.test(word)) break;
    numbers.push(Number.parseInt(word, 16));
  }
  if (numbers.length < least) {
    throw new KernelError('EINVAL', `id "${text.trim()}": vendor and device are needed, in hexadecimal`);
  }
  return numbers;
}

/** @kernel drivers/pci/pci-driver.c new_id_store */
async function newIdStore(record: PciDriverRecord, text: string): Promise<void> {
  const [vendor, device, subvendor, subdevice, classCode, classMask, driverData] = parseNumbers(text, 2);
  const id: PciDeviceId = {
    vendor: vendor as number,
    device: device as number,
    subvendor: subvendor ?? PCI_ANY_ID,
    subdevice: subdevice ?? PCI_ANY_ID,
    class: classCode ?? 0,
    classMask: classMask ?? 0,
    driverData: driverData ?? 0,
  };
  const table = record.driver.idTable;
  const asDevice = {
    vendor: id.vendor,
    device: id.device,
    subsystemVendor: id.subvendor,
    subsystemDevice: id.subdevice,
    class: id.class,
  };
  if (subvendor === undefined || driverData === undefined) {
    if (pciMatchId([...record.dynids, ...table], asDevice) !== null) {
      throw new KernelError('EEXIST', `id "${text.trim()}" of driver ${record.name}`);
    }
  }
  // A driver's private data is only believed when one of its own entries carries it.
  if (id.driverData !== 0 && !table.some((entry) => entry.driverData === id.driverData)) {
    throw new KernelError('EINVAL', `driver_data ${id.driverData.toString(16)} is in no entry of ${record.name}`);
  }
  record.dynids.push(id);
  await attachUnbound(record);
}

/** Offers the driver what has none. @kernel drivers/base/dd.c driver_attach */
async function attachUnbound(record: PciDriverRecord): Promise<void> {
  const { core, busType } = record.subsystem;
  for (const dev of core.busDevices(busType)) {
    if (dev.driver === null && pciMatchId(record.dynids, dev.container as PciDevice) !== null)
      await core.deviceAttach(dev);
  }
}

/** @kernel drivers/pci/pci-driver.c remove_id_store */
function removeIdStore(record: PciDriverRecord, text: string): void {
  const [vendor, device, subvendor, subdevice, classCode, classMask] = parseNumbers(text, 2);
  const at = record.dynids.findIndex(
    (id) =>
      id.vendor === vendor &&
      id.device === device &&
      (subvendor === undefined || id.subvendor === subvendor) &&
      (subdevice === undefined || id.subdevice === subdevice) &&
      (((classCode ?? 0) ^ id.class) & (classMask ?? 0)) === 0,
  );
  if (at < 0) throw new KernelError('ENODEV', `id "${text.trim()}" is not one of ${record.name}'s dynamic ids`);
  record.dynids.splice(at, 1);
}
