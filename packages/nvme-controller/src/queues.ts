// Submission and completion queues as the controller keeps them.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c struct nvme_queue. Spec: [NVMe] 2.0 §3.3.1.
import type { CommandSlot } from './command-slot.js';

/** Commands a completion queue can remember by their identifier alone. */
export const FAST_ENTRIES = 64;

/** A submission queue. Invariant: outstanding commands never exceed its size, so that slots stay bounded. */
export class SubmissionQueue {
  readonly sqid: number;
  readonly size: number;
  readonly address: number;
  readonly cq: CompletionQueue;
  /** From one entry to the next; a command is the first 64 bytes. */
  readonly entryBytes: number;
  head: number;
  tail: number;
  /** Commands fetched whose completion is not posted yet. */
  outstanding: number;
  /** Addresses of shadow doorbell and event index; 0 while there is none. */
  shadowAddress: number;
  eventIdxAddress: number;
  /** True while it waits for its turn, and which queue's turn comes after. */
  isQueued: boolean;
  nextQueued: SubmissionQueue | null;
  /** Set by a doorbell, so that the shadow is read before the next fetch. */
  shadowIsFresh: boolean;

  constructor(sqid: number, size: number, address: number, cq: CompletionQueue, entryBytes = 64) {
    this.sqid = sqid;
    this.size = size;
    this.address = address;
    this.cq = cq;
    this.entryBytes = entryBytes;
    this.head = 0;
    this.tail = 0;
    this.outstanding = 0;
    this.shadowAddress = 0;
    this.eventIdxAddress = 0;
    this.isQueued = false;
    this.nextQueued = null;
    this.shadowIsFresh = false;
  }
}

/** A completion queue. Invariant: tail never moves onto head; what does not fit waits in the pending list. */
export class CompletionQueue {
  readonly cqid: number;
  readonly size: number;
  readonly address: number;
  readonly vector: number;
  readonly irqEnabled: boolean;
  head: number;
  tail: number;
  /** The phase tag of the current pass: 1 in the first. */
  phase: number;
  /** Submission queues that complete here. */
  sqCount: number;
  shadowAddress: number;
  eventIdxAddress: number;
  /** Commands of fastSq that succeeded the short way, not posted yet: fastCount identifiers, older than any pending. */
  readonly fastCids: Uint16Array;
  fastCount: number;
  fastSq: SubmissionQueue | null;
  /** Completed commands in order, not posted yet. */
  pendingHead: CommandSlot | null;
  pendingTail: CommandSlot | null;
  /** True while it waits to be posted to, and which queue comes after. */
  isDirty: boolean;
  nextDirty: CompletionQueue | null;

  constructor(cqid: number, size: number, address: number, vector: number, irqEnabled: boolean) {
    this.cqid = cqid;
    this.size = size;
    this.address = address;
    this.vector = vector;
    this.irqEnabled = irqEnabled;
    this.head = 0;
    this.tail = 0;
    this.phase = 1;
    this.sqCount = 0;
    this.shadowAddress = 0;
    this.eventIdxAddress = 0;
    this.fastCids = new Uint16Array(FAST_ENTRIES);
    this.fastCount = 0;
    this.fastSq = null;
    this.pendingHead = null;
    this.pendingTail = null;
    this.isDirty = false;
    this.nextDirty = null;
  }
}
