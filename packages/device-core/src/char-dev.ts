/**
 * Device numbers, what stands behind them, and the nodes below /dev.
 * Kernel counterpart: fs/char_dev.c, register_blkdev in block/genhd.c, drivers/base/devtmpfs.c.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import type { DeviceImpl } from './device.js';
import { deviceAdd, deviceDel } from './device-add.js';
import type { Cdev, DevT, FileOperations } from './ports.js';
import { type DeviceCoreState, faultAt } from './state.js';

/** Dynamic character majors: first from the top of the old range, then of the extended one. @kernel include/linux/fs.h CHRDEV_MAJOR_DYN_END */
const CHRDEV_RANGES: readonly (readonly [number, number])[] = [
  [254, 234],
  [511, 384],
];
/** @kernel include/linux/fs.h CHRDEV_MAJOR_MAX */
const CHRDEV_MAJOR_MAX = 511;
/** Dynamic block majors, from above. @kernel block/genhd.c register_blkdev */
const BLKDEV_RANGES: readonly (readonly [number, number])[] = [[254, 1]];
/** Names with a number of their own. @kernel include/uapi/linux/major.h BLOCK_EXT_MAJOR */
const FIXED_BLOCK_MAJORS: Readonly<Record<string, number>> = { blkext: 259 };

/** What opening a device number reaches. */
export interface NodeTarget {
  readonly ops: FileOperations;
  readonly container: unknown;
  readonly dev: DeviceImpl;
}

/** The tables of device numbers and nodes. */
export class DevTables {
  readonly chrdevs = new Map<number, string>();
  readonly blkdevs = new Map<number, string>();
  /** By `major:minor`. @kernel fs/char_dev.c cdev_map */
  readonly chrTargets = new Map<string, NodeTarget>();
  readonly blkTargets = new Map<string, NodeTarget>();
  /** Nodes below /dev by name. */
  readonly nodes = new Map<string, DeviceImpl>();
}

function freeMajor(taken: Map<number, string>, ranges: readonly (readonly [number, number])[], name: string): number {
  for (const [from, to] of ranges) {
    for (let major = from; major >= to; major--) if (!taken.has(major)) return major;
  }
  throw new KernelError('EBUSY', `no major number is left for ${name}`);
}

/** A free major number, or the one asked for. Throws EBUSY, EINVAL. @kernel fs/char_dev.c alloc_chrdev_region, register_chrdev_region */
export function allocChrdevRegion(core: DeviceCoreState, name: string, minors: number, wanted = 0): number {
  const { chrdevs } = core.tables;
  if (!(wanted >= 0 && wanted <= CHRDEV_MAJOR_MAX))
    throw new KernelError('EINVAL', `${name}: major ${wanted}; allowed are 0 to ${CHRDEV_MAJOR_MAX}`);
  if (!(minors >= 1 && minors <= 1 << 20))
    throw new KernelError('EINVAL', `${name}: ${minors} minors; allowed are 1 to 1048576`);
  faultAt(core, `alloc_chrdev_region:${name}`);
  if (chrdevs.has(wanted))
    throw new KernelError('EBUSY', `character major ${wanted} belongs to ${chrdevs.get(wanted)}`);
  const major = wanted === 0 ? freeMajor(chrdevs, CHRDEV_RANGES, name) : wanted;
  chrdevs.set(major, name);
  return major;
}

/** @kernel block/genhd.c register_blkdev */
export function registerBlkdev(core: DeviceCoreState, name: string): number {
  faultAt(core, `register_blkdev:${name}`);
  const { blkdevs } = core.tables;
  const major = FIXED_BLOCK_MAJORS[name] ?? freeMajor(blkdevs, BLKDEV_RANGES, name);
  if (blkdevs.has(major)) throw new KernelError('EBUSY', `block major ${major} belongs to ${blkdevs.get(major)}`);
  blkdevs.set(major, name);
  return major;
}

