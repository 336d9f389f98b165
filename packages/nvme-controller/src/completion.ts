// From a finished command to its completion entry: status, counters, batched posting, one interrupt per batch.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_poll_cq. Spec: [NVMe] 2.0 §3.3.1.2, §4.2.1.
import * as nvme from '@nvme-stack/nvme-protocol';
import { holdsBack } from './coalescing.js';
import { type CommandSlot, SLOT_ACTIVE, SLOT_DONE, SLOT_ORPHAN } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { fillFast } from './fast-rw.js';
import { raiseInterrupt } from './interrupts.js';
import { continueStoreRequest } from './nvm.js';
import {
  BLOCK_STORE_ABORTED,
  BLOCK_STORE_NO_SPACE,
  BLOCK_STORE_OK,
  BLOCK_STORE_READ_ONLY,
  type CompletionFault,
} from './ports.js';
import type { CompletionQueue, SubmissionQueue } from './queues.js';
import { fatalError } from './registers.js';
import { readShadowHead, requeueSubmission } from './shadow-doorbells.js';
import { POST_RUN } from './stage.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

/** A store is done with a slot's request: takes the next step of its command, or completes it. */
export function finishStoreRequest(controller: ControllerState, slot: CommandSlot, storeStatus: number): void {
  if (slot.state === SLOT_ORPHAN) {
    // After a restore there is another in its place.
    if (controller.slots[slot.index] === slot) controller.freeSlot(slot);
    return;
  }
  slot.state = SLOT_ACTIVE;
  if (storeStatus !== BLOCK_STORE_OK && slot.status === sc.SC_SUCCESS)
    slot.status = statusOf(controller, slot, storeStatus);
  const status = slot.status !== sc.SC_SUCCESS ? slot.status : continueStoreRequest(controller, slot);
  if (status !== sc.PENDING) completeCommand(controller, slot, status);
}

function statusOf(controller: ControllerState, slot: CommandSlot, storeStatus: number): number {
  if (storeStatus === BLOCK_STORE_READ_ONLY) return sc.SC_NS_WRITE_PROTECTED;
  if (storeStatus === BLOCK_STORE_ABORTED) return sc.SC_INTERNAL;
  controller.health.mediaErrors++;
  if (storeStatus === BLOCK_STORE_NO_SPACE) return sc.SC_WRITE_FAULT;
  return slot.opcode === 0x02 || slot.opcode === 0x05 || slot.opcode === 0x0c ? sc.SC_READ_ERROR : sc.SC_WRITE_FAULT;
}

/** Ends a command: its entry goes to the end of its completion queue's pending list. */
export function completeCommand(controller: ControllerState, slot: CommandSlot, status: number): void {
  const sq = slot.sq;
  if (slot.isDropped || sq === null) return;
  const { cq } = sq;
  slot.status = status;
  slot.state = SLOT_DONE;
  slot.next = null;
  const duplicates = slot.fault?.completion?.duplicates ?? 0;
  if (status !== sc.SC_SUCCESS) recordFailure(controller, slot, status);
  if (controller.tracing) {
    controller.host?.trace(trace.TRACE_ENQUEUE_REQ_COMPLETION, slot.cid, cq.cqid, slot.dw0, status);
  }
  if (cq.pendingTail === null) cq.pendingHead = slot;
  else cq.pendingTail.next = slot;
  cq.pendingTail = slot;
  markDirty(controller, cq);
  for (let i = 0; i < duplicates; i++) duplicate(controller, slot, sq, status);
}

/** Fault: the same entry once more, by a slot of its own. */
function duplicate(controller: ControllerState, slot: CommandSlot, sq: SubmissionQueue, status: number): void {
  const other = controller.takeSlot();
  other.sq = sq;
  other.sqid = slot.sqid;
  other.cid = slot.cid;
  other.nsid = slot.nsid;
  other.dw0 = slot.dw0;
  other.isDropped = false;
  other.fault = null;
  sq.outstanding++;
  completeCommand(controller, other, status);
}

/** Puts a queue on the list of those to post to; outside a deferred call it asks for one. */
export function markDirty(controller: ControllerState, cq: CompletionQueue): void {
  if (!cq.isDirty) {
    cq.isDirty = true;
    cq.nextDirty = null;
    if (controller.lastDirty === null) controller.firstDirty = cq;
    else controller.lastDirty.nextDirty = cq;
    controller.lastDirty = cq;
  }
  if (!controller.isInDevice) controller.host?.defer();
}

