/**
 * Kobjects: the directories of sysfs that drivers, buses, classes and devices are.
 * Kernel counterpart: lib/kobject.c.
 */
import { type HasKernel, type Kernel, KernelError } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import type { Kobject } from './ports.js';
import { type DeviceCoreState, faultAt, log } from './state.js';
import { addDir, nodePath, removeNode, type SysfsNode } from './sysfs-node.js';
import { sendUevent } from './uevent.js';

/** @kernel include/linux/kobject.h kobject */
export class KobjectImpl implements Kobject, HasKernel {
  readonly kernel: Kernel;
  readonly core: DeviceCoreState;
  readonly name: string;
  /** The device that embeds it; null for all other kobjects. */
  readonly device: DeviceImpl | null;
  parent: KobjectImpl | null;
  /** Its directory; null before it is added. */
  node: SysfsNode | null = null;
  /** Among the live objects that must be gone after rmmod. */
  counted = false;
  addUeventSent = false;
  removeUeventSent = false;

  constructor(core: DeviceCoreState, name: string, parent: KobjectImpl | null, device: DeviceImpl | null) {
    this.kernel = core.kernel;
    this.core = core;
    this.name = name;
    this.parent = parent;
    this.device = device;
  }

  get path(): string {
    if (this.node !== null) return nodePath(this.node);
    return `${this.parent === null ? '/sys' : this.parent.path}/${this.name}`;
  }
}

/** The directory of a kobject that has been added. Throws ENOENT before or after. */
export function dirOf(kobj: KobjectImpl): SysfsNode {
  if (kobj.node === null || kobj.node.removed) throw new KernelError('ENOENT', `${kobj.path} is not in sysfs`);
  return kobj.node;
}

/** Makes its directory. Throws EEXIST, ENOENT. @kernel lib/kobject.c kobject_add_internal */
export function kobjectAdd(kobj: KobjectImpl): void {
  const { core } = kobj;
  faultAt(core, `kobject_add:${kobj.name}`);
  if (kobj.name === '' || kobj.name.includes('/')) throw new KernelError('EINVAL', `kobject name '${kobj.name}'`);
  const parent = kobj.parent === null ? core.sysfsRoot : dirOf(kobj.parent);
  if (parent.children.has(kobj.name)) {
    warnDuplicate(core, parent, kobj.name);
    log(
      core,
      'err',
      `kobject: kobject_add_internal failed for ${kobj.name} with -EEXIST, don't try to register things with the same name in the same directory.`,
    );
  }
  kobj.node = addDir(parent, kobj.name);
}

/** @kernel fs/sysfs/dir.c sysfs_warn_dup */
export function warnDuplicate(core: DeviceCoreState, parent: SysfsNode, name: string): void {
  log(core, 'warn', `sysfs: cannot create duplicate filename '${nodePath(parent).slice('/sys'.length)}/${name}'`);
}

/** Takes its directory away; a `remove` uevent follows an `add` that nobody answered. @kernel lib/kobject.c kobject_del */
export function kobjectRemove(kobj: KobjectImpl): void {
  if (kobj.node === null || kobj.node.removed) return;
  if (kobj.addUeventSent && !kobj.removeUeventSent) sendUevent(kobj, 'remove');
  removeNode(kobj.node);
}

/** A directory of its own, by default counted among the live objects. @kernel lib/kobject.c kobject_create_and_add */
export function kobjectCreateAndAdd(
  core: DeviceCoreState,
  name: string,
  parent: KobjectImpl | null,
  counted = true,
): KobjectImpl {
  const kobj = new KobjectImpl(core, name, parent, null);
  kobjectAdd(kobj);
  kobj.counted = counted;
  if (counted) core.kernel.live.add('kobjects', name);
  return kobj;
}

/** Undoes `kobjectCreateAndAdd`; a second time does nothing. @kernel lib/kobject.c kobject_put */
export function kobjectPut(kobj: KobjectImpl): void {
  if (kobj.node === null || kobj.node.removed) return;
  kobjectRemove(kobj);
  if (kobj.counted) kobj.core.kernel.live.remove('kobjects', kobj.name);
}
