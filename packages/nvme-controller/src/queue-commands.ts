// Create and Delete of I/O queues, in the order in which their errors are specified.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c adapter_alloc_cq, adapter_alloc_sq, adapter_delete_queue. Spec: [NVMe] 2.0 §5.4-5.7.
import { type CommandSlot, SLOT_ACTIVE, SLOT_IN_STORE, SLOT_ORPHAN } from './command-slot.js';
import { completeCommand } from './completion.js';
import type { ControllerState } from './controller-state.js';
import { CompletionQueue, SubmissionQueue } from './queues.js';
import { bindShadow } from './shadow-doorbells.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

const PHYSICALLY_CONTIGUOUS = 1;
const INTERRUPTS_ENABLED = 2;

/** Vectors a queue may use: all of MSI-X or MSI, whichever is enabled, one under INTx. */
function vectorLimit(controller: ControllerState): number {
  const { endpoint } = controller;
  if (endpoint.msix?.enabled) return endpoint.msix.vectors;
  return endpoint.msi?.enabled ? endpoint.msi.description.vectors : 1;
}

/** Create I/O Completion Queue. */
export function createCompletionQueue(controller: ControllerState, slot: CommandSlot): number {
  const qid = slot.cdw10 & 0xffff;
  const qsize = slot.cdw10 >>> 16;
  const flags = slot.cdw11 & 0xffff;
  const vector = slot.cdw11 >>> 16;
  if (controller.tracing) controller.host?.trace(trace.TRACE_CREATE_CQ, qid, vector, qsize, flags);
  const taken = controller.completionQueues[qid];
  if (qid === 0 || qid > controller.allotment.ioQueuePairs || taken) return sc.SC_QID_INVALID;
  if (qsize === 0 || qsize > controller.description.mqes) return sc.SC_QUEUE_SIZE;
  if ((slot.prp1Lo & (controller.pageBytes - 1)) !== 0) return sc.SC_PRP_INVALID_OFFSET;
  if (vector >= vectorLimit(controller)) return sc.SC_INVALID_VECTOR;
  if ((flags & PHYSICALLY_CONTIGUOUS) === 0) return sc.SC_INVALID_FIELD;
  const address = slot.prp1Hi * 0x100000000 + slot.prp1Lo;
  const cq = new CompletionQueue(qid, qsize + 1, address, vector, (flags & INTERRUPTS_ENABLED) !== 0);
  controller.completionQueues[qid] = cq;
  if (controller.shadowDoorbells) bindShadow(controller, cq);
  return sc.SC_SUCCESS;
}

/** Create I/O Submission Queue. */
export function createSubmissionQueue(controller: ControllerState, slot: CommandSlot): number {
  const qid = slot.cdw10 & 0xffff;
  const qsize = slot.cdw10 >>> 16;
  const flags = slot.cdw11 & 0xffff;
  const cqid = slot.cdw11 >>> 16;
  if (controller.tracing) controller.host?.trace(trace.TRACE_CREATE_SQ, qid, cqid, qsize, flags);
  const cq = controller.completionQueues[cqid];
  if (cqid === 0 || !cq) return sc.SC_CQ_INVALID;
  if (qid === 0 || qid > controller.allotment.ioQueuePairs || controller.submissionQueues[qid])
    return sc.SC_QID_INVALID;
  if (qsize === 0 || qsize > controller.description.mqes) return sc.SC_QUEUE_SIZE;
  if ((slot.prp1Lo & (controller.pageBytes - 1)) !== 0) return sc.SC_PRP_INVALID_OFFSET;
  if ((flags & PHYSICALLY_CONTIGUOUS) === 0) return sc.SC_INVALID_FIELD;
  const { sqEntryBytes } = controller.description;
  const sq = new SubmissionQueue(qid, qsize + 1, slot.prp1Hi * 0x100000000 + slot.prp1Lo, cq, sqEntryBytes);
  cq.sqCount++;
  controller.submissionQueues[qid] = sq;
  if (controller.shadowDoorbells) bindShadow(controller, sq);
  return sc.SC_SUCCESS;
}

/** Delete I/O Submission Queue: commands still outstanding end as aborted, in order, before this one completes. */
export function deleteSubmissionQueue(controller: ControllerState, slot: CommandSlot): number {
  const qid = slot.cdw10 & 0xffff;
  const sq = controller.submissionQueues[qid];
  if (qid === 0 || !sq) return sc.SC_QID_INVALID;
  if (controller.tracing) controller.host?.trace(trace.TRACE_DEL_SQ, qid, 0, 0, 0);
  const outstanding = controller.slots.filter((other) => other.sq === sq);
  outstanding.sort((one, other) => one.fetchOrder - other.fetchOrder);
  for (const other of outstanding) {
    if (other.state === SLOT_ACTIVE) endTimed(controller, other, sc.SC_ABORT_QUEUE);
    else if (other.state === SLOT_IN_STORE) detachFromStore(controller, other, sc.SC_ABORT_QUEUE);
  }
  sq.tail = sq.head;
  sq.cq.sqCount--;
  controller.submissionQueues[qid] = null;
  return sc.SC_SUCCESS;
}

/** Delete I/O Completion Queue; refused while a submission queue uses it. */
export function deleteCompletionQueue(controller: ControllerState, slot: CommandSlot): number {
  const qid = slot.cdw10 & 0xffff;
  const cq = controller.completionQueues[qid];
  if (qid === 0 || !cq) return sc.SC_CQ_INVALID;
  if (cq.sqCount > 0) return sc.SC_INVALID_QUEUE;
  if (controller.tracing) controller.host?.trace(trace.TRACE_DEL_CQ, qid, 0, 0, 0);
  for (let pending = cq.pendingHead; pending !== null; ) {
    const { next } = pending;
    controller.freeSlot(pending);
    pending = next;
  }
  cq.fastCount = 0;
  cq.pendingHead = null;
  cq.pendingTail = null;
  controller.completionQueues[qid] = null;
  return sc.SC_SUCCESS;
}

/** Ends a command that waits for its time. */
export function endTimed(controller: ControllerState, slot: CommandSlot, status: number): void {
  slot.ticket = 0;
  slot.isDropped = false;
  completeCommand(controller, slot, status);
}

/** Ends a command whose store is not done: its completion leaves now, by another slot, and the store finds it orphaned. */
function detachFromStore(controller: ControllerState, slot: CommandSlot, status: number): void {
  const stand = controller.takeSlot();
  stand.sq = slot.sq;
  stand.sqid = slot.sqid;
  stand.cid = slot.cid;
  stand.nsid = slot.nsid;
  stand.dw0 = 0;
  stand.isDropped = false;
  stand.fault = null;
  slot.sq = null;
  slot.state = SLOT_ORPHAN;
  completeCommand(controller, stand, status);
}
