/**
 * Files of sysfs: making and removing attributes, groups and links; reading and writing them by path.
 * Kernel counterpart: fs/sysfs/file.c, fs/sysfs/group.c, fs/kernfs/file.c.
 */
import { KernelError, waitEvent, wakeUpAll } from '@nvme-stack/kernel';
import { dirOf, type KobjectImpl, warnDuplicate } from './kobject.js';
import type { Attribute, AttributeGroup, Sysfs } from './ports.js';
import { type DeviceCoreState, faultAt } from './state.js';
import { addDir, addFile, addLink, isAbove, linkText, removeNode, type SysfsNode, walk } from './sysfs-node.js';

/** @kernel fs/sysfs/file.c sysfs_create_file_ns */
export function createFile(kobj: KobjectImpl, attribute: Attribute): void {
  faultAt(kobj.core, `sysfs_create_file:${kobj.name}/${attribute.name}`);
  addAttribute(kobj.core, dirOf(kobj), attribute);
}

function addAttribute(core: DeviceCoreState, dir: SysfsNode, attribute: Attribute): void {
  if (dir.children.has(attribute.name)) warnDuplicate(core, dir, attribute.name);
  addFile(dir, attribute);
}

/** A file that is not there is passed over. @kernel fs/sysfs/file.c sysfs_remove_file_ns */
export function removeFile(kobj: KobjectImpl, attribute: Attribute): void {
  const node = kobj.node?.children.get(attribute.name);
  if (node?.attribute === attribute) removeNode(node);
}

/** All of its visible files or none. Throws EEXIST. @kernel fs/sysfs/group.c internal_create_group */
export function createGroup(kobj: KobjectImpl, group: AttributeGroup): void {
  const { core } = kobj;
  faultAt(core, `sysfs_create_group:${kobj.name}/${group.name ?? ''}`);
  const base = dirOf(kobj);
  if (group.name !== undefined && base.children.has(group.name)) warnDuplicate(core, base, group.name);
  const dir = group.name === undefined ? base : addDir(base, group.name);
  const made: SysfsNode[] = [];
  try {
    for (const attribute of group.attributes) {
      if (group.isVisible !== undefined && !group.isVisible(attribute)) continue;
      addAttribute(core, dir, attribute);
      made.push(dir.children.get(attribute.name) as SysfsNode);
    }
  } catch (error) {
    for (const node of made) removeNode(node);
    if (dir !== base) removeNode(dir);
    throw error;
  }
}

/** @kernel fs/sysfs/group.c sysfs_create_groups */
export function createGroups(kobj: KobjectImpl, groups: readonly AttributeGroup[]): void {
  let made = 0;
  try {
    for (const group of groups) {
      createGroup(kobj, group);
      made++;
    }
  } catch (error) {
    removeGroups(kobj, groups.slice(0, made));
    throw error;
  }
}

/** @kernel fs/sysfs/group.c sysfs_remove_group */
export function removeGroup(kobj: KobjectImpl, group: AttributeGroup): void {
  if (group.name === undefined) {
    for (const attribute of group.attributes) removeFile(kobj, attribute);
    return;
  }
  const dir = kobj.node?.children.get(group.name);
  if (dir !== undefined && dir.kind === 'dir') removeNode(dir);
}

/** @kernel fs/sysfs/group.c sysfs_remove_groups */
export function removeGroups(kobj: KobjectImpl, groups: readonly AttributeGroup[]): void {
  for (let i = groups.length - 1; i >= 0; i--) removeGroup(kobj, groups[i] as AttributeGroup);
}

/** @kernel fs/sysfs/symlink.c sysfs_create_link */
export function createLink(kobj: KobjectImpl, name: string, target: KobjectImpl): void {
  faultAt(kobj.core, `sysfs_create_link:${kobj.name}/${name}`);
  const dir = dirOf(kobj);
  if (dir.children.has(name)) warnDuplicate(kobj.core, dir, name);
  addLink(dir, name, dirOf(target));
}

/** A link that is not there is passed over. @kernel fs/sysfs/symlink.c sysfs_remove_link */
export function removeLink(kobj: KobjectImpl, name: string): void {
  const node = kobj.node?.children.get(name);
  if (node !== undefined && node.kind === 'link') removeNode(node);
}

/**
 * Waits until no other task is inside a file at or below `dir`. A task that removes its own file is not waited for.
 * @kernel fs/kernfs/dir.c kernfs_drain
 */
export async function drainStores(core: DeviceCoreState, dir: SysfsNode): Promise<void> {
  const self = core.kernel.ex.current;
  await waitEvent(core.storeDone, () => {
    for (const { node, task } of core.activeStores) {
      if (task !== self && (node === dir || isAbove(dir, node))) return false;
    }
    return true;
  });
}

/** Throws EISDIR, EACCES, EIO. */
function shownFile(root: SysfsNode, path: string): SysfsNode & { attribute: { show(): string } } {
  const node = walk(root, path);
  if (node.kind === 'dir') throw new KernelError('EISDIR', path);
  if ((node.mode & 0o444) === 0) throw new KernelError('EACCES', `${path} cannot be read`);
  if (node.attribute?.show === undefined) throw new KernelError('EIO', `${path} has nothing to show`);
  return node as SysfsNode & { attribute: { show(): string } };
}

/** Whoever removes the file's device waits for the reader. */
async function catFile(core: DeviceCoreState, path: string): Promise<string> {
  const { ex } = core.kernel;
  ex.mightSleep('kernfs_fop_read_iter');
  const node = shownFile(core.sysfsRoot, path);
  const active = { node, task: ex.current };
  core.activeStores.add(active);
  try {
    await node.attribute.fetch?.();
    return node.attribute.show();
  } finally {
    core.activeStores.delete(active);
    wakeUpAll(core.storeDone);
  }
}

async function writeFile(core: DeviceCoreState, path: string, text: string): Promise<void> {
  const { ex } = core.kernel;
  ex.mightSleep('kernfs_fop_write_iter');
  const node = walk(core.sysfsRoot, path);
  if (node.kind === 'dir') throw new KernelError('EISDIR', path);
  if ((node.mode & 0o222) === 0) throw new KernelError('EACCES', `${path} cannot be written`);
  const store = node.attribute?.store;
  if (store === undefined) throw new KernelError('EIO', `${path} takes nothing`);
  const active = { node, task: ex.current };
  if (node.attribute?.removesItself !== true) core.activeStores.add(active);
  try {
    await store.call(node.attribute, text);
  } finally {
    core.activeStores.delete(active);
    wakeUpAll(core.storeDone);
  }
}

/** The file tree by path. */
export function createSysfs(core: DeviceCoreState): Sysfs {
  const root = core.sysfsRoot;
  return {
    read: (path) => shownFile(root, path).attribute.show(),
    cat: (path) => catFile(core, path),
    write: (path, text) => writeFile(core, path, text),
    list: (path) => {
      const node = walk(root, path);
      if (node.kind !== 'dir') throw new KernelError('ENOTDIR', path);
      return [...node.children.keys()].sort();
    },
    readlink: (path) => {
      const node = walk(root, path, true);
      if (node.kind !== 'link') throw new KernelError('EINVAL', `${path} is not a link`);
      return linkText(node);
    },
    exists: (path) => {
      try {
        walk(root, path);
        return true;
      } catch (error) {
        if (KernelError.is(error)) return false;
        throw error;
      }
    },
    stat: (path) => {
      const { kind, mode } = walk(root, path, true);
      return { kind, mode };
    },
  };
}
