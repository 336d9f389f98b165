/**
 * Buses: who is on them, their files, and the two walks every probe starts from.
 * Kernel counterpart: drivers/base/bus.c.
 */
import { type HasKernel, type Kernel, KernelError, traced, wakeUpAll } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import { deviceAttach } from './device-attach.js';
import type { DriverPrivate } from './driver.js';
import { type KobjectImpl, kobjectCreateAndAdd, kobjectPut } from './kobject.js';
import type { Attribute, BusType, DeviceDriver } from './ports.js';
import { type DeviceCoreState, faultAt } from './state.js';
import { createFile, createGroups, createLink, removeGroups, removeLink } from './sysfs.js';
import { kobjectSynthUevent, sendUevent } from './uevent.js';

/** @kernel drivers/base/base.h subsys_private */
export class BusPrivate implements HasKernel {
  readonly kernel: Kernel;
  readonly core: DeviceCoreState;
  readonly bus: BusType;
  readonly subsys: KobjectImpl;
  readonly devicesKset: KobjectImpl;
  readonly driversKset: KobjectImpl;
  /** In order of registration; walks see what joins and skip what leaves meanwhile. */
  readonly devices = new Set<DeviceImpl>();
  readonly drivers = new Set<DriverPrivate>();
  driversAutoprobe = true;

  constructor(core: DeviceCoreState, bus: BusType, subsys: KobjectImpl, devices: KobjectImpl, drivers: KobjectImpl) {
    this.kernel = core.kernel;
    this.core = core;
    this.bus = bus;
    this.subsys = subsys;
    this.devicesKset = devices;
    this.driversKset = drivers;
  }
}

/** @kernel drivers/base/bus.c bus_register */
export function busRegister(core: DeviceCoreState, bus: BusType): void {
  faultAt(core, `bus_register:${bus.name}`);
  const subsys = kobjectCreateAndAdd(core, bus.name, core.top.bus);
  const devices = kobjectCreateAndAdd(core, 'devices', subsys);
  const drivers = kobjectCreateAndAdd(core, 'drivers', subsys);
  const priv = new BusPrivate(core, bus, subsys, devices, drivers);
  for (const attribute of busAttributes(priv)) createFile(subsys, attribute);
  createGroups(subsys, bus.busGroups ?? []);
  core.buses.set(bus, priv);
  sendUevent(subsys, 'add');
}

/** Throws EBUSY while devices or drivers are on it. @kernel drivers/base/bus.c bus_unregister */
export function busUnregister(core: DeviceCoreState, bus: BusType): void {
  const priv = core.buses.get(bus);
  if (priv === undefined) return;
  if (priv.devices.size > 0 || priv.drivers.size > 0) {
    throw new KernelError(
      'EBUSY',
      `bus ${bus.name}: ${priv.devices.size} devices and ${priv.drivers.size} drivers are on it`,
    );
  }
  core.buses.delete(bus);
  removeGroups(priv.subsys, bus.busGroups ?? []);
  kobjectPut(priv.driversKset);
  kobjectPut(priv.devicesKset);
  kobjectPut(priv.subsys);
}

function busAttributes(priv: BusPrivate): readonly Attribute[] {
  return [
    { name: 'uevent', mode: 0o200, store: (text) => kobjectSynthUevent(priv.subsys, text) },
    { name: 'drivers_probe', mode: 0o200, store: (text) => driversProbeStore(priv, text) },
    {
      name: 'drivers_autoprobe',
      mode: 0o644,
      show: () => (priv.driversAutoprobe ? '1\n' : '0\n'),
      store: (text) => {
        priv.driversAutoprobe = !text.startsWith('0');
      },
    },
  ];
}

/** @kernel drivers/base/bus.c drivers_probe_store */
async function driversProbeStore(priv: BusPrivate, text: string): Promise<void> {
  const dev = busFindDevice(priv, text.trim());
  if (dev === null) throw new KernelError('ENODEV', `no device '${text.trim()}' on bus ${priv.bus.name}`);
  if (dev.driver === null) await deviceAttach(dev);
}

/** @kernel include/linux/device/bus.h bus_find_device_by_name */
export function busFindDevice(priv: BusPrivate, name: string): DeviceImpl | null {
  for (const dev of priv.devices) if (dev.name === name) return dev;
  return null;
}

/** The bus's private part; null when nobody registered it. @kernel drivers/base/bus.c bus_to_subsys */
export function busPrivate(core: DeviceCoreState, bus: BusType): BusPrivate | null {
  return core.buses.get(bus) ?? null;
}

/** Calls `fn` for every device, in order, until it says stop. @kernel drivers/base/bus.c bus_for_each_dev */
export const busForEachDev = traced(
  'bus_for_each_dev',
  async (priv: BusPrivate, driver: DriverPrivate, fn: (driver: DriverPrivate, dev: DeviceImpl) => Promise<void>) => {
    for (const dev of priv.devices) await fn(driver, dev);
  },
);

/**
 * Calls `fn` for every driver, in order, until it returns something other than 0. A driver cannot leave the bus while
 * a walk stands at it.
 * @kernel drivers/base/bus.c bus_for_each_drv
 */
export const busForEachDrv = traced(
  'bus_for_each_drv',
  async (priv: BusPrivate, fn: (driver: DriverPrivate) => Promise<number>): Promise<number> => {
    for (const driver of priv.drivers) {
      driver.walkers++;
      try {
        const result = await fn(driver);
        if (result !== 0) return result;
      } finally {
        driver.walkers--;
        wakeUpAll(driver.walkersGone);
      }
    }
    return 0;
  },
);

/** Whether this driver takes this device, asked of the bus. @kernel drivers/base/base.h driver_match_device */
export function driverMatchDevice(drv: DeviceDriver, dev: DeviceImpl): boolean {
  return drv.bus.match(dev, drv) && dev.matchDriver;
}

/** The bus's groups, its links to the device and back. @kernel drivers/base/bus.c bus_add_device */
export function busAddDevice(dev: DeviceImpl): void {
  const priv = dev.bus === null ? null : busPrivate(dev.core, dev.bus);
  if (priv === null) return;
  createGroups(dev.kobj, priv.bus.devGroups ?? []);
  try {
    createLink(priv.devicesKset, dev.name, dev.kobj);
    if (dev.class === null) createLink(dev.kobj, 'subsystem', priv.subsys);
  } catch (error) {
    removeLink(priv.devicesKset, dev.name);
    removeGroups(dev.kobj, priv.bus.devGroups ?? []);
    throw error;
  }
  priv.devices.add(dev);
}

/** Takes back `busAddDevice`; its driver is unbound by the caller. @kernel drivers/base/bus.c bus_remove_device */
export function busRemoveDevice(dev: DeviceImpl): void {
  const priv = dev.bus === null ? null : busPrivate(dev.core, dev.bus);
  if (priv === null) return;
  if (dev.class === null) removeLink(dev.kobj, 'subsystem');
  removeLink(priv.devicesKset, dev.name);
  removeGroups(dev.kobj, priv.bus.devGroups ?? []);
  priv.devices.delete(dev);
}