function recordFailure(controller: ControllerState, slot: CommandSlot, status: number): void {
  const code = status & 0x7ff;
  if (code === sc.SC_ABORT_REQ || code === sc.SC_ABORT_QUEUE) return;
  const { sqid, cid, nsid } = slot;
  const hasLba = sqid !== 0 && NAMES_BLOCKS.has(slot.opcode);
  const [lbaLow, lbaHigh] = hasLba ? [slot.cdw10, slot.cdw11] : [0, 0];
  controller.health.recordError({ sqid, cmdid: cid, statusField: status << 1, lbaLow, lbaHigh, nsid });
}

/** I/O commands whose dwords 10 and 11 are a logical block address. */
const NAMES_BLOCKS: ReadonlySet<number> = new Set([
  nvme.NvmeNvmOpcode.write,
  nvme.NvmeNvmOpcode.read,
  nvme.NvmeNvmOpcode.writeUncor,
  nvme.NvmeNvmOpcode.compare,
  nvme.NvmeNvmOpcode.writeZeroes,
  nvme.NvmeNvmOpcode.verify,
  nvme.NvmeNvmOpcode.copy,
]);

/** Posts what is pending in every queue that has something. */
export function postCompletions(controller: ControllerState): void {
  for (let cq = controller.firstDirty; cq !== null; cq = controller.firstDirty) {
    controller.firstDirty = cq.nextDirty;
    if (cq.nextDirty === null) controller.lastDirty = null;
    cq.isDirty = false;
    if (controller.completionQueues[cq.cqid] === cq) postQueue(controller, cq);
  }
}

/** Writes entries in runs until the list is empty or the queue is full; then one interrupt. */
function postQueue(controller: ControllerState, cq: CompletionQueue): void {
  const before = cq.tail;
  let shadowIsRead = false;
  let posted = 0;
  while (cq.fastCount > 0 || cq.pendingHead !== null) {
    if (controller.shadowDoorbells && !shadowIsRead) {
      readShadowHead(controller, cq);
      shadowIsRead = true;
    }
    const count = fillRun(controller, cq);
    if (count === 0) break;
    posted += count;
  }
  if (posted === 0 || cq.tail === before || controller.completionQueues[cq.cqid] !== cq) return;
  if (controller.coalescing === null || !holdsBack(controller, cq, posted)) raiseInterrupt(controller, cq);
}

/** Writes one contiguous run of entries; returns how many, 0 if the queue is full. */
function fillRun(controller: ControllerState, cq: CompletionQueue): number {
  const { stage } = controller;
  const first = cq.tail;
  const room = cq.head - 1 - first;
  const limit = Math.min(room < 0 ? room + cq.size : room, POST_RUN, cq.size - first);
  let count = cq.fastCount > 0 ? fillFast(controller, cq, limit) : 0;
  while (count < limit && cq.pendingHead !== null) {
    const slot = cq.pendingHead;
    cq.pendingHead = slot.next;
    if (cq.pendingHead === null) cq.pendingTail = null;
    if (writeEntry(controller, cq, slot, count * 4)) count++;
    const sq = slot.sq;
    controller.freeSlot(slot);
    if (sq !== null) {
      sq.outstanding--;
      if (!sq.isQueued && sq.head !== sq.tail) requeueSubmission(controller, sq);
    }
    if (controller.shadowDoorbells && cq.cqid === 0 && count > 0 && cq.pendingHead !== null)
      readShadowHead(controller, cq);
  }
  if (count === 0) return 0;
  if (controller.endpoint.dmaWrite(cq.address + first * 16, stage.bytes, stage.cqeOffset, count * 16) !== 0) {
    fatalError(controller);
    return 0;
  }
  cq.tail = first + count === cq.size ? 0 : first + count;
  if (cq.tail === 0) cq.phase ^= 1;
  return count;
}

/** Builds one entry in the staging; false if a fault plan drops it. */
function writeEntry(controller: ControllerState, cq: CompletionQueue, slot: CommandSlot, at: number): boolean {
  const { cqes } = controller.stage;
  let { sqid, cid, status, dw0 } = slot;
  let sqhd = slot.sq === null ? 0 : slot.sq.head;
  let { phase } = cq;
  const planned = controller.faults?.completion?.(cq.cqid, sqid, cid, status) ?? null;
  const fault: CompletionFault | null = planned ?? slot.fault?.completion ?? null;
  if (fault !== null) {
    if (fault.drop) return false;
    cid = fault.cid ?? cid;
    sqid = fault.sqid ?? sqid;
    sqhd = fault.sqhd ?? sqhd;
    status = fault.status ?? status;
    dw0 = fault.dw0 ?? dw0;
    if (fault.invertPhase) phase ^= 1;
  }
  cqes[at] = dw0;
  cqes[at + 1] = 0;
  cqes[at + 2] = sqhd | (sqid << 16);
  cqes[at + 3] = cid | (phase << 16) | (status << 17);
  return true;
}
