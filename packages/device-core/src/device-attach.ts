/**
 * The second road to probe: a device arrives (or a user asks) and every driver of its bus is tried.
 * Kernel counterpart: __device_attach, device_attach and device_driver_attach in drivers/base/dd.c.
 */
import { Errno, traced, withMutex } from '@nvme-stack/kernel';
import { busForEachDrv, busPrivate, driverMatchDevice } from './bus.js';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import type { DriverPrivate } from './driver.js';
import { driverAllowsAsyncProbing } from './driver-attach.js';
import { driverProbeDevice, driverProbeDeviceLocked } from './probe.js';
import { failure } from './state.js';

/** @kernel drivers/base/dd.c device_attach_data */
class AttachData {
  readonly dev: DeviceImpl;
  /** Only drivers of one kind are tried: those that probe asynchronously, or those that do not. */
  readonly checkAsync: boolean;
  readonly wantAsync: boolean;
  /** Some matching driver wants to probe asynchronously. */
  haveAsync = false;

  constructor(dev: DeviceImpl, checkAsync: boolean, wantAsync: boolean) {
    this.dev = dev;
    this.checkAsync = checkAsync;
    this.wantAsync = wantAsync;
  }
}

/** @kernel drivers/base/dd.c __device_attach_driver */
const deviceAttachDriver = traced(
  '__device_attach_driver',
  async (driver: DriverPrivate, data: AttachData): Promise<number> => {
    const { dev } = data;
    if (!driverMatchDevice(driver.drv, dev)) return 0;
    const asyncAllowed = driverAllowsAsyncProbing(driver);
    if (asyncAllowed) data.haveAsync = true;
    if (data.checkAsync && asyncAllowed !== data.wantAsync) return 0;
    const result = await driverProbeDevice(driver, dev);
    if (result < 0) return result;
    return result === 0 ? 1 : 0;
  },
);

async function tryDrivers(dev: DeviceImpl, data: AttachData): Promise<number> {
  const bus = dev.bus === null ? null : busPrivate(dev.core, dev.bus);
  if (bus === null) return 0;
  return busForEachDrv(bus, (driver) => deviceAttachDriver(driver, data));
}

/** @kernel drivers/base/dd.c __device_attach */
const attachLocked = traced('__device_attach', async (dev: DeviceImpl, allowAsync: boolean): Promise<void> => {
  const deferToWorker = await withMutex(dev.lock, async () => {
    if (dev.dead || dev.driver !== null) return false;
    const data = new AttachData(dev, allowAsync, false);
    const result = await tryDrivers(dev, data);
    return result === 0 && allowAsync && data.haveAsync;
  });
  if (!deferToWorker) return;
  getDevice(dev);
  dev.core.workqueues.asyncScheduleNode(attachAsyncHelper, dev, dev.numaNode);
});

/** @kernel drivers/base/dd.c __device_attach_async_helper */
const attachAsyncHelper = traced('__device_attach_async_helper', async (dev: DeviceImpl): Promise<void> => {
  await withMutex(dev.lock, async () => {
    if (!dev.dead && dev.driver === null) await tryDrivers(dev, new AttachData(dev, true, true));
  });
  putDevice(dev);
});

/** Tries every driver, in this thread. @kernel drivers/base/dd.c device_attach */
export const deviceAttach = traced('device_attach', (dev: DeviceImpl): Promise<void> => attachLocked(dev, false));

/** Tries every driver; those that prefer it in a worker. @kernel drivers/base/dd.c device_initial_probe */
const deviceInitialProbe = traced('device_initial_probe', (dev: DeviceImpl): Promise<void> => attachLocked(dev, true));

/** @kernel drivers/base/bus.c bus_probe_device */
export const busProbeDevice = traced('bus_probe_device', async (dev: DeviceImpl): Promise<void> => {
  const bus = dev.bus === null ? null : busPrivate(dev.core, dev.bus);
  if (bus?.driversAutoprobe === true) await deviceInitialProbe(dev);
});

/** Binds one driver to one device, as a user asked. Throws probe's errno, EBUSY, EAGAIN for a deferral. @kernel drivers/base/dd.c device_driver_attach */
export const deviceDriverAttach = traced(
  'device_driver_attach',
  async (dev: DeviceImpl, driver: DriverPrivate): Promise<void> => {
    const result = await withMutex(dev.lock, () => driverProbeDeviceLocked(driver, dev));
    if (result === 0) return;
    const errno = result > 0 ? -result : result;
    const what = `bind ${driver.drv.name} to ${dev.name}`;
    if (dev.core.era.bindFailure === 'enodev') throw failure(-Errno.ENODEV, what);
    throw failure(errno === -Errno.EPROBE_DEFER ? -Errno.EAGAIN : errno, what);
  },
);
