/**
 * Requests: made once per tag, filled for each use; and the singly linked lists they stand in.
 * Kernel counterpart: include/linux/blk-mq.h request, rq_list.
 */
import type { BioImpl } from './bio.js';
import type { HwCtx, SwCtx } from './hw-ctx.js';
import type { PartitionImpl } from './partitions/partition.js';
import type { BlkStatus, Request, RqEndIoRet } from './ports.js';
import { MQ_RQ_IDLE, REQ_OP_DRV_IN, REQ_OP_DRV_OUT, REQ_OP_MASK } from './ports.js';
import type { Queue } from './queue.js';
import type { Tags } from './tags.js';

/** The request stands under an I/O scheduler. */
export const RQF_USE_SCHED = 1 << 3;
/** Counted in the disk's in-flight number. */
export const RQF_STATED = 1 << 5;

/**
 * Numbers that may grow beyond 31 bits start as -0, which engines keep as doubles: the shape never changes in use.
 * @kernel include/linux/blk-mq.h request
 */
export class RequestImpl implements Request {
  q: Queue;
  mqHctx: HwCtx;
  mqCtx: SwCtx;
  readonly tags: Tags;
  tag: number;
  cmdFlags = 0;
  rqFlags = 0;
  state = MQ_RQ_IDLE;
  sector = -0;
  dataLengthBytes = -0;
  nrPhysSegments = 0;
  bio: BioImpl | null = null;
  biotail: BioImpl | null = null;
  cpu = 0;
  pdu: unknown = null;
  timeoutNs = -0;
  deadlineNs = -0;
  startTimeNs = -0;
  ioStartTimeNs = -0;
  endIo: ((rq: Request, status: BlkStatus) => RqEndIoRet) | null = null;
  endIoData: unknown = null;
  next: RequestImpl | null = null;
  /** Steps of the flush sequence done. */
  flushSeq = 0;
  /** The request's own end while the flush machinery has it. */
  flushSavedEndIo: ((rq: Request, status: BlkStatus) => RqEndIoRet) | null = null;
  /** The partition its I/O is counted with. */
  part: PartitionImpl | null = null;
  /** Data of driver-private requests, made at first use. */
  ownBio: BioImpl | null = null;
  /** Where its place in the scheduler comes from; null: it holds a tag of the driver's from the start. */
  schedTags: Tags | null = null;
  /** Its tag in `schedTags`. @kernel include/linux/blk-mq.h request.internal_tag */
  internalTag = -1;
  /** When a scheduler must have dispatched it. */
  fifoTimeNs = -0;

  constructor(tags: Tags, tag: number) {
    this.q = null as unknown as Queue;
    this.mqHctx = null as unknown as HwCtx;
    this.mqCtx = null as unknown as SwCtx;
    this.tags = tags;
    this.tag = tag;
  }
}

/** A driver-private request. @kernel include/linux/blk-mq.h blk_rq_is_passthrough */
export function isPassthrough(rq: Request): boolean {
  const op = rq.cmdFlags & REQ_OP_MASK;
  return op === REQ_OP_DRV_IN || op === REQ_OP_DRV_OUT;
}

/** Requests in a row, linked by `next`. @kernel include/linux/blk-mq.h rq_list */
export class RequestList {
  head: RequestImpl | null = null;
  tail: RequestImpl | null = null;
  count = 0;

  pushTail(rq: RequestImpl): void {
    rq.next = null;
    if (this.tail === null) this.head = rq;
    else this.tail.next = rq;
    this.tail = rq;
    this.count++;
  }

  pushHead(rq: RequestImpl): void {
    rq.next = this.head;
    this.head = rq;
    if (this.tail === null) this.tail = rq;
    this.count++;
  }

  shift(): RequestImpl | null {
    const rq = this.head;
    if (rq === null) return null;
    this.head = rq.next;
    if (this.head === null) this.tail = null;
    rq.next = null;
    this.count--;
    return rq;
  }

  /** Takes `rq` out wherever it stands; false when it is not in the list. */
  remove(rq: RequestImpl): boolean {
    let before: RequestImpl | null = null;
    for (let at = this.head; at !== null; before = at, at = at.next) {
      if (at !== rq) continue;
      if (before === null) this.head = rq.next;
      else before.next = rq.next;
      if (this.tail === rq) this.tail = before;
      rq.next = null;
      this.count--;
      return true;
    }
    return false;
  }

  /** Moves everything of `other` behind this list. */
  append(other: RequestList): void {
    for (let rq = other.shift(); rq !== null; rq = other.shift()) this.pushTail(rq);
  }
}
