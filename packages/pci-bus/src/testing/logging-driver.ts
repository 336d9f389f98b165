/** A driver for tests that notes what it is called for, and ids for its table. */
import { PCI_ANY_ID, type PciDeviceId, type PciDriver } from '../ports.js';

/** An id that matches by vendor and device. */
export function idOf(vendor: number, device: number, driverData = 0): PciDeviceId {
  return { vendor, device, subvendor: PCI_ANY_ID, subdevice: PCI_ANY_ID, class: 0, classMask: 0, driverData };
}

/** Matches NVM Express by class. */
export const NVME_CLASS: PciDeviceId = {
  vendor: PCI_ANY_ID,
  device: PCI_ANY_ID,
  subvendor: PCI_ANY_ID,
  subdevice: PCI_ANY_ID,
  class: 0x010802,
  classMask: 0xffffff,
  driverData: 7,
};

/** A driver that logs what it is called for. */
export class LoggingDriver implements PciDriver {
  readonly name: string;
  readonly owner = 'test';
  readonly idTable: readonly PciDeviceId[];
  readonly probeType = 'force-synchronous';
  readonly log: string[] = [];
  readonly probe: PciDriver['probe'];
  readonly remove: PciDriver['remove'];

  constructor(name: string, idTable: readonly PciDeviceId[], onProbe: PciDriver['probe'] = async () => {}) {
    this.name = name;
    this.idTable = idTable;
    this.probe = async (pdev, id) => {
      this.log.push(`probe ${pdev.dev.name} ${id.driverData}`);
      await onProbe(pdev, id);
    };
    this.remove = async (pdev) => {
      this.log.push(`remove ${pdev.dev.name}`);
    };
  }
}
