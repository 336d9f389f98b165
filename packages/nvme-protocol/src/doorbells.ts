/**
 * Where the doorbells are, in both directions. Kernel counterpart: drivers/nvme/host/pci.c (dev->dbs, q_db).
 * [NVMe-PCIe] 3.1.2.1, 3.1.2.2.
 */
import { NVME_REG_DBS } from './register-constants.js';

/** Offset in BAR0 of the submission queue tail doorbell; `stride` is CAP.DSTRD. */
export function sqTailDoorbellOffset(qid: number, stride: number): number {
  return NVME_REG_DBS + 2 * qid * (4 << stride);
}

/** Offset in BAR0 of the completion queue head doorbell; `stride` is CAP.DSTRD. */
export function cqHeadDoorbellOffset(qid: number, stride: number): number {
  return NVME_REG_DBS + (2 * qid + 1) * (4 << stride);
}

/**
 * Index of the doorbell at `offset` in BAR0: even for a submission queue's tail, odd for a completion queue's head,
 * and half of it the queue's id; -1 if no doorbell starts there.
 */
export function doorbellIndex(offset: number, stride: number): number {
  const distance = offset - NVME_REG_DBS;
  const size = 4 << stride;
  return distance >= 0 && distance % size === 0 ? distance / size : -1;
}

/** Bytes of doorbells for queue ids 0 to `queues` - 1. @kernel drivers/nvme/host/pci.c db_bar_size */
export function doorbellBytes(queues: number, stride: number): number {
  return queues * 2 * (4 << stride);
}
