/**
 * A driver's own files: `uevent`, and `bind` and `unbind`, which let a user choose the driver of a device.
 * Kernel counterpart: uevent_store, bind_store and unbind_store in drivers/base/bus.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import { busFindDevice, driverMatchDevice } from './bus.js';
import { deviceDriverAttach } from './device-attach.js';
import type { DriverPrivate } from './driver.js';
import type { Attribute } from './ports.js';
import { deviceDriverDetach } from './release-driver.js';
import { kobjectSynthUevent } from './uevent.js';

/** @kernel drivers/base/bus.c uevent_store */
export function driverUeventAttribute(driver: DriverPrivate): Attribute {
  return { name: 'uevent', mode: 0o200, store: (text) => kobjectSynthUevent(driver.kobj, text) };
}

/** Throws ENODEV for a device that is not there or does not match. @kernel drivers/base/bus.c bind_store */
export function bindAttribute(driver: DriverPrivate): Attribute {
  return {
    name: 'bind',
    mode: 0o200,
    store: async (text) => {
      const dev = busFindDevice(driver.bus, text.trim());
      if (dev === null || !driverMatchDevice(driver.drv, dev)) {
        throw new KernelError('ENODEV', `driver ${driver.drv.name} takes no device '${text.trim()}'`);
      }
      await deviceDriverAttach(dev, driver);
    },
  };
}

/** Throws ENODEV unless the device is bound to this driver. @kernel drivers/base/bus.c unbind_store */
export function unbindAttribute(driver: DriverPrivate): Attribute {
  return {
    name: 'unbind',
    mode: 0o200,
    store: async (text) => {
      const dev = busFindDevice(driver.bus, text.trim());
      if (dev === null || dev.driver !== driver.drv) {
        throw new KernelError('ENODEV', `driver ${driver.drv.name} is not bound to '${text.trim()}'`);
      }
      await deviceDriverDetach(dev, driver);
    },
  };
}
