/**
 * Unbinding: the driver's remove, then its managed resources in reverse, then its traces on the device.
 * Kernel counterpart: __device_release_driver in drivers/base/dd.c.
 */
import { traced, withMutex } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import type { DriverPrivate } from './driver.js';
import { deviceUnbindCleanup, driverSysfsRemove } from './probe.js';
import { kobjectUeventEnv } from './uevent.js';

/** @kernel drivers/base/dd.c __device_release_driver */
const releaseLocked = traced('__device_release_driver', async (dev: DeviceImpl): Promise<void> => {
  const drv = dev.driver;
  if (drv === null) return;
  const driver = dev.core.drivers.get(drv);
  if (driver !== undefined) driverSysfsRemove(dev, driver);
  try {
    if (drv.bus.remove !== undefined) await drv.bus.remove(dev);
    else if (drv.remove !== undefined) await drv.remove(dev);
  } finally {
    await deviceUnbindCleanup(dev);
    driver?.devices.delete(dev);
  }
  if (dev.core.era.bindUevents) kobjectUeventEnv(dev.kobj, 'unbind');
});

/** Does nothing when no driver is bound. @kernel drivers/base/dd.c device_release_driver */
export const deviceReleaseDriver = traced('device_release_driver', (dev: DeviceImpl): Promise<void> => {
  return withMutex(dev.lock, () => releaseLocked(dev));
});

/** Unbinds this driver; does nothing when another is bound. @kernel drivers/base/dd.c device_driver_detach */
export const deviceDriverDetach = traced(
  'device_driver_detach',
  (dev: DeviceImpl, driver: DriverPrivate): Promise<void> => {
    return withMutex(dev.lock, async () => {
      if (dev.driver === driver.drv) await releaseLocked(dev);
    });
  },
);
