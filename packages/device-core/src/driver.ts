/**
 * Drivers: registration, their files, and how they leave.
 * Kernel counterpart: drivers/base/driver.c, bus_add_driver and bus_remove_driver in drivers/base/bus.c.
 */
import { type HasKernel, type Kernel, KernelError, traced, WaitQueue, waitEvent } from '@nvme-stack/kernel';
import { type BusPrivate, busPrivate } from './bus.js';
import type { DeviceImpl } from './device.js';
import { driverAllowsAsyncProbing, driverAttach, driverAttachAsync, driverDetach } from './driver-attach.js';
import { bindAttribute, driverUeventAttribute, unbindAttribute } from './driver-files.js';
import { type KobjectImpl, kobjectCreateAndAdd, kobjectPut } from './kobject.js';
import { moduleAddDriver, moduleRemoveDriver } from './module-links.js';
import type { Attribute, AttributeGroup, DeviceDriver } from './ports.js';
import { type DeviceCoreState, faultAt, log } from './state.js';
import { createFile, createGroups, drainStores, removeFile, removeGroups } from './sysfs.js';
import { kobjectUeventEnv } from './uevent.js';

/** @kernel drivers/base/base.h driver_private */
export class DriverPrivate implements HasKernel {
  readonly kernel: Kernel;
  readonly core: DeviceCoreState;
  readonly drv: DeviceDriver;
  readonly bus: BusPrivate;
  readonly kobj: KobjectImpl;
  /** Bound devices, in order of binding. */
  readonly devices = new Set<DeviceImpl>();
  /** Walks over the bus's drivers that stand at this one. */
  walkers = 0;
  readonly walkersGone: WaitQueue;
  readonly files: readonly Attribute[];
  readonly busGroups: readonly AttributeGroup[];

  constructor(bus: BusPrivate, drv: DeviceDriver, kobj: KobjectImpl) {
    this.kernel = bus.kernel;
    this.core = bus.core;
    this.drv = drv;
    this.bus = bus;
    this.kobj = kobj;
    this.walkersGone = new WaitQueue(bus.kernel, `walks at driver ${drv.name}`);
    this.files = [driverUeventAttribute(this), unbindAttribute(this), bindAttribute(this)];
    this.busGroups = [{ attributes: bus.bus.driverAttributes?.(drv) ?? [] }];
  }
}

/** @kernel drivers/base/driver.c driver_register */
export const driverRegister = traced(
  'driver_register',
  async (core: DeviceCoreState, drv: DeviceDriver): Promise<void> => {
    const bus = requireBus(core, drv);
    warnOnClash(core, drv);
    if (driverFind(bus, drv.name) !== null) {
      log(core, 'err', `Error: Driver '${drv.name}' is already registered, aborting...`);
      throw new KernelError('EBUSY', `driver '${drv.name}' is registered on bus ${drv.bus.name} already`);
    }
    const driver = await busAddDriver(bus, drv);
    try {
      // The compiler inlines driver_add_groups here, so that the call graph shows only bus_add_driver's.
      faultAt(core, `driver_register/driver_add_groups:${drv.name}`);
      createGroups(driver.kobj, drv.groups ?? []);
    } catch (error) {
      await busRemoveDriver(driver);
      throw error;
    }
    kobjectUeventEnv(driver.kobj, 'add');
  },
);

function requireBus(core: DeviceCoreState, drv: DeviceDriver): BusPrivate {
  const bus = busPrivate(core, drv.bus);
  if (bus !== null) return bus;
  if (core.era.unregisteredBus === 'bug') {
    core.kernel.ex.bug(`driver_register: driver '${drv.name}' for bus '${drv.bus.name}', which is not registered`);
  }
  log(
    core,
    'err',
    `Driver '${drv.name}' was unable to register with bus_type '${drv.bus.name}' because the bus was not initialized.`,
  );
  throw new KernelError('EINVAL', `bus ${drv.bus.name} is not registered`);
}

function warnOnClash(core: DeviceCoreState, drv: DeviceDriver): void {
  const { bus } = drv;
  const clash =
    (bus.probe !== undefined && drv.probe !== undefined) ||
    (bus.remove !== undefined && drv.remove !== undefined) ||
    (bus.shutdown !== undefined && drv.shutdown !== undefined);
  if (clash) log(core, 'warn', `Driver '${drv.name}' needs updating - please use bus_type methods`);
}

