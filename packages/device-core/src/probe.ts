/**
 * Probing one device with one driver: what is set up before the driver's probe, and how a refusal is undone.
 * Results are as the kernel returns them: 0 bound; above zero the driver refused and another may try; below zero the
 * device cannot be probed at all.
 * Kernel counterpart: driver_probe_device and really_probe in drivers/base/dd.c.
 */
import { Errno, KernelError, traced, wakeUpAll } from '@nvme-stack/kernel';
import { deferredProbeAdd, deferredProbeDel, deferredProbeTrigger } from './deferred-probe.js';
import type { DeviceImpl } from './device.js';
import { devresReleaseAll } from './devres.js';
import type { DriverPrivate } from './driver.js';
import { faultAt, log } from './state.js';
import { createLink, removeLink } from './sysfs.js';
import { devPrefix, kobjectUeventEnv } from './uevent.js';

/** With the device's lock held. A deferral is noted and tried again later. @kernel drivers/base/dd.c driver_probe_device */
export const driverProbeDevice = traced(
  'driver_probe_device',
  async (driver: DriverPrivate, dev: DeviceImpl): Promise<number> => {
    const { core } = dev;
    const triggerCount = core.deferredTriggerCount;
    core.probeCount++;
    try {
      const result = await driverProbeDeviceLocked(driver, dev);
      if (result === Errno.EPROBE_DEFER || result === -Errno.EPROBE_DEFER) {
        deferredProbeAdd(dev);
        if (triggerCount !== core.deferredTriggerCount) deferredProbeTrigger(core);
      }
      return result;
    } finally {
      core.probeCount--;
      wakeUpAll(core.probeWaitqueue);
    }
  },
);

/** With the device's lock held. @kernel drivers/base/dd.c __driver_probe_device */
export const driverProbeDeviceLocked = traced(
  '__driver_probe_device',
  async (driver: DriverPrivate, dev: DeviceImpl): Promise<number> => {
    if (dev.dead || !dev.registered) return -Errno.ENODEV;
    if (dev.driver !== null) return -Errno.EBUSY;
    return reallyProbe(dev, driver);
  },
);

/** @kernel drivers/base/dd.c really_probe */
const reallyProbe = traced('really_probe', async (dev: DeviceImpl, driver: DriverPrivate): Promise<number> => {
  if (dev.devres.length > 0) {
    log(dev.core, 'crit', `${devPrefix(dev)}: Resources present before probing`);
    return -Errno.EBUSY;
  }
  dev.driver = driver.drv;
  try {
    configureDma(dev);
    addSysfs(dev, driver);
    await callDriverProbe(dev, driver);
  } catch (error) {
    if (!KernelError.is(error)) throw error;
    driverSysfsRemove(dev, driver);
    await deviceUnbindCleanup(dev);
    return -error.errno;
  }
  driverBound(dev, driver);
  return 0;
});

function configureDma(dev: DeviceImpl): void {
  if (dev.core.era.dmaConfigure === 'core') dmaConfigure(dev);
  else dev.bus?.dmaConfigure?.(dev);
}

/** @kernel drivers/base/dma-mapping.c dma_configure */
const dmaConfigure = traced('dma_configure', (dev: DeviceImpl): void => dev.bus?.dmaConfigure?.(dev));

function addSysfs(dev: DeviceImpl, driver: DriverPrivate): void {
  try {
    driverSysfsAdd(dev, driver);
  } catch (error) {
    log(dev.core, 'err', `really_probe: driver_sysfs_add(${dev.name}) failed`);
    throw error;
  }
}

/** @kernel drivers/base/dd.c driver_sysfs_add */
const driverSysfsAdd = traced('driver_sysfs_add', (dev: DeviceImpl, driver: DriverPrivate): void => {
  faultAt(dev.core, `driver_sysfs_add:${dev.name}`);
  createLink(driver.kobj, dev.name, dev.kobj);
  createLink(dev.kobj, 'driver', driver.kobj);
});

/** @kernel drivers/base/dd.c driver_sysfs_remove */
export function driverSysfsRemove(dev: DeviceImpl, driver: DriverPrivate): void {
  removeLink(driver.kobj, dev.name);
  removeLink(dev.kobj, 'driver');
}

/** Calls the bus's probe, or the driver's; a refusal is logged unless it only means "not mine". @kernel drivers/base/dd.c call_driver_probe */
async function callDriverProbe(dev: DeviceImpl, driver: DriverPrivate): Promise<void> {
  const { drv } = driver;
  try {
    if (drv.bus.probe !== undefined) await drv.bus.probe(dev);
    else if (drv.probe !== undefined) await drv.probe(dev);
  } catch (error) {
    if (KernelError.is(error)) logRefusal(dev, driver, error);
    throw error;
  }
}

function logRefusal(dev: DeviceImpl, driver: DriverPrivate, error: KernelError): void {
  const { code, errno } = error;
  if (code === 'ENODEV' || code === 'ENXIO' || code === 'EPROBE_DEFER') return;
  const { name } = driver.drv;
  if (dev.core.era.probeFailureLog === 'device') {
    log(dev.core, 'err', `${devPrefix(dev)}: probe with driver ${name} failed with error ${errno}`);
  } else {
    log(dev.core, 'warn', `${name}: probe of ${dev.name} failed with error ${errno}`);
  }
}

/** @kernel drivers/base/dd.c driver_bound */
const driverBound = traced('driver_bound', (dev: DeviceImpl, driver: DriverPrivate): void => {
  const { core } = dev;
  driver.devices.add(dev);
  deferredProbeDel(dev);
  deferredProbeTrigger(core);
  if (core.era.bindUevents) kobjectUeventEnv(dev.kobj, 'bind');
});

/** What remains of a driver on a device goes. @kernel drivers/base/dd.c device_unbind_cleanup */
export async function deviceUnbindCleanup(dev: DeviceImpl): Promise<void> {
  await devresReleaseAll(dev);
  dev.driver = null;
  dev.driverData = null;
}
