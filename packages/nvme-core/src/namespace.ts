/**
 * A namespace: its data, references, disk and character device.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_alloc_ns, nvme_ns_remove, nvme_open, nvme_cdev_add.
 */
import type { BlockDeviceOperations, Gendisk, RequestQueue } from '@nvme-stack/blk-mq/ports';
import type { Cdev, Device } from '@nvme-stack/device-core/ports';
import { type Kernel, KernelError, mutexLock, mutexUnlock, traced, withMutex } from '@nvme-stack/kernel';
import { type Ctrl, nvmeGetCtrl, nvmePutCtrl } from './ctrl.js';
import { ioctlCaller, nvmeIoctl, nvmeNsChrIoctl } from './ioctl.js';
import { type NsHead, type NsInfo, nvmeInitNsHead, nvmePutNsHead } from './namespace-head.js';
import { namespaceAttributeGroup } from './namespace-sysfs.js';
import { nvmeUpdateNsInfo } from './namespace-update.js';
import type { NvmeNs } from './ports.js';

/** Deallocated blocks read as zeroes and write zeroes may deallocate. @kernel drivers/nvme/host/nvme.h NVME_NS_DEAC */
export const NVME_NS_DEAC = 1 << 2;

/** @kernel drivers/nvme/host/nvme.h nvme_ns */
export class Ns implements NvmeNs {
  readonly kernel: Kernel;
  readonly ctrl: Ctrl;
  readonly nsid: number;
  head!: NsHead;
  disk!: Gendisk;
  queue!: RequestQueue;
  lbaShift = 9;
  /** 2^(9 - lbaShift): a sector times this is an LBA. */
  lbaPerSector = 1;
  features = 0;
  /** Metadata bytes per block. */
  metadataBytes = 0;
  /** Protection information type, 0 for none; and whether it is all the metadata there is. */
  piType = 0;
  hasPi = false;
  /** Metadata follows each block's data in one buffer. @kernel drivers/nvme/host/nvme.h NVME_NS_EXT_LBAS */
  extendedLbas = false;
  /** Blocks in use (NUSE). */
  nuse = 0;
  ready = false;
  removing = false;
  refs = 1;
  cdev: Cdev | null = null;
  cdevDevice: Device | null = null;

  constructor(ctrl: Ctrl, nsid: number) {
    this.kernel = ctrl.kernel;
    this.ctrl = ctrl;
    this.nsid = nsid;
  }
}

/** Drops a reference; the last one frees the disk. Any task context. @kernel drivers/nvme/host/core.c nvme_put_ns */
export function nvmePutNs(ns: Ns): void {
  ns.refs--;
  if (ns.refs > 0) return;
  ns.ctrl.core.blkMq.putDisk(ns.disk);
  nvmePutNsHead(ns.head);
  nvmePutCtrl(ns.ctrl);
}

/** The namespace of that id with a reference taken, or null. @kernel drivers/nvme/host/core.c nvme_find_get_ns */
export const nvmeFindGetNs = traced('nvme_find_get_ns', (ctrl: Ctrl, nsid: number): Ns | null => {
  const ns = ctrl.namespaces.find((candidate) => candidate.nsid === nsid) as Ns | undefined;
  if (ns === undefined) return null;
  ns.refs++;
  return ns;
});

/** @kernel drivers/nvme/host/core.c nvme_ns_open */
const nvmeNsOpen = traced('nvme_ns_open', (ns: Ns): void => {
  if (ns.removing || ns.refs === 0) throw new KernelError('ENXIO', ns.disk.name);
  ns.refs++;
});

/** @kernel drivers/nvme/host/core.c nvme_open */
const nvmeOpen = traced('nvme_open', async (disk: Gendisk): Promise<void> => nvmeNsOpen(disk.private as Ns));

/** @kernel drivers/nvme/host/core.c nvme_release */
const nvmeRelease = traced('nvme_release', async (disk: Gendisk): Promise<void> => nvmePutNs(disk.private as Ns));

function blockOperations(ns: Ns): BlockDeviceOperations {
  return {
    open: nvmeOpen,
    release: nvmeRelease,
    ioctl: async (file, command, argument, partition) =>
      await nvmeIoctl(ns, command, argument, ioctlCaller(file, partition)),
  };
}

/** Completes what is known of a namespace, in kernels that ask only once its queue is there; NVMe status, or a negative errno. */
export type Identify = (info: NsInfo) => Promise<number>;

