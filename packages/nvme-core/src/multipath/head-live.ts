/**
 * How a head's disk comes, with its first path, and goes, with its last.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_mpath_set_live, nvme_mpath_add_disk, nvme_mpath_shutdown_disk,
 * nvme_mpath_remove_disk.
 */
import type { Cdev } from '@nvme-stack/device-core/ports';
import { type HasKernel, KernelError, traced, withMutex } from '@nvme-stack/kernel';
import { NVME_ANA_OPTIMIZED } from '@nvme-stack/nvme-protocol';
import { ioctlCaller, nvmeNsHeadChrIoctl } from '../ioctl.js';
import type { Ns } from '../namespace.js';
import { nvmeCdevAdd, nvmeCdevDel } from '../namespace-cdev.js';
import { type NsHead, nvmePutNsHead } from '../namespace-head.js';
import { headAttributeGroup } from '../namespace-sysfs.js';
import { nvmeCtrlUseAna, setNsAnaState } from './ana.js';
import { nvmeGetNsHead } from './head-disk.js';
import { nvmeFindPathOf, nvmePathIsOptimized } from './paths.js';

/** The head's disk is there from its first path on; bios that wait go on. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_set_live */
export const nvmeMpathSetLive = traced('nvme_mpath_set_live', async (ns: Ns): Promise<void> => {
  const { head, kernel } = ns;
  const { disk, core } = head;
  if (disk === null) return;
  if (!head.diskLive) {
    // At once: two paths may come here at the same time.
    head.diskLive = true;
    try {
      await core.blkMq.deviceAddDisk(head.subsys.device, disk, [headAttributeGroup(head)]);
    } catch (error) {
      if (!KernelError.is(error)) throw error;
      head.diskLive = false;
      return;
    }
    await nvmeAddNsHeadCdev(head);
    core.blkMq.kblockdScheduleWork(head.partitionScanWork);
  }
  await withMutex(head.lock, async () => {
    if (!nvmePathIsOptimized(ns)) return;
    for (let node = 0; node < kernel.nrNodes; node++) nvmeFindPathOf(head, node);
  });
  core.blkMq.kblockdScheduleWork(head.requeueWork);
});

/** The work (kblockd): partitions of a disk that has just come. @kernel drivers/nvme/host/multipath.c nvme_partition_scan_work */
export const nvmePartitionScanWork = traced(
  'nvme_partition_scan_work',
  async (head: NsHead & HasKernel): Promise<void> => {
    if (head.disk === null) return;
    try {
      await head.core.blkMq.scanSuppressed(head.disk);
    } catch (error) {
      if (!KernelError.is(error)) throw error;
    }
  },
);

/** A disk without its character device is better than none. @kernel drivers/nvme/host/multipath.c nvme_add_ns_head_cdev */
async function nvmeAddNsHeadCdev(head: NsHead): Promise<void> {
  const cdev: Cdev = {
    container: head,
    ops: {
      open: async () => nvmeGetNsHead(head),
      release: async () => await nvmePutNsHead(head),
      unlockedIoctl: async (file, command, argument) =>
        await nvmeNsHeadChrIoctl(head, command, argument, ioctlCaller(file)),
    },
  };
  const { subsys, core } = head;
  try {
    const name = `ng${subsys.instance}n${head.instance}`;
    head.cdevDevice = await nvmeCdevAdd({ kernel: head.kernel, core, cdev, name, parent: subsys.device });
    head.cdev = cdev;
  } catch (error) {
    if (!KernelError.is(error)) throw error;
  }
}

/** A namespace is a path from now on. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_add_disk */
export const nvmeMpathAddDisk = traced('nvme_mpath_add_disk', async (ns: Ns, anagrpid: number): Promise<void> => {
  if (nvmeCtrlUseAna(ns.ctrl)) {
    await setNsAnaState(ns, anagrpid);
    return;
  }
  ns.anaState = NVME_ANA_OPTIMIZED;
  await nvmeMpathSetLive(ns);
});

/** The last path is gone: what waits fails, and the disk goes. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_shutdown_disk */
export const nvmeMpathShutdownDisk = traced('nvme_mpath_shutdown_disk', async (head: NsHead): Promise<void> => {
  const { disk, core } = head;
  if (disk === null) return;
  if (head.diskLive) {
    head.diskLive = false;
    await nvmeCdevDel(core, head);
    core.blkMq.kblockdScheduleWork(head.requeueWork);
    await core.blkMq.delGendisk(disk);
  }
  core.blkMq.kblockdScheduleWork(head.requeueWork);
});

/** The last reference is gone. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_remove_disk */
export const nvmeMpathRemoveDisk = traced('nvme_mpath_remove_disk', async (head: NsHead): Promise<void> => {
  const { disk, core } = head;
  if (disk === null) return;
  core.blkMq.kblockdScheduleWork(head.requeueWork);
  await core.workqueues.flushWork(head.requeueWork);
  await core.workqueues.flushWork(head.partitionScanWork);
  core.blkMq.putDisk(disk);
  head.disk = null;
});
