/**
 * The first road to probe: a driver arrives and asks every device on its bus.
 * Kernel counterpart: driver_attach and driver_detach in drivers/base/dd.c.
 */
import { traced, withMutex } from '@nvme-stack/kernel';
import { busForEachDev, driverMatchDevice } from './bus.js';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import type { DriverPrivate } from './driver.js';
import { driverProbeDevice } from './probe.js';
import { deviceDriverDetach } from './release-driver.js';

/** @kernel drivers/base/dd.c driver_attach */
export const driverAttach = traced('driver_attach', (driver: DriverPrivate): Promise<void> => {
  return busForEachDev(driver.bus, driver, driverAttachOne);
});

/** The whole of driver_attach in a worker, as 4.x did it. @kernel drivers/base/bus.c driver_attach_async */
export const driverAttachAsync = traced(
  'driver_attach_async',
  (driver: DriverPrivate): Promise<void> => driverAttach(driver),
);

/** @kernel drivers/base/dd.c __driver_attach */
const driverAttachOne = traced('__driver_attach', async (driver: DriverPrivate, dev: DeviceImpl): Promise<void> => {
  if (!driverMatchDevice(driver.drv, dev)) return;
  if (driver.core.era.asyncProbeOf === 'device' && driverAllowsAsyncProbing(driver)) {
    await scheduleProbe(driver, dev);
    return;
  }
  await withMutex(dev.lock, async () => {
    if (dev.driver === null) await driverProbeDevice(driver, dev);
  });
});

async function scheduleProbe(driver: DriverPrivate, dev: DeviceImpl): Promise<void> {
  await withMutex(dev.lock, async () => {
    if (dev.driver !== null || dev.asyncDriver !== null) return;
    getDevice(dev);
    dev.asyncDriver = driver;
    dev.core.workqueues.asyncScheduleNode(driverAttachAsyncHelper, dev, dev.numaNode);
  });
}

/** @kernel drivers/base/dd.c __driver_attach_async_helper */
const driverAttachAsyncHelper = traced('__driver_attach_async_helper', async (dev: DeviceImpl): Promise<void> => {
  await withMutex(dev.lock, async () => {
    const driver = dev.asyncDriver;
    dev.asyncDriver = null;
    if (driver !== null) await driverProbeDevice(driver, dev);
  });
  putDevice(dev);
});

/** @kernel drivers/base/dd.c driver_allows_async_probing */
export const driverAllowsAsyncProbing = traced('driver_allows_async_probing', (driver: DriverPrivate): boolean => {
  return driver.drv.probeType === 'prefer-asynchronous';
});

/** Unbinds every device, the last bound first; probes still under way are waited for. @kernel drivers/base/dd.c driver_detach */
export const driverDetach = traced('driver_detach', async (driver: DriverPrivate): Promise<void> => {
  if (driverAllowsAsyncProbing(driver)) await driver.core.workqueues.asyncSynchronizeFull();
  while (driver.devices.size > 0) {
    const dev = [...driver.devices].pop() as DeviceImpl;
    getDevice(dev);
    await deviceDriverDetach(dev, driver);
    putDevice(dev);
  }
});
