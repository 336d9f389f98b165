/**
 * The driver core: buses, devices, drivers and their meeting; sysfs, uevents, managed resources, power, device nodes.
 *
 * @packageDocumentation
 */
import { busPrivate, busRegister, busUnregister } from './bus.js';
import {
  addNode,
  allocChrdevRegion,
  cdevDeviceAdd,
  cdevDeviceDel,
  DevTables,
  registerBlkdev,
  removeTarget,
  showDevices,
} from './char-dev.js';
import { classRegister, classUnregister } from './class.js';
import { cpuDevInit } from './cpu.js';
import { deferredProbeWorkFunc, waitForDeviceProbe } from './deferred-probe.js';
import { type DeviceImpl, descendants, deviceInitialize, getDevice, putDevice } from './device.js';
import { deviceAdd, deviceDel } from './device-add.js';
import { deviceAttach } from './device-attach.js';
import { devmAddAction } from './devres.js';
import { driverFind, driverRegister, driverUnregister } from './driver.js';
import { chmodNode, closeFile, ioctlFile, type OpenFileImpl, openFile, statNode } from './files.js';
import { type KobjectImpl, kobjectCreateAndAdd, kobjectPut } from './kobject.js';
import type { Device, DeviceCore, Kobject, OpenFile } from './ports.js';
import { deviceShutdown, dpmResume, dpmSuspend } from './power.js';
import { deviceReleaseDriver } from './release-driver.js';
import { type DeviceCoreDeps, DeviceCoreState } from './state.js';
import { createFile, createGroup, createLink, createSysfs, removeFile, removeGroup, removeLink } from './sysfs.js';
import { kobjectUeventEnv } from './uevent.js';

export { createDmi, type DmiDeps } from './dmi.js';
export * from './ports.js';
export type { DeviceCoreDeps, DeviceCoreFaults } from './state.js';

const dev = (device: Device): DeviceImpl => device as DeviceImpl;
const kob = (kobj: Kobject): KobjectImpl => kobj as KobjectImpl;

/** The directories Linux makes at boot. @kernel drivers/base/init.c driver_init */
function createTop(core: DeviceCoreState): void {
  const top = (name: string, parent: KobjectImpl | null): KobjectImpl => kobjectCreateAndAdd(core, name, parent);
  const devDir = top('dev', null);
  core.top = {
    devices: top('devices', null),
    bus: top('bus', null),
    class: top('class', null),
    devChar: top('char', devDir),
    devBlock: top('block', devDir),
  };
}

function createState(deps: DeviceCoreDeps): DeviceCoreState {
  const core = new DeviceCoreState(deps);
  core.tables = new DevTables();
  core.deferredWork = deps.workqueues.initWork('deferred_probe_work_func', core, deferredProbeWorkFunc);
  core.kernel.trace.renameSymbols(core.era.symbols);
  core.kernel.procfs.register('/proc/devices', () => showDevices(core.tables));
  createTop(core);
  cpuDevInit(core);
  return core;
}

type Part<K extends keyof DeviceCore> = Pick<DeviceCore, K>;

function driverModel(
  core: DeviceCoreState,
): Part<
  | 'busRegister'
  | 'busUnregister'
  | 'busDevices'
  | 'busKobject'
  | 'driverRegister'
  | 'driverUnregister'
  | 'driverFind'
  | 'deviceInitialize'
  | 'deviceAdd'
  | 'deviceDel'
  | 'getDevice'
  | 'putDevice'
  | 'deviceAttach'
  | 'deviceReleaseDriver'
  | 'deviceChildren'
  | 'devmAddAction'
  | 'classRegister'
  | 'classUnregister'
  | 'classDevices'
> {
  return {
    busRegister: (bus) => busRegister(core, bus),
    busUnregister: (bus) => busUnregister(core, bus),
    busDevices: (bus) => [...(core.buses.get(bus)?.devices ?? [])],
    busKobject: (bus) => busPrivate(core, bus)?.subsys ?? null,
    driverRegister: (drv) => driverRegister(core, drv),
    driverUnregister: (drv) => driverUnregister(core, drv),
    driverFind: (name, bus) => {
      const priv = busPrivate(core, bus);
      return priv === null ? null : (driverFind(priv, name)?.drv ?? null);
    },
    deviceInitialize: (init) => deviceInitialize(core, init),
    deviceAdd: (device) => deviceAdd(dev(device)),
    deviceDel: (device) => deviceDel(dev(device)),
    getDevice: (device) => getDevice(dev(device)),
    putDevice: (device) => putDevice(dev(device)),
    deviceAttach: (device) => deviceAttach(dev(device)),
    deviceReleaseDriver: (device) => deviceReleaseDriver(dev(device)),
    deviceChildren: (device) => descendants(dev(device)),
    devmAddAction: (device, name, action) => devmAddAction(dev(device), name, action),
    classRegister: (cls) => classRegister(core, cls),
    classUnregister: (cls) => classUnregister(core, cls),
    classDevices: (cls) => [...(core.classes.get(cls)?.devices ?? [])],
  };
}

