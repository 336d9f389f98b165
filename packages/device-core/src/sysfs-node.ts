/**
 * The tree below /sys: directories, files and links, and how a path is walked.
 * Kernel counterpart: fs/kernfs/dir.c, fs/kernfs/symlink.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { Attribute } from './ports.js';

/** @kernel include/linux/kernfs.h kernfs_node */
export class SysfsNode {
  readonly name: string;
  readonly kind: 'dir' | 'file' | 'link';
  readonly mode: number;
  readonly parent: SysfsNode | null;
  readonly children = new Map<string, SysfsNode>();
  readonly attribute: Attribute | null;
  readonly target: SysfsNode | null;
  removed = false;

  constructor(
    name: string,
    kind: 'dir' | 'file' | 'link',
    mode: number,
    parent: SysfsNode | null,
    attribute: Attribute | null,
    target: SysfsNode | null,
  ) {
    this.name = name;
    this.kind = kind;
    this.mode = mode;
    this.parent = parent;
    this.attribute = attribute;
    this.target = target;
  }
}

/** The path of a node, with `/sys`. */
export function nodePath(node: SysfsNode): string {
  return node.parent === null ? '/sys' : `${nodePath(node.parent)}/${node.name}`;
}

/** Puts a node below a directory. Throws EEXIST for a name taken. @kernel fs/kernfs/dir.c kernfs_add_one */
function addNode(parent: SysfsNode, node: SysfsNode): SysfsNode {
  if (parent.removed) throw new KernelError('ENOENT', `${nodePath(parent)} has been removed`);
  if (parent.children.has(node.name))
    throw new KernelError('EEXIST', `${nodePath(parent)}/${node.name} is there already`);
  parent.children.set(node.name, node);
  return node;
}

/** @kernel fs/kernfs/dir.c kernfs_create_dir_ns */
export function addDir(parent: SysfsNode, name: string): SysfsNode {
  return addNode(parent, new SysfsNode(name, 'dir', 0o755, parent, null, null));
}

/** @kernel fs/kernfs/file.c __kernfs_create_file */
export function addFile(parent: SysfsNode, attribute: Attribute): SysfsNode {
  return addNode(parent, new SysfsNode(attribute.name, 'file', attribute.mode, parent, attribute, null));
}

/** @kernel fs/kernfs/symlink.c kernfs_create_link */
export function addLink(parent: SysfsNode, name: string, target: SysfsNode): SysfsNode {
  return addNode(parent, new SysfsNode(name, 'link', 0o777, parent, null, target));
}

/** Takes a node and all below it out of the tree. @kernel fs/kernfs/dir.c kernfs_remove */
export function removeNode(node: SysfsNode): void {
  if (node.removed) return;
  for (const child of [...node.children.values()]) removeNode(child);
  node.removed = true;
  if (node.parent?.children.get(node.name) === node) node.parent.children.delete(node.name);
}

/** The node a path names; a link in last place is followed unless `keepLink`. Throws ENOENT, ENOTDIR. @kernel fs/namei.c link_path_walk */
export function walk(root: SysfsNode, path: string, keepLink = false): SysfsNode {
  const parts = path.split('/').filter((part) => part !== '' && part !== '.');
  if (!path.startsWith('/') || parts[0] !== 'sys') throw new KernelError('ENOENT', `${path}: not a path below /sys`);
  let node = root;
  for (let i = 1; i < parts.length; i++) {
    const part = parts[i] as string;
    if (node.kind !== 'dir') throw new KernelError('ENOTDIR', path);
    if (part === '..') {
      node = node.parent ?? root;
      continue;
    }
    const child = node.children.get(part);
    if (child === undefined) throw new KernelError('ENOENT', path);
    node = child.kind === 'link' && !(keepLink && i === parts.length - 1) ? followLink(child, path) : child;
  }
  return node;
}

function followLink(link: SysfsNode, path: string): SysfsNode {
  const target = link.target as SysfsNode;
  if (target.removed) throw new KernelError('ENOENT', `${path}: ${nodePath(link)} leads nowhere`);
  return target;
}

/** A link's text, relative to the directory it stands in. @kernel fs/kernfs/symlink.c kernfs_get_target_path */
export function linkText(link: SysfsNode): string {
  const target = link.target as SysfsNode;
  let up = '';
  let base = link.parent as SysfsNode;
  while (base.parent !== null && !isAbove(base, target)) {
    up += '../';
    base = base.parent;
  }
  return up + nodePath(target).slice(nodePath(base).length + 1);
}

/** Whether `base` is a proper ancestor of `node`. */
export function isAbove(base: SysfsNode, node: SysfsNode): boolean {
  for (let at = node.parent; at !== null; at = at.parent) if (at === base) return true;
  return false;
}
