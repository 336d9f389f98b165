/**
 * Freezing the heads' disks of a subsystem: no bio looks for a path meanwhile.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_mpath_start_freeze, nvme_mpath_wait_freeze, nvme_mpath_unfreeze.
 *
 * The caller holds the subsystem's lock.
 */
import type { RequestQueue } from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import type { Subsystem } from '../subsystem.js';

function queues(subsys: Subsystem): RequestQueue[] {
  return subsys.heads.flatMap(({ disk }) => (disk === null ? [] : [disk.queue]));
}

/** @kernel drivers/nvme/host/multipath.c nvme_mpath_start_freeze */
export const nvmeMpathStartFreeze = traced('nvme_mpath_start_freeze', (subsys: Subsystem): void => {
  for (const q of queues(subsys)) subsys.core.blkMq.blkFreezeQueueStart(q);
});

/** Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_wait_freeze */
export const nvmeMpathWaitFreeze = traced('nvme_mpath_wait_freeze', async (subsys: Subsystem): Promise<void> => {
  for (const q of queues(subsys)) await subsys.core.blkMq.blkMqFreezeQueueWait(q);
});

/** @kernel drivers/nvme/host/multipath.c nvme_mpath_unfreeze */
export const nvmeMpathUnfreeze = traced('nvme_mpath_unfreeze', (subsys: Subsystem): void => {
  for (const q of queues(subsys)) subsys.core.blkMq.blkMqUnfreezeQueue(q);
});
