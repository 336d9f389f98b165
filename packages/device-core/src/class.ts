/**
 * Classes: what devices are to user space, the links below /sys/class, and the directory that groups a class's
 * devices below a parent of no class.
 * Kernel counterpart: drivers/base/class.c; get_device_parent and device_add_class_symlinks in drivers/base/core.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import { type KobjectImpl, kobjectCreateAndAdd, kobjectPut } from './kobject.js';
import type { DeviceClass } from './ports.js';
import { type DeviceCoreState, faultAt } from './state.js';
import { createLink, removeLink } from './sysfs.js';
import { sendUevent } from './uevent.js';

/** @kernel drivers/base/base.h subsys_private */
export class ClassPrivate {
  readonly subsys: KobjectImpl;
  readonly devices = new Set<DeviceImpl>();
  /** Directories named after the class, by the kobject they stand below. @kernel drivers/base/base.h glue_dirs */
  readonly glueDirs = new Map<KobjectImpl, KobjectImpl>();

  constructor(subsys: KobjectImpl) {
    this.subsys = subsys;
  }
}

/** @kernel drivers/base/class.c class_register */
export function classRegister(core: DeviceCoreState, cls: DeviceClass): void {
  faultAt(core, `class_register:${cls.name}`);
  const subsys = kobjectCreateAndAdd(core, cls.name, core.top.class);
  core.classes.set(cls, new ClassPrivate(subsys));
  sendUevent(subsys, 'add');
}

/** Throws EBUSY while it has devices. @kernel drivers/base/class.c class_unregister */
export function classUnregister(core: DeviceCoreState, cls: DeviceClass): void {
  const priv = core.classes.get(cls);
  if (priv === undefined) return;
  if (priv.devices.size > 0) throw new KernelError('EBUSY', `class ${cls.name} has ${priv.devices.size} devices`);
  core.classes.delete(cls);
  kobjectPut(priv.subsys);
}

function classPrivate(dev: DeviceImpl): ClassPrivate | null {
  return dev.class === null ? null : (dev.core.classes.get(dev.class) ?? null);
}

/** Where a device of a class stands: below a parent of a class directly, else in a directory named after its own. @kernel drivers/base/core.c get_device_parent */
export function classParent(dev: DeviceImpl, cls: DeviceClass): KobjectImpl {
  const { core, parent } = dev;
  const priv = core.classes.get(cls);
  if (priv === undefined) throw new KernelError('EINVAL', `class ${cls.name} is not registered`);
  if (parent !== null && parent.class !== null) return parent.kobj;
  const above = parent === null ? virtualDir(core) : parent.kobj;
  let glue = priv.glueDirs.get(above);
  if (glue === undefined) {
    glue = kobjectCreateAndAdd(core, cls.name, above);
    priv.glueDirs.set(above, glue);
  }
  return glue;
}

/** Made when first needed and never taken away, so it counts as no leak. @kernel drivers/base/core.c virtual_device_parent */
function virtualDir(core: DeviceCoreState): KobjectImpl {
  core.virtualDir ??= kobjectCreateAndAdd(core, 'virtual', core.top.devices, false);
  return core.virtualDir;
}

/** The directory named after a class goes with its last device. @kernel drivers/base/core.c cleanup_glue_dir */
export function cleanupGlueDir(dev: DeviceImpl): void {
  const glue = dev.kobj.parent;
  const priv = classPrivate(dev);
  if (glue === null || priv === null || glue.parent === null || priv.glueDirs.get(glue.parent) !== glue) return;
  if (glue.node === null || glue.node.children.size > 0) return;
  priv.glueDirs.delete(glue.parent);
  kobjectPut(glue);
}

/** @kernel drivers/base/core.c device_add_class_symlinks */
export function addClassLinks(dev: DeviceImpl): void {
  const priv = classPrivate(dev);
  if (priv === null) return;
  createLink(dev.kobj, 'subsystem', priv.subsys);
  if (dev.parent !== null && dev.init.type !== 'partition') createLink(dev.kobj, 'device', dev.parent.kobj);
  createLink(priv.subsys, dev.name, dev.kobj);
}

/** @kernel drivers/base/core.c device_remove_class_symlinks */
export function removeClassLinks(dev: DeviceImpl): void {
  const priv = classPrivate(dev);
  if (priv === null) return;
  removeLink(priv.subsys, dev.name);
  removeLink(dev.kobj, 'device');
  removeLink(dev.kobj, 'subsystem');
}

/** Its place in the class's list. */
export function joinClass(dev: DeviceImpl): void {
  classPrivate(dev)?.devices.add(dev);
}

/** Takes back `joinClass`. */
export function leaveClass(dev: DeviceImpl): void {
  classPrivate(dev)?.devices.delete(dev);
}