/** @kernel fs/proc/devices.c devinfo_show */
export function showDevices({ chrdevs, blkdevs }: DevTables): string {
  const rows = (table: Map<number, string>): string =>
    [...table]
      .sort(([a], [b]) => a - b)
      .map(([major, name]) => `${String(major).padStart(3)} ${name}\n`)
      .join('');
  return `Character devices:\n${rows(chrdevs)}\nBlock devices:\n${rows(blkdevs)}`;
}

function key(devt: DevT): string {
  return `${devt.major}:${devt.minor}`;
}

/** @kernel drivers/base/devtmpfs.c devtmpfs_create_node */
export function createDevNode(dev: DeviceImpl): void {
  const { nodes } = dev.core.tables;
  if (nodes.has(dev.nodeName)) throw new KernelError('EEXIST', `/dev/${dev.nodeName}`);
  nodes.set(dev.nodeName, dev);
}

/** @kernel drivers/base/devtmpfs.c devtmpfs_delete_node */
export function removeDevNode(dev: DeviceImpl): void {
  const { nodes } = dev.core.tables;
  if (nodes.get(dev.nodeName) === dev) nodes.delete(dev.nodeName);
}

/** What is behind a node; null when nothing answers. */
export function targetOf(dev: DeviceImpl): NodeTarget | null {
  if (dev.devt === null) return null;
  const { chrTargets, blkTargets } = dev.core.tables;
  const target = (dev.class?.name === 'block' ? blkTargets : chrTargets).get(key(dev.devt));
  return target ?? null;
}

/** @kernel fs/char_dev.c cdev_add */
function cdevAdd(cdev: Cdev, dev: DeviceImpl, devt: DevT): void {
  const { chrTargets } = dev.core.tables;
  faultAt(dev.core, `cdev_add:${dev.name}`);
  if (chrTargets.has(key(devt))) throw new KernelError('EBUSY', `character device ${key(devt)} is taken`);
  chrTargets.set(key(devt), { ops: cdev.ops, container: cdev.container, dev });
}

/** @kernel fs/char_dev.c cdev_del */
function cdevDel(dev: DeviceImpl, devt: DevT): void {
  dev.core.tables.chrTargets.delete(key(devt));
}

/** @kernel fs/char_dev.c cdev_device_add */
export const cdevDeviceAdd = traced('cdev_device_add', async (dev: DeviceImpl, cdev: Cdev): Promise<void> => {
  const { devt } = dev;
  if (devt !== null) cdevAdd(cdev, dev, devt);
  try {
    await deviceAdd(dev);
  } catch (error) {
    if (devt !== null) cdevDel(dev, devt);
    throw error;
  }
});

/** @kernel fs/char_dev.c cdev_device_del */
export const cdevDeviceDel = traced('cdev_device_del', async (dev: DeviceImpl, _cdev: Cdev): Promise<void> => {
  await deviceDel(dev);
  if (dev.devt !== null) cdevDel(dev, dev.devt);
});

/** Makes a block device's number reach `ops`. Throws EINVAL without a number, EBUSY. */
export function addNode(dev: DeviceImpl, ops: FileOperations, container: unknown): void {
  if (dev.devt === null) throw new KernelError('EINVAL', `device ${dev.name} has no number`);
  const { blkTargets, chrTargets } = dev.core.tables;
  const targets = dev.class?.name === 'block' ? blkTargets : chrTargets;
  if (targets.has(key(dev.devt))) throw new KernelError('EBUSY', `device number ${key(dev.devt)} is taken`);
  targets.set(key(dev.devt), { ops, container, dev });
}

/** Takes back `addNode`. */
export function removeTarget(dev: DeviceImpl): void {
  if (dev.devt === null) return;
  const { blkTargets, chrTargets } = dev.core.tables;
  const targets = dev.class?.name === 'block' ? blkTargets : chrTargets;
  if (targets.get(key(dev.devt))?.dev === dev) targets.delete(key(dev.devt));
}
