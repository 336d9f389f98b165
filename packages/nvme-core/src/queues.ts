/**
 * Tag sets and queues of a controller: made, quiesced, frozen, cancelled, removed.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_alloc_admin_tag_set, nvme_quiesce_io_queues, nvme_start_freeze,
 * nvme_cancel_tagset.
 */
import { BLK_MQ_F_NO_SCHED, type BlkMqTagSet } from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import { NVME_AQ_DEPTH, NVME_AQ_MQ_TAG_DEPTH } from '@nvme-stack/nvme-protocol';
import { nvmeCancelRequest } from './complete.js';
import type { Ctrl } from './ctrl.js';
import { nvmeStopKeepAlive } from './keep-alive.js';
import { NVME_QUIRK_SHARED_TAGS, type NvmeTagSetInit } from './ports.js';

const NS_PER_SECOND = 1e9;
/** @kernel include/linux/blk-mq.h BLK_MQ_MAX_DEPTH */
const BLK_MQ_MAX_DEPTH = 10240;

/** One hardware queue, one request fewer than AER leaves. Throws. Task context. @kernel drivers/nvme/host/core.c nvme_alloc_admin_tag_set */
export const nvmeAllocAdminTagSet = traced(
  'nvme_alloc_admin_tag_set',
  async (ctrl: Ctrl, init: NvmeTagSetInit): Promise<void> => {
    const { blkMq } = ctrl.core;
    const set = blkMq.blkMqAllocTagSet({
      ...init,
      name: `${ctrl.name} admin`,
      nrHwQueues: 1,
      queueDepth: init.queueDepth ?? NVME_AQ_MQ_TAG_DEPTH,
      reservedTags: 0,
      numaNode: ctrl.numaNode,
      timeoutNs: ctrl.core.number('admin_timeout') * NS_PER_SECOND,
      flags: BLK_MQ_F_NO_SCHED,
    });
    try {
      ctrl.adminQ = blkMq.blkMqAllocQueue(set, null, null);
    } catch (error) {
      blkMq.blkMqFreeTagSet(set);
      throw error;
    }
    ctrl.adminTagset = set;
  },
);

/** Task context. @kernel drivers/nvme/host/core.c nvme_remove_admin_tag_set */
export const nvmeRemoveAdminTagSet = traced('nvme_remove_admin_tag_set', async (ctrl: Ctrl): Promise<void> => {
  const { adminQ, adminTagset, core } = ctrl;
  await nvmeStopKeepAlive(ctrl);
  if (adminQ !== null) await core.blkMq.blkMqDestroyQueue(adminQ);
  ctrl.adminQ = null;
  if (adminTagset !== null) core.blkMq.blkMqFreeTagSet(adminTagset);
  ctrl.adminTagset = null;
  ctrl.adminStopped = false;
});

/** A hardware queue for each I/O queue. Throws. Task context. @kernel drivers/nvme/host/core.c nvme_alloc_io_tag_set */
export const nvmeAllocIoTagSet = traced(
  'nvme_alloc_io_tag_set',
  async (ctrl: Ctrl, init: NvmeTagSetInit): Promise<void> => {
    ctrl.tagset = ctrl.core.blkMq.blkMqAllocTagSet({
      ...init,
      name: ctrl.name,
      nrHwQueues: ctrl.queueCount - 1,
      queueDepth: Math.min(ctrl.sqsize, BLK_MQ_MAX_DEPTH - 1),
      reservedTags: ctrl.quirks & NVME_QUIRK_SHARED_TAGS ? NVME_AQ_DEPTH : 0,
      numaNode: ctrl.numaNode,
      timeoutNs: ctrl.core.number('io_timeout') * NS_PER_SECOND,
      flags: 0,
    });
  },
);

/** @kernel drivers/nvme/host/core.c nvme_remove_io_tag_set */
export const nvmeRemoveIoTagSet = traced('nvme_remove_io_tag_set', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.tagset !== null) ctrl.core.blkMq.blkMqFreeTagSet(ctrl.tagset);
  ctrl.tagset = null;
  ctrl.ioStopped = false;
});

/** Nothing is dispatched to the I/O queues any more. @kernel drivers/nvme/host/core.c nvme_quiesce_io_queues */
export const nvmeQuiesceIoQueues = traced('nvme_quiesce_io_queues', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.tagset === null || ctrl.ioStopped) return;
  ctrl.ioStopped = true;
  ctrl.core.blkMq.blkMqQuiesceTagset(ctrl.tagset);
});

