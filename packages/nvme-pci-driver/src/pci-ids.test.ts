import { PCI_ANY_ID } from '@nvme-stack/pci-bus/ports';
import { describe, expect, it } from 'vitest';
import { PCI_CLASS_STORAGE_EXPRESS, pciDevice, pciDeviceClass, pciVdevice } from './pci-ids.js';

const ANY_BOARD = { subvendor: PCI_ANY_ID, subdevice: PCI_ANY_ID };

describe('an entry of the id table', () => {
  // @acceptance 31
  it('names a device by vendor and device, by a vendor’s name and device, or any device by its class', () => {
    expect(pciDevice(0x1c58, 0x0003, 8)).toEqual({
      ...ANY_BOARD,
      vendor: 0x1c58,
      device: 0x0003,
      class: 0,
      classMask: 0,
      driverData: 8,
    });
    expect(pciVdevice('INTEL', 0x0953, 5)).toEqual(pciDevice(0x8086, 0x0953, 5));
    expect(pciDeviceClass(PCI_CLASS_STORAGE_EXPRESS, 0xffffff)).toEqual({
      ...ANY_BOARD,
      vendor: PCI_ANY_ID,
      device: PCI_ANY_ID,
      class: 0x010802,
      classMask: 0xffffff,
      driverData: 0,
    });
  });
});
