/**
 * Claims on an address space, as a tree: windows contain devices' ranges, which contain drivers' claims.
 * Kernel counterpart: kernel/resource.c.
 */
import type { Resource, ResourceTree } from './ports.js';

/** @kernel include/linux/ioport.h IORESOURCE_IO */
export const IORESOURCE_IO = 0x100;
export const IORESOURCE_MEM = 0x200;
/** A driver has claimed it: nothing may be claimed inside. */
export const IORESOURCE_BUSY = 0x80000000;

/** How deep /proc/iomem looks. */
const MAX_SHOWN_DEPTH = 5;

class ResourceNode implements Resource {
  readonly name: string;
  readonly start: number;
  readonly end: number;
  readonly flags: number;
  readonly children: ResourceNode[] = [];
  parent: ResourceNode | null = null;

  constructor(name: string, start: number, end: number, flags: number) {
    this.name = name;
    this.start = start;
    this.end = end;
    this.flags = flags;
  }

  /** Inserts `child` among its siblings by address; returns the resource in its way, which may be this, or null. */
  insert(child: ResourceNode): ResourceNode | null {
    if (child.end < child.start || child.start < this.start || child.end > this.end) return this;
    let position = 0;
    while (position < this.children.length) {
      const sibling = this.children[position] as ResourceNode;
      if (sibling.start > child.end) break;
      if (sibling.end >= child.start) return sibling;
      position++;
    }
    this.children.splice(position, 0, child);
    child.parent = this;
    return null;
  }
}

class ResourceTreeImpl implements ResourceTree {
  readonly root: ResourceNode;

  constructor(name: string, sizeBytes: number) {
    this.root = new ResourceNode(name, 0, sizeBytes - 1, 0);
  }

  request(name: string, start: number, sizeBytes: number, flags: number, parent?: Resource): Resource | null {
    const node = new ResourceNode(name, start, start + sizeBytes - 1, flags >>> 0);
    let under = (parent as ResourceNode | undefined) ?? this.root;
    for (;;) {
      const conflict = under.insert(node);
      if (conflict === null) return node;
      // A driver's claim (request_region) goes inside what describes the range; any other claim is strict.
      if (conflict === under || !isBusy(node) || isBusy(conflict)) return null;
      under = conflict;
    }
  }

  release(resource: Resource): void {
    const node = resource as ResourceNode;
    const siblings = node.parent?.children ?? [];
    const position = siblings.indexOf(node);
    if (position < 0) {
      throw new Error(
        `release of resource ${node.name} [${hex(node.start, 8)}-${hex(node.end, 8)}], which is not claimed`,
      );
    }
    siblings.splice(position, 1);
    node.parent = null;
  }

  show(): string {
    const width = this.root.end < 0x10000 ? 4 : 8;
    const lines: string[] = [];
    const visit = (node: ResourceNode, depth: number): void => {
      for (const child of node.children) {
        lines.push(`${'  '.repeat(depth)}${hex(child.start, width)}-${hex(child.end, width)} : ${child.name}\n`);
        if (depth + 1 < MAX_SHOWN_DEPTH) visit(child, depth + 1);
      }
    };
    visit(this.root, 0);
    return lines.join('');
  }
}

function isBusy(resource: Resource): boolean {
  return resource.flags >= IORESOURCE_BUSY;
}

function hex(address: number, width: number): string {
  return address.toString(16).padStart(width, '0');
}

/**
 * Makes the tree of an address space of `sizeBytes`. A claim with IORESOURCE_BUSY descends into resources that are
 * not busy, as `request_mem_region` does; one without is strict, as `request_resource` is. Any context.
 * @kernel kernel/resource.c iomem_resource
 */
export function createResourceTree(name: string, sizeBytes: number): ResourceTree {
  return new ResourceTreeImpl(name, sizeBytes);
}