/** @kernel drivers/base/driver.c driver_find */
export const driverFind = traced('driver_find', (bus: BusPrivate, name: string): DriverPrivate | null => {
  for (const driver of bus.drivers) if (driver.drv.name === name) return driver;
  return null;
});

/** Probing happens in here, before the driver has any file and before user space hears of it. @kernel drivers/base/bus.c bus_add_driver */
const busAddDriver = traced('bus_add_driver', async (bus: BusPrivate, drv: DeviceDriver): Promise<DriverPrivate> => {
  const { core } = bus;
  faultAt(core, `bus_add_driver:${drv.name}`);
  const driver = new DriverPrivate(bus, drv, kobjectCreateAndAdd(core, drv.name, bus.driversKset));
  bus.drivers.add(driver);
  core.drivers.set(drv, driver);
  try {
    if (bus.driversAutoprobe) await attachAll(driver);
    moduleAddDriver(driver);
  } catch (error) {
    await driverDetach(driver);
    forgetDriver(driver);
    throw error;
  }
  const [uevent, ...bindFiles] = driver.files;
  orLog(core, `uevent attr (${drv.name}) failed`, () => driverCreateFile(driver, uevent as Attribute));
  orLog(core, `driver_add_groups(${drv.name}) failed`, () => driverAddGroups(driver, driver.busGroups));
  orLog(core, `add_bind_files(${drv.name}) failed`, () => {
    for (const file of bindFiles) driverCreateFile(driver, file);
  });
  return driver;
});

async function attachAll(driver: DriverPrivate): Promise<void> {
  if (driver.core.era.asyncProbeOf === 'driver' && driverAllowsAsyncProbing(driver)) {
    driver.core.workqueues.asyncScheduleNode(driverAttachAsync, driver, -1);
    return;
  }
  await driverAttach(driver);
}

/** A driver without one of its files goes on: the log says so. */
function orLog(core: DeviceCoreState, what: string, step: () => void): void {
  try {
    step();
  } catch (error) {
    if (!KernelError.is(error)) throw error;
    log(core, 'err', `bus_add_driver: ${what}`);
  }
}

/** @kernel drivers/base/driver.c driver_create_file */
const driverCreateFile = traced('driver_create_file', (driver: DriverPrivate, attribute: Attribute): void => {
  createFile(driver.kobj, attribute);
});

/** @kernel drivers/base/driver.c driver_add_groups */
const driverAddGroups = traced(
  'driver_add_groups',
  (driver: DriverPrivate, groups: readonly AttributeGroup[]): void => {
    faultAt(driver.core, `bus_add_driver/driver_add_groups:${driver.drv.name}`);
    createGroups(driver.kobj, groups);
  },
);

/** Unbinds every device before it returns. @kernel drivers/base/driver.c driver_unregister */
export const driverUnregister = traced(
  'driver_unregister',
  async (core: DeviceCoreState, drv: DeviceDriver): Promise<void> => {
    const driver = core.drivers.get(drv);
    if (driver === undefined) {
      log(core, 'warn', 'Unexpected driver unregister!');
      return;
    }
    removeGroups(driver.kobj, drv.groups ?? []);
    await busRemoveDriver(driver);
  },
);

/** @kernel drivers/base/bus.c bus_remove_driver */
const busRemoveDriver = traced('bus_remove_driver', async (driver: DriverPrivate): Promise<void> => {
  const [uevent, unbind, bind] = driver.files;
  removeFile(driver.kobj, bind as Attribute);
  removeFile(driver.kobj, unbind as Attribute);
  if (driver.kobj.node !== null) await drainStores(driver.core, driver.kobj.node);
  removeGroups(driver.kobj, driver.busGroups);
  removeFile(driver.kobj, uevent as Attribute);
  driver.bus.drivers.delete(driver);
  await waitEvent(driver.walkersGone, () => driver.walkers === 0);
  await driverDetach(driver);
  moduleRemoveDriver(driver);
  forgetDriver(driver);
});

function forgetDriver(driver: DriverPrivate): void {
  driver.bus.drivers.delete(driver);
  driver.core.drivers.delete(driver.drv);
  kobjectPut(driver.kobj);
}