/** @kernel drivers/nvme/host/core.c nvme_unquiesce_io_queues */
export const nvmeUnquiesceIoQueues = traced('nvme_unquiesce_io_queues', (ctrl: Ctrl): void => {
  if (ctrl.tagset === null || !ctrl.ioStopped) return;
  ctrl.ioStopped = false;
  ctrl.core.blkMq.blkMqUnquiesceTagset(ctrl.tagset);
});

/** @kernel drivers/nvme/host/core.c nvme_quiesce_admin_queue */
export const nvmeQuiesceAdminQueue = traced('nvme_quiesce_admin_queue', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.adminQ === null || ctrl.adminStopped) return;
  ctrl.adminStopped = true;
  ctrl.core.blkMq.blkMqQuiesceQueueNowait(ctrl.adminQ);
});

/** @kernel drivers/nvme/host/core.c nvme_unquiesce_admin_queue */
export const nvmeUnquiesceAdminQueue = traced('nvme_unquiesce_admin_queue', (ctrl: Ctrl): void => {
  if (ctrl.adminQ === null || !ctrl.adminStopped) return;
  ctrl.adminStopped = false;
  ctrl.core.blkMq.blkMqUnquiesceQueue(ctrl.adminQ);
});

/** New I/O waits from now on. @kernel drivers/nvme/host/core.c nvme_start_freeze */
export const nvmeStartFreeze = traced('nvme_start_freeze', (ctrl: Ctrl): void => {
  ctrl.frozen = true;
  for (const ns of ctrl.namespaces) ctrl.core.blkMq.blkFreezeQueueStart(ns.queue);
});

/** Waits until nothing is in flight. @kernel drivers/nvme/host/core.c nvme_wait_freeze */
export const nvmeWaitFreeze = traced('nvme_wait_freeze', async (ctrl: Ctrl): Promise<void> => {
  for (const ns of [...ctrl.namespaces]) await ctrl.core.blkMq.blkMqFreezeQueueWait(ns.queue);
});

/** The same, at most `timeoutNs`; false when that was too short. @kernel drivers/nvme/host/core.c nvme_wait_freeze_timeout */
export const nvmeWaitFreezeTimeout = traced(
  'nvme_wait_freeze_timeout',
  async (ctrl: Ctrl, timeoutNs: number): Promise<boolean> => {
    const { ex } = ctrl.kernel;
    const deadlineNs = ex.now() + timeoutNs;
    for (const ns of [...ctrl.namespaces]) {
      const leftNs = Math.max(0, deadlineNs - ex.now());
      if (!(await ctrl.core.blkMq.blkMqFreezeQueueWaitTimeout(ns.queue, leftNs))) return false;
    }
    return true;
  },
);

/** @kernel drivers/nvme/host/core.c nvme_unfreeze */
export const nvmeUnfreeze = traced('nvme_unfreeze', (ctrl: Ctrl): void => {
  for (const ns of ctrl.namespaces) ctrl.core.blkMq.blkMqUnfreezeQueue(ns.queue);
  ctrl.frozen = false;
});

/** Waits for time-outs and requeues under way. @kernel drivers/nvme/host/core.c nvme_sync_io_queues */
export const nvmeSyncIoQueues = traced('nvme_sync_io_queues', async (ctrl: Ctrl): Promise<void> => {
  for (const ns of [...ctrl.namespaces]) await ctrl.core.blkMq.blkSyncQueue(ns.queue);
});

/** @kernel drivers/nvme/host/core.c nvme_sync_queues */
export const nvmeSyncQueues = traced('nvme_sync_queues', async (ctrl: Ctrl): Promise<void> => {
  await nvmeSyncIoQueues(ctrl);
  if (ctrl.adminQ !== null) await ctrl.core.blkMq.blkSyncQueue(ctrl.adminQ);
});

async function cancelSet(ctrl: Ctrl, set: BlkMqTagSet | null): Promise<void> {
  if (set === null) return;
  ctrl.core.blkMq.blkMqTagsetBusyIter(set, nvmeCancelRequest);
  await ctrl.core.blkMq.blkMqTagsetWaitCompletedRequest(set);
}

/** Completes every started request as aborted by the host. @kernel drivers/nvme/host/core.c nvme_cancel_tagset */
export const nvmeCancelTagset = traced('nvme_cancel_tagset', async (ctrl: Ctrl): Promise<void> => {
  await cancelSet(ctrl, ctrl.tagset);
});

/** @kernel drivers/nvme/host/core.c nvme_cancel_admin_tagset */
export const nvmeCancelAdminTagset = traced('nvme_cancel_admin_tagset', async (ctrl: Ctrl): Promise<void> => {
  await cancelSet(ctrl, ctrl.adminTagset);
});
