/**
 * Limits of a controller's queues.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_set_ctrl_limits.
 */
import type { QueueLimits, RequestQueue } from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import { NVME_CTRL_PAGE_SIZE } from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';

const SECTORS_PER_PAGE = NVME_CTRL_PAGE_SIZE / 512;
const USHRT_MAX = 0xffff;

/** Transfers as large as MDTS and the transport take; pieces may meet only at page borders (PRP). @kernel drivers/nvme/host/core.c nvme_set_ctrl_limits */
export function nvmeCtrlLimits(ctrl: Ctrl): Partial<QueueLimits> {
  const bySize = Math.floor(ctrl.maxHwSectors / SECTORS_PER_PAGE) + 1;
  const segments = ctrl.maxSegments === 0 ? bySize : Math.min(bySize, ctrl.maxSegments);
  return {
    maxHwSectors: ctrl.maxHwSectors,
    maxSegments: Math.min(segments, USHRT_MAX),
    virtBoundaryMask: NVME_CTRL_PAGE_SIZE - 1,
    maxSegmentSizeBytes: ctrl.core.era.limits.maxSegmentSizeBytes,
    dmaAlignmentMask: 3,
    ...(ctrl.core.era.metadata.alwaysInits ? { maxIntegritySegments: ctrl.maxIntegritySegments } : {}),
  };
}

/** Gives a queue the controller's limits. Throws EINVAL for impossible ones. @kernel drivers/nvme/host/core.c nvme_set_queue_limits */
export const nvmeSetQueueLimits = traced('nvme_set_queue_limits', (ctrl: Ctrl, q: RequestQueue): void => {
  ctrl.core.blkMq.queueLimitsCommitUpdate(q, nvmeCtrlLimits(ctrl));
});
