// The short way of plain reads and writes: straight from the staged entry to the store and to the entries to post.
// Kernel counterpart: none (the hardware). Spec: [NVM] 1.0 §3.2.4, §3.2.6; [NVMe] 2.0 §4.1.1. What is not plain is left to nvm.ts.
import { NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import {
  type CommandSlot,
  MOVE_FROM_HOST,
  MOVE_TO_HOST,
  SLOT_FREE,
  SLOT_IN_STORE,
  SLOT_ORPHAN,
} from './command-slot.js';
import { finishStoreRequest, markDirty } from './completion.js';
import type { ControllerState } from './controller-state.js';
import type { Namespace } from './namespace.js';
import { BLOCK_STORE_OK } from './ports.js';
import { type CompletionQueue, FAST_ENTRIES, type SubmissionQueue } from './queues.js';
import { readAhead } from './read-ahead.js';
import { requeueSubmission } from './shadow-doorbells.js';
import { SC_SUCCESS } from './status.js';

const { read: READ, write: WRITE } = NvmeNvmOpcode;

/** FUSE and PSDT in dword 0: a plain command is not fused and has PRPs. */
const NOT_PLAIN = 0xc300;
/** Force Unit Access in dword 12. */
const FUA = 0x40000000;

/** True if a queue's reads and writes may go the short way: nobody watches, delays or disturbs commands. */
export function canServeFast(controller: ControllerState, sq: SubmissionQueue): boolean {
  if (controller.hasDelays || controller.streams !== null || sq.entryBytes !== 64) return false;
  return sq.sqid !== 0 && !controller.tracing && controller.latency === null && controller.faults === null;
}

/**
 * Executes the staged entries from index `from` on, as long as they are reads or writes within the namespace and MDTS, of
 * at most two pages, that nothing is wrong with. Returns the index of the first it left alone; the queue's head stands
 * there. A reset under way ends it early.
 */
export function serveFast(controller: ControllerState, sq: SubmissionQueue, from: number, count: number): number {
  const { generation, namespaces, maxTransferBytes, pageBytes } = controller;
  const { sqes } = controller.stage;
  const { cq } = sq;
  const pageMask = pageBytes - 1;
  if (count - from > 1) readAhead(controller, from, count);
  let slot: CommandSlot | null = null;
  let i = from;
  for (; i < count; i++) {
    const at = i * 16;
    const dw0 = sqes[at] as number;
    const opcode = dw0 & 0xff;
    if ((opcode !== READ && opcode !== WRITE) || (dw0 & NOT_PLAIN) !== 0) break;
    if (cq.pendingHead !== null || cq.fastCount === FAST_ENTRIES || (cq.fastSq !== sq && cq.fastCount !== 0)) break;
    const nsid = sqes[at + 1] as number;
    if (nsid >= namespaces.length) break;
    const namespace = namespaces[nsid] as Namespace | null;
    if (namespace === null || !namespace.isActive) break;
    const cdw12 = sqes[at + 12] as number;
    if (opcode === WRITE && (namespace.readOnly || (cdw12 & FUA) !== 0 || !controller.features.writeCache)) break;

    const slba = (sqes[at + 11] as number) * 0x100000000 + (sqes[at + 10] as number);
    const blocks = (cdw12 & 0xffff) + 1;
    const length = blocks * namespace.blockSize;
    if (length > maxTransferBytes || slba + blocks > namespace.plainBlocks) break;

    const prp1Lo = sqes[at + 6] as number;
    if ((prp1Lo & 3) !== 0) break;
    const room = pageBytes - (prp1Lo & pageMask);
    const first = Math.min(length, room);
    const second = length - first;
    if (second > pageBytes || (second > 0 && ((sqes[at + 8] as number) & pageMask) !== 0)) break;

    if (slot === null) slot = takeInlineSlot(controller, sq);
    sq.outstanding++;
    sq.head = sq.head + 1 === sq.size ? 0 : sq.head + 1;
    slot.state = SLOT_IN_STORE;
    slot.opcode = opcode;
    slot.entry = at;
    slot.status = SC_SUCCESS;
    slot.lengthBytes = length;
    slot.isInline = true;

    const { segments } = slot;
    const { addresses, lengths } = segments;
    const address = (sqes[at + 7] as number) * 0x100000000 + prp1Lo;
    segments.totalBytes = length;
    segments.index = 0;
    segments.within = 0;
    segments.count = 1;
    addresses[0] = address;
    lengths[0] = length;
    if (second > 0) {
      const next = (sqes[at + 9] as number) * 0x100000000 + (sqes[at + 8] as number);
      if (next !== address + first) {
        segments.count = 2;
        lengths[0] = first;
        addresses[1] = next;
        lengths[1] = second;
      }
    }

    const start = slba * namespace.blockSize;
    if (opcode === READ) {
      slot.move = MOVE_TO_HOST;
      namespace.store.read(start, length, slot);
    } else {
      slot.move = MOVE_FROM_HOST;
      namespace.store.write(start, length, slot);
    }
    if (slot.isInline) becomeGeneral(controller, slot);
    if (controller.generation !== generation) return i + 1;
    slot = controller.inlineSlot;
  }
  return i;
}

/** The slot that inline commands use one after the other; it is out of the free list, and counts while isInline. */
function takeInlineSlot(controller: ControllerState, sq: SubmissionQueue): CommandSlot {
  let slot = controller.inlineSlot;
  if (slot === null) {
    slot = controller.takeSlot();
    slot.state = SLOT_FREE;
    controller.activeSlots--;
    controller.inlineSlot = slot;
  }
  slot.sq = sq;
  return slot;
}

/** The store takes its time, or something is wrong: the slot is what the general path would have made of it. */
function becomeGeneral(controller: ControllerState, slot: CommandSlot): void {
  const { status } = slot;
  slot.isInline = false;
  controller.inlineSlot = null;
  controller.activeSlots++;
  if (slot.state === SLOT_ORPHAN) return;
  slot.load(controller.stage.sqes, slot.entry);
  slot.status = status;
  slot.sqid = (slot.sq as SubmissionQueue).sqid;
  slot.namespace = controller.namespaces[slot.nsid] as Namespace;
  slot.steps = 0;
  slot.ticket = 0;
}

/** The store is done before its call returned: a command that succeeded waits for posting as a mere identifier. */
export function finishInline(controller: ControllerState, slot: CommandSlot, storeStatus: number): void {
  const sq = slot.sq as SubmissionQueue;
  const { cq } = sq;
  // A reset, or a command that ended in the meantime and must be posted first.
  const isPlain = slot.state === SLOT_IN_STORE && cq.pendingHead === null;
  if (!isPlain || storeStatus !== BLOCK_STORE_OK || slot.status !== SC_SUCCESS) {
    becomeGeneral(controller, slot);
    finishStoreRequest(controller, slot, storeStatus);
    return;
  }
  const { health } = controller;
  if (slot.opcode === READ) {
    health.hostReadCommands++;
    health.bytesRead += slot.lengthBytes;
  } else {
    health.hostWriteCommands++;
    health.bytesWritten += slot.lengthBytes;
  }
  if (cq.fastSq !== sq) cq.fastSq = sq;
  cq.fastCids[cq.fastCount++] = (controller.stage.sqes[slot.entry] as number) >>> 16;
  if (!cq.isDirty) markDirty(controller, cq);
  slot.isInline = false;
  slot.state = SLOT_FREE;
}

/** Builds the entries of at most `limit` such commands, the oldest first, in the staging; returns how many. */
export function fillFast(controller: ControllerState, cq: CompletionQueue, limit: number): number {
  const { fastCids, fastCount } = cq;
  const sq = cq.fastSq as SubmissionQueue;
  const { cqes } = controller.stage;
  const count = Math.min(fastCount, limit);
  if (count <= 0) return 0;
  const dw2 = sq.head | (sq.sqid << 16);
  const phase = cq.phase << 16;
  for (let i = 0; i < count; i++) {
    const at = i * 4;
    cqes[at] = 0;
    cqes[at + 1] = 0;
    cqes[at + 2] = dw2;
    cqes[at + 3] = (fastCids[i] as number) | phase;
  }
  if (count < fastCount) fastCids.copyWithin(0, count, fastCount);
  cq.fastCount = fastCount - count;
  sq.outstanding -= count;
  if (!sq.isQueued && sq.head !== sq.tail) requeueSubmission(controller, sq);
  return count;
}

/** Commands fetched and not posted: those in slots and those that wait as identifiers. */
export function countOutstanding(controller: ControllerState): number {
  let count = controller.activeSlots + (controller.inlineSlot?.isInline ? 1 : 0);
  for (const cq of controller.completionQueues) count += cq === null ? 0 : cq.fastCount;
  return count;
}
