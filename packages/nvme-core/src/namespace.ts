/**
 * A namespace: its data, references, disk and character device.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_alloc_ns, nvme_ns_remove, nvme_open, nvme_cdev_add.
 */
import type { BlockDeviceOperations, Gendisk, RequestQueue } from '@nvme-stack/blk-mq/ports';
import type { Cdev, Device } from '@nvme-stack/device-core/ports';
import { type Kernel, KernelError, mutexLock, mutexUnlock, traced, withMutex } from '@nvme-stack/kernel';
import { NVME_ANA_OPTIMIZED } from '@nvme-stack/nvme-protocol';
import { type Ctrl, nvmeGetCtrl, nvmePutCtrl } from './ctrl.js';
import { ioctlCaller, nvmeIoctl, nvmeNsChrIoctl } from './ioctl.js';
import { nvmeMpathAddDisk, nvmeMpathShutdownDisk } from './multipath/head-live.js';
import { usesMultipath } from './multipath/io-policy.js';
import { nvmeMpathClearCurrentPath } from './multipath/paths.js';
import { nvmeCdevAdd, nvmeCdevDel } from './namespace-cdev.js';
import { leaveNsHead, type NsHead, type NsInfo, nvmeInitNsHead, nvmePutNsHead } from './namespace-head.js';
import { namespaceAttributeGroup } from './namespace-sysfs.js';
import { nvmeUpdateNsInfo } from './namespace-update.js';
import type { NvmeNs } from './ports.js';
import { nvmeSetupStreamsNs } from './streams.js';

/** Metadata follows each block's data in one buffer. @kernel drivers/nvme/host/nvme.h NVME_NS_EXT_LBAS */
export const NVME_NS_EXT_LBAS = 1 << 0;
/** Metadata goes through a buffer of its own. @kernel drivers/nvme/host/nvme.h NVME_NS_METADATA_SUPPORTED */
export const NVME_NS_METADATA_SUPPORTED = 1 << 1;
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
  /** Protection information type, 0 for none; its bytes, where it begins in the metadata, and whether it is all there is. */
  piType = 0;
  piSizeBytes = 0;
  piOffsetBytes = 0;
  hasPi = false;
  /** Guards of 64 bits, and reference tags of 48. */
  hasWideGuard = false;
  /** Stream write size in blocks and granularity, where streams are used; 0: nothing in particular. @kernel drivers/nvme/host/nvme.h nvme_ns.sws, sgs */
  sws = 0;
  sgs = 0;
  /** Blocks in use (NUSE). */
  nuse = 0;
  ready = false;
  /** How well the controller reaches it, and the group that says so. @kernel drivers/nvme/host/nvme.h nvme_ns (ana_state, ana_grpid) */
  anaState = NVME_ANA_OPTIMIZED;
  anaGrpid = 0;
  /** The controller said that this is not the way: until its log is read again, it is none. @kernel drivers/nvme/host/nvme.h NVME_NS_ANA_PENDING */
  anaPending = false;
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
export async function nvmePutNs(ns: Ns): Promise<void> {
  ns.refs--;
  if (ns.refs > 0) return;
  ns.ctrl.core.blkMq.putDisk(ns.disk);
  await nvmePutNsHead(ns.head);
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
const nvmeRelease = traced('nvme_release', async (disk: Gendisk): Promise<void> => {
  await nvmePutNs(disk.private as Ns);
});

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
      if (ctrl.nrStreams !== 0) await nvmeSetupStreamsNs(ns);
      if ((await identify(info)) !== 0) throw new KernelError('ENODEV', `${ctrl.name}: nsid ${info.nsid}`);
      await nvmeInitNsHead(ns, info);
    } catch (error) {
      blkMq.putDisk(ns.disk);
      throw error;
    }
    nvmeGetCtrl(ctrl);
    try {
      await bringUp(ns, info);
    } catch (error) {
      ns.removing = true;
      await leaveNsHead(ns);
      await nvmePutNs(ns);
      throw error;
    }
  },
);

async function bringUp(ns: Ns, info: NsInfo): Promise<void> {
  const { ctrl } = ns;
  const { blkMq } = ctrl.core;
  blkMq.setDiskName(ns.disk, diskName(ns), blockOperations(ns), ns);
  if (ns.head.disk !== null) blkMq.setDiskFlags(ns.disk, { hidden: true });
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
  if (ctrl.core.era.genericDevices && ns.head.disk === null) await nvmeAddNsCdev(ns);
  if (ctrl.core.era.multipath !== null) await nvmeMpathAddDisk(ns, info.anagrpid);
}

/** With multipath every disk is named after its subsystem, for a head's disk and another's must not have one name. */
function diskName({ ctrl, head }: Ns): string {
  if (!usesMultipath(ctrl.core)) return `nvme${ctrl.instance}n${head.instance}`;
  const { instance } = head.subsys;
  return head.disk === null ? `nvme${instance}n${head.instance}` : `nvme${instance}c${ctrl.instance}n${head.instance}`;
}

async function unlist(ns: Ns): Promise<void> {
  const { ctrl } = ns;
  await mutexLock(ctrl.namespacesLock);
  const at = ctrl.namespaces.indexOf(ns);
  if (at >= 0) ctrl.namespaces.splice(at, 1);
  mutexUnlock(ctrl.namespacesLock);
}

/** A namespace without its character device is better than none. @kernel drivers/nvme/host/core.c nvme_add_ns_cdev */
async function nvmeAddNsCdev(ns: Ns): Promise<void> {
  const { core, instance, device } = ns.ctrl;
  const cdev: Cdev = {
    container: ns,
    ops: {
      open: async () => nvmeNsOpen(ns),
      release: async () => await nvmePutNs(ns),
      unlockedIoctl: async (file, command, argument) => await nvmeNsChrIoctl(ns, command, argument, ioctlCaller(file)),
    },
  };
  const name = `ng${instance}n${ns.head.instance}`;
  try {
    ns.cdevDevice = await nvmeCdevAdd({ kernel: ns.kernel, core, cdev, name, parent: device });
    ns.cdev = cdev;
  } catch (error) {
    if (!KernelError.is(error)) throw error;
  }
}

/** Task context; a second call does nothing. @kernel drivers/nvme/host/core.c nvme_ns_remove */
export const nvmeNsRemove = traced('nvme_ns_remove', async (ns: Ns): Promise<void> => {
  if (ns.removing) return;
  ns.removing = true;
  ns.ready = false;
  const { core } = ns.ctrl;
  // Nobody is to go this way any more, or to find it.
  if (core.era.multipath !== null) nvmeMpathClearCurrentPath(ns);
  const isLastPath = await leaveNsHead(ns);
  await nvmeCdevDel(core, ns);
  await core.blkMq.delGendisk(ns.disk);
  await unlist(ns);
  if (isLastPath && core.era.multipath !== null) await nvmeMpathShutdownDisk(ns.head);
  await nvmePutNs(ns);
});
