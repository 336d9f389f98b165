/**
 * The disk of a namespace head: what it is made of, and what it does with bios, opens and ioctls.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_mpath_alloc_disk, nvme_ns_head_submit_bio, nvme_ns_head_ops.
 */
import type { Bio, BlockDeviceOperations } from '@nvme-stack/blk-mq/ports';
import { HCTX_TYPE_POLL } from '@nvme-stack/blk-mq/ports';
import { KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_CTRL_CMIC_ANA,
  NVME_CTRL_CMIC_MULTI_CTRL,
  NVME_CTRL_CTRATT_NVM_SETS,
  NVME_CTRL_OACS_NS_MNGT_SUPP,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from '../ctrl.js';
import { ioctlCaller, nvmeNsHeadIoctl } from '../ioctl.js';
import { type NsHead, nvmePutNsHead } from '../namespace-head.js';
import { REQ_NVME_MPATH } from './accounting.js';
import { usesMultipath } from './io-policy.js';
import { nvmeAvailablePath, nvmeFindPath } from './paths.js';

/** Buffers are aligned to dwords, as the paths want them. */
const DMA_ALIGNMENT_MASK = 3;

/** An identifier names one namespace in the whole subsystem. @kernel drivers/nvme/host/nvme.h nvme_is_unique_nsid */
export function nvmeIsUniqueNsid(ctrl: Ctrl, head: { readonly shared: boolean }): boolean {
  const cmic = ctrl.subsys?.cmic ?? 0;
  return (
    head.shared ||
    (ctrl.oacs & NVME_CTRL_OACS_NS_MNGT_SUPP) !== 0 ||
    (cmic & NVME_CTRL_CMIC_ANA) !== 0 ||
    (ctrl.ctratt & NVME_CTRL_CTRATT_NVM_SETS) !== 0
  );
}

/**
 * Gives a head a disk of its own where there may be several paths. Also an unshared namespace gets one: it may be shared
 * later. Throws EINVAL. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_alloc_disk
 */
export const nvmeMpathAllocDisk = traced('nvme_mpath_alloc_disk', (ctrl: Ctrl, head: NsHead): void => {
  const { core, subsys } = ctrl;
  if (subsys === null || (subsys.cmic & NVME_CTRL_CMIC_MULTI_CTRL) === 0) return;
  if (!nvmeIsUniqueNsid(ctrl, head) || !usesMultipath(core)) return;
  const { blkMq } = core;
  const limits = { ...blkMq.blkSetStackingLimits(), dmaAlignmentMask: DMA_ALIGNMENT_MASK };
  const disk = blkMq.blkAllocDisk(limits, ctrl.numaNode);
  blkMq.setDiskName(disk, `nvme${subsys.instance}n${head.instance}`, headOperations(head), head);
  // Partitions are read elsewhere: a scan that waits for a path must not keep the scan that would bring it.
  blkMq.setDiskFlags(disk, { suppressPartScan: true });
  const polled = ctrl.tagset?.map[HCTX_TYPE_POLL];
  blkMq.setQueuePoll(disk.queue, polled !== undefined && polled.nrQueues > 0);
  head.disk = disk;
});

/** @kernel drivers/nvme/host/multipath.c nvme_ns_head_ops */
function headOperations(head: NsHead): BlockDeviceOperations {
  return {
    submitBio: (bio) => nvmeNsHeadSubmitBio(head, bio),
    open: async () => nvmeGetNsHead(head),
    release: async () => await nvmePutNsHead(head),
    ioctl: async (file, command, argument, partition) =>
      await nvmeNsHeadIoctl(head, command, argument, ioctlCaller(file, partition)),
  };
}

/** Throws ENXIO for a head that is gone. @kernel drivers/nvme/host/core.c nvme_tryget_ns_head */
export function nvmeGetNsHead(head: NsHead): void {
  if (head.refs === 0) throw new KernelError('ENXIO', `nsid ${head.nsid}`);
  head.refs++;
}

/** Sends a bio by the path it is to take now, keeps it until there is one, or fails it. Any context. @kernel drivers/nvme/host/multipath.c nvme_ns_head_submit_bio */
function nvmeNsHeadSubmitBio(head: NsHead, whole: Bio): void {
  const { trace, printk } = head.kernel;
  const { blkMq } = head.core;
  if (trace.functions) trace.enter('nvme_ns_head_submit_bio');
  const bio = blkMq.bioSplitToLimits(whole);
  if (bio !== null) {
    const from = bio.disk;
    const ns = nvmeFindPath(head);
    if (ns !== null && from !== null) {
      bio.disk = ns.disk;
      bio.opf |= REQ_NVME_MPATH;
      blkMq.traceBlockBioRemap(bio, from);
      blkMq.submitBioNoacct(bio);
    } else if (nvmeAvailablePath(head)) {
      if (head.requeueLimit.allow()) printk.print('warn', `block ${from?.name}: no usable path - requeuing I/O`);
      const { requeueList } = head;
      bio.next = null;
      if (requeueList.tail === null) requeueList.head = bio;
      else requeueList.tail.next = bio;
      requeueList.tail = bio;
    } else {
      if (head.failLimit.allow()) printk.print('warn', `block ${from?.name}: no available path - failing I/O`);
      blkMq.bioIoError(bio);
    }
  }
  if (trace.functions) trace.exit();
}