/** Makes the namespace of `info` and its disk; a failure leaves nothing. Task context. @kernel drivers/nvme/host/core.c nvme_alloc_ns */
export const nvmeAllocNs = traced(
  'nvme_alloc_ns',
  async (ctrl: Ctrl, info: NsInfo, identify: Identify): Promise<void> => {
    const { blkMq } = ctrl.core;
    const ns = new Ns(ctrl, info.nsid);
    if (ctrl.core.era.asksP2p === 'before') ctrl.ops.supportsPciP2pdma(ctrl);
    ns.disk = blkMq.blkMqAllocDisk(ctrl.tagset as NonNullable<Ctrl['tagset']>, null, ns);
    if (ctrl.core.era.asksP2p === 'after') ctrl.ops.supportsPciP2pdma(ctrl);
    ns.queue = ns.disk.queue;
    try {
      if ((await identify(info)) !== 0) throw new KernelError('ENODEV', `${ctrl.name}: nsid ${info.nsid}`);
      ns.head = await nvmeInitNsHead(ctrl, info);
    } catch (error) {
      blkMq.putDisk(ns.disk);
      throw error;
    }
    nvmeGetCtrl(ctrl);
    try {
      await bringUp(ns, info);
    } catch (error) {
      ns.removing = true;
      nvmePutNs(ns);
      throw error;
    }
  },
);

async function bringUp(ns: Ns, info: NsInfo): Promise<void> {
  const { ctrl } = ns;
  const { blkMq } = ctrl.core;
  blkMq.setDiskName(ns.disk, `nvme${ctrl.instance}n${ns.head.instance}`, blockOperations(ns), ns);
  const status = await nvmeUpdateNsInfo(ns, info);
  if (status !== 0) throw new KernelError('EIO', `${ctrl.name}: nsid ${ns.nsid}`);
  await withMutex(ctrl.namespacesLock, async () => {
    // Between a freeze and its thaw no queue may be added: it would never be frozen, or never thawed.
    if (ctrl.frozen) throw new KernelError('EAGAIN', `${ctrl.name}: frozen`);
    const after = ctrl.namespaces.findIndex((other) => other.nsid > ns.nsid);
    ctrl.namespaces.splice(after < 0 ? ctrl.namespaces.length : after, 0, ns);
  });
  try {
    await blkMq.deviceAddDisk(ctrl.device, ns.disk, [namespaceAttributeGroup(ns)]);
  } catch (error) {
    await unlist(ns);
    throw error;
  }
  if (ctrl.core.era.genericDevices) await nvmeAddNsCdev(ns);
}

async function unlist(ns: Ns): Promise<void> {
  const { ctrl } = ns;
  await mutexLock(ctrl.namespacesLock);
  const at = ctrl.namespaces.indexOf(ns);
  if (at >= 0) ctrl.namespaces.splice(at, 1);
  mutexUnlock(ctrl.namespacesLock);
}

/** @kernel drivers/nvme/host/core.c nvme_cdev_add */
const nvmeCdevAdd = traced('nvme_cdev_add', async (ns: Ns): Promise<void> => {
  const { core, instance, device } = ns.ctrl;
  const minor = core.genericMinors.alloc();
  const cdev: Cdev = {
    container: ns,
    ops: {
      open: async () => nvmeNsOpen(ns),
      release: async () => nvmePutNs(ns),
      unlockedIoctl: async (file, command, argument) => await nvmeNsChrIoctl(ns, command, argument, ioctlCaller(file)),
    },
  };
  const dev = core.deviceCore.deviceInitialize({
    name: `ng${instance}n${ns.head.instance}`,
    parent: device,
    container: ns,
    class: core.genericClass,
    noSysfsParentDir: true,
    devt: { major: core.genericMajor, minor },
    release: () => core.genericMinors.free(minor),
  });
  try {
    await core.deviceCore.cdevDeviceAdd(cdev, dev);
  } catch (error) {
    core.deviceCore.putDevice(dev);
    throw error;
  }
  ns.cdev = cdev;
  ns.cdevDevice = dev;
});

/** A namespace without its character device is better than none. @kernel drivers/nvme/host/core.c nvme_add_ns_cdev */
async function nvmeAddNsCdev(ns: Ns): Promise<void> {
  try {
    await nvmeCdevAdd(ns);
  } catch (error) {
    if (!KernelError.is(error)) throw error;
  }
}

/** Task context; a second call does nothing. @kernel drivers/nvme/host/core.c nvme_ns_remove */
export const nvmeNsRemove = traced('nvme_ns_remove', async (ns: Ns): Promise<void> => {
  if (ns.removing) return;
  ns.removing = true;
  ns.ready = false;
  const { deviceCore, blkMq } = ns.ctrl.core;
  if (ns.cdev !== null && ns.cdevDevice !== null) {
    await deviceCore.cdevDeviceDel(ns.cdev, ns.cdevDevice);
    deviceCore.putDevice(ns.cdevDevice);
    ns.cdev = ns.cdevDevice = null;
  }
  await blkMq.delGendisk(ns.disk);
  await unlist(ns);
  nvmePutNs(ns);
});