function kobjects(
  core: DeviceCoreState,
): Part<
  | 'sysfs'
  | 'kobjectCreate'
  | 'kobjectDel'
  | 'sysfsCreateFile'
  | 'sysfsRemoveFile'
  | 'sysfsCreateGroup'
  | 'sysfsRemoveGroup'
  | 'sysfsCreateLink'
  | 'sysfsRemoveLink'
  | 'kobjectUevent'
  | 'deviceUevent'
  | 'subscribeUevents'
> {
  return {
    sysfs: createSysfs(core),
    kobjectCreate: (name, parent, live) => kobjectCreateAndAdd(core, name, parent === null ? null : kob(parent), live),
    kobjectDel: (kobj) => kobjectPut(kob(kobj)),
    sysfsCreateFile: (kobj, attribute) => createFile(kob(kobj), attribute),
    sysfsRemoveFile: (kobj, attribute) => removeFile(kob(kobj), attribute),
    sysfsCreateGroup: (kobj, group) => createGroup(kob(kobj), group),
    sysfsRemoveGroup: (kobj, group) => removeGroup(kob(kobj), group),
    sysfsCreateLink: (kobj, name, target) => createLink(kob(kobj), name, kob(target)),
    sysfsRemoveLink: (kobj, name) => removeLink(kob(kobj), name),
    kobjectUevent: (kobj, action, env) => kobjectUeventEnv(kob(kobj), action, env),
    deviceUevent: (device, action, env) => kobjectUeventEnv(dev(device).kobj, action, env),
    subscribeUevents: (listener) => {
      core.ueventListeners.add(listener);
      return () => core.ueventListeners.delete(listener);
    },
  };
}

function nodesAndPower(
  core: DeviceCoreState,
): Part<
  | 'allocChrdevRegion'
  | 'unregisterChrdevRegion'
  | 'registerBlkdev'
  | 'unregisterBlkdev'
  | 'cdevDeviceAdd'
  | 'cdevDeviceDel'
  | 'addNode'
  | 'removeNode'
  | 'open'
  | 'close'
  | 'ioctl'
  | 'listNodes'
  | 'statNode'
  | 'chmodNode'
  | 'dpmSuspend'
  | 'pmSuspendViaFirmware'
  | 'dpmResume'
  | 'deviceShutdown'
  | 'waitForDeviceProbe'
> {
  const file = (opened: OpenFile): OpenFileImpl => opened as OpenFileImpl;
  return {
    allocChrdevRegion: (name, minors, major) => allocChrdevRegion(core, name, minors, major),
    unregisterChrdevRegion: (major) => void core.tables.chrdevs.delete(major),
    registerBlkdev: (name) => registerBlkdev(core, name),
    unregisterBlkdev: (major) => void core.tables.blkdevs.delete(major),
    cdevDeviceAdd: (cdev, device) => cdevDeviceAdd(dev(device), cdev),
    cdevDeviceDel: (cdev, device) => cdevDeviceDel(dev(device), cdev),
    addNode: (device, ops, container) => addNode(dev(device), ops, container),
    removeNode: (device) => removeTarget(dev(device)),
    open: (path, flags) => openFile(core, path, flags),
    close: (opened) => closeFile(file(opened)),
    ioctl: (opened, command, argument) => ioctlFile(file(opened), command, argument),
    listNodes: () => [...core.tables.nodes.keys()].sort(),
    statNode: (path) => statNode(core, path),
    chmodNode: (path, mode) => chmodNode(core, path, mode),
    dpmSuspend: (state = 'mem') => dpmSuspend(core, state),
    pmSuspendViaFirmware: () => core.suspendState === 'mem',
    dpmResume: () => dpmResume(core),
    deviceShutdown: () => deviceShutdown(core),
    waitForDeviceProbe: () => waitForDeviceProbe(core),
  };
}

/** Builds the driver core of one machine. */
export function createDeviceCore(deps: DeviceCoreDeps): DeviceCore {
  const core = createState(deps);
  return {
    kernel: deps.kernel,
    uevents: core.uevents,
    ...driverModel(core),
    ...kobjects(core),
    ...nodesAndPower(core),
  };
}
