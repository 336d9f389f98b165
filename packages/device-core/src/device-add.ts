/**
 * A device becomes visible, is offered to drivers, and goes again.
 * Kernel counterpart: device_add and device_del in drivers/base/core.c.
 */
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import { busAddDevice, busRemoveDevice } from './bus.js';
import { createDevNode, removeDevNode } from './char-dev.js';
import { addClassLinks, classParent, cleanupGlueDir, joinClass, leaveClass, removeClassLinks } from './class.js';
import { deferredProbeDel } from './deferred-probe.js';
import { type DeviceImpl, getDevice, putDevice } from './device.js';
import { busProbeDevice } from './device-attach.js';
import { devresReleaseAll } from './devres.js';
import { type KobjectImpl, kobjectAdd, kobjectRemove } from './kobject.js';
import type { Attribute, AttributeGroup } from './ports.js';
import { powerGroup } from './power-files.js';
import { deviceReleaseDriver } from './release-driver.js';
import { faultAt } from './state.js';
import { createFile, createGroup, createGroups, createLink, drainStores, removeGroups, removeLink } from './sysfs.js';
import { deviceEnv, kobjectSynthUevent, kobjectUeventEnv } from './uevent.js';

/** @kernel drivers/base/core.c device_add */
export const deviceAdd = traced('device_add', async (dev: DeviceImpl): Promise<void> => {
  if (dev.registered) throw new KernelError('EEXIST', `device ${dev.name} is registered already`);
  faultAt(dev.core, `device_add:${dev.name}`);
  getDevice(dev);
  if (dev.parent !== null) getDevice(dev.parent);
  try {
    addToSysfs(dev);
  } catch (error) {
    if (dev.parent !== null) putDevice(dev.parent);
    putDevice(dev);
    throw error;
  }
  dev.registered = true;
  dev.core.devices.add(dev);
  kobjectUeventEnv(dev.kobj, 'add');
  await busProbeDevice(dev);
  dev.parent?.children.add(dev);
  joinClass(dev);
});

/** The steps that can fail; one that does undoes those before it. */
function addToSysfs(dev: DeviceImpl): void {
  dev.kobj.parent = deviceParent(dev);
  if (dev.parent !== null && dev.numaNode < 0) dev.numaNode = dev.parent.numaNode;
  const undo: (() => void)[] = [() => cleanupGlueDir(dev)];
  try {
    kobjectAdd(dev.kobj);
    undo.push(() => kobjectRemove(dev.kobj));
    createFile(dev.kobj, ueventAttribute(dev));
    addClassLinks(dev);
    undo.push(() => removeClassLinks(dev));
    createGroups(dev.kobj, deviceGroups(dev));
    busAddDevice(dev);
    undo.push(() => busRemoveDevice(dev));
    createGroup(dev.kobj, powerGroup(dev));
    if (dev.devt !== null) addDevT(dev);
  } catch (error) {
    for (let i = undo.length - 1; i >= 0; i--) undo[i]?.();
    dev.kobj.node = null;
    throw error;
  }
}

/** The kobject it stands below. @kernel drivers/base/core.c get_device_parent */
function deviceParent(dev: DeviceImpl): KobjectImpl {
  if (dev.class !== null && dev.init.noSysfsParentDir !== true) return classParent(dev, dev.class);
  return dev.parent?.kobj ?? dev.core.top.devices;
}

function deviceGroups(dev: DeviceImpl): readonly AttributeGroup[] {
  return [...(dev.class?.devGroups ?? []), ...(dev.init.groups ?? [])];
}

/** @kernel drivers/base/core.c uevent_show, uevent_store */
function ueventAttribute(dev: DeviceImpl): Attribute {
  return {
    name: 'uevent',
    mode: 0o644,
    show: () =>
      Object.entries(deviceEnv(dev))
        .map(([key, value]) => `${key}=${value}\n`)
        .join(''),
    store: (text) => kobjectSynthUevent(dev.kobj, text),
  };
}

/** Its number, in its directory and below /sys/dev, and its node. */
function addDevT(dev: DeviceImpl): void {
  createFile(dev.kobj, { name: 'dev', mode: 0o444, show: () => `${devtName(dev)}\n` });
  createLink(devtDir(dev), devtName(dev), dev.kobj);
  try {
    createDevNode(dev);
  } catch (error) {
    removeLink(devtDir(dev), devtName(dev));
    throw error;
  }
}

function devtName(dev: DeviceImpl): string {
  return `${dev.devt?.major}:${dev.devt?.minor}`;
}

/** @kernel drivers/base/core.c device_to_dev_kobj */
function devtDir(dev: DeviceImpl): KobjectImpl {
  return dev.class?.name === 'block' ? dev.core.top.devBlock : dev.core.top.devChar;
}

/** Stores under way in its files are waited for, except the caller's own. @kernel drivers/base/core.c device_del */
export const deviceDel = traced('device_del', async (dev: DeviceImpl): Promise<void> => {
  const { node } = dev.kobj;
  if (!dev.registered || node === null) throw new KernelError('ENODEV', `device ${dev.name} is not registered`);
  await withMutex(dev.lock, async () => {
    dev.dead = true;
  });
  dev.parent?.children.delete(dev);
  if (dev.devt !== null) {
    removeDevNode(dev);
    removeLink(devtDir(dev), devtName(dev));
  }
  leaveClass(dev);
  removeClassLinks(dev);
  removeGroups(dev.kobj, deviceGroups(dev));
  await drainStores(dev.core, node);
  busRemoveDevice(dev);
  await deviceReleaseDriver(dev);
  await devresReleaseAll(dev);
  dev.core.devices.delete(dev);
  deferredProbeDel(dev);
  kobjectUeventEnv(dev.kobj, 'remove');
  dev.registered = false;
  kobjectRemove(dev.kobj);
  cleanupGlueDir(dev);
  if (dev.parent !== null) putDevice(dev.parent);
  putDevice(dev);
});
