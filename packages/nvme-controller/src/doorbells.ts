// Doorbell writes: new tails and heads, and what an invalid one raises.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_write_sq_db, nvme_ring_cq_doorbell. Spec: [NVMe] 2.0 §3.1.4.24-25, §5.2.

import * as nvme from '@nvme-stack/nvme-protocol';
import { doorbellIndex } from '@nvme-stack/nvme-protocol';
import { invalidDoorbell } from './async-events.js';
import { markDirty } from './completion.js';
import type { ControllerState } from './controller-state.js';
import { lowerInterrupt } from './interrupts.js';
import { isConsumable, requeueSubmission, writeWord } from './shadow-doorbells.js';
import * as trace from './trace-events.js';

/** Takes a dword written to the doorbell area; never runs a command. */
export function writeDoorbell(controller: ControllerState, offset: number, value: number): void {
  if ((controller.registers.csts & (nvme.NVME_CSTS_RDY | nvme.NVME_CSTS_CFS)) !== nvme.NVME_CSTS_RDY) return;
  const index = doorbellIndex(offset, controller.description.dstrd);
  if (index < 0) return;
  if (controller.faults?.doorbell?.(index >>> 1, (index & 1) !== 0, value)) return;
  if ((index & 1) === 0) submissionDoorbell(controller, index >>> 1, value);
  else completionDoorbell(controller, index >>> 1, value);
}

function submissionDoorbell(controller: ControllerState, qid: number, tail: number): void {
  const sq = qid < controller.submissionQueues.length ? controller.submissionQueues[qid] : null;
  if (sq === null || sq === undefined) {
    invalidDoorbell(controller, false);
    return;
  }
  if (tail >= sq.size) {
    invalidDoorbell(controller, true);
    return;
  }
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_DOORBELL_SQ, qid, tail, 0, 0);
  sq.tail = tail;
  if (controller.shadowDoorbells && sq.shadowAddress !== 0) {
    // The host rings the admin queue's real doorbell even then and leaves its shadow to the controller.
    if (qid === 0) writeWord(controller, sq.shadowAddress, tail);
    sq.shadowIsFresh = true;
  }
  requeueSubmission(controller, sq);
}

function completionDoorbell(controller: ControllerState, qid: number, head: number): void {
  const cq = qid < controller.completionQueues.length ? controller.completionQueues[qid] : null;
  if (cq === null || cq === undefined) {
    invalidDoorbell(controller, false);
    return;
  }
  if (head >= cq.size || !isConsumable(cq, head)) {
    invalidDoorbell(controller, true);
    return;
  }
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_DOORBELL_CQ, qid, head, 0, 0);
  cq.head = head;
  if (controller.shadowDoorbells && qid === 0 && cq.shadowAddress !== 0) writeWord(controller, cq.shadowAddress, head);
  if (controller.intStatus !== 0) lowerInterrupt(controller, cq);
  if (cq.fastCount > 0 || cq.pendingHead !== null) markDirty(controller, cq);
}
