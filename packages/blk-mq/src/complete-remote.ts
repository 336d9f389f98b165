/**
 * Completion on the CPU that submitted: an interrupt between CPUs, then a softirq.
 * Kernel counterpart: block/blk-mq.c (blk_mq_complete_request_remote, blk_done_softirq).
 */
import type { Item } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import { type IoCompBatch, MQ_RQ_COMPLETE, REQ_POLLED, type Request } from './ports.js';
import { type RequestImpl, RequestList } from './request.js';

/** What other CPUs completed for one CPU. @kernel block/blk-mq.c blk_cpu_done */
export class BlkDone {
  readonly blk: Blk;
  readonly list = new RequestList();
  readonly ipi: Item;
  readonly softirq: Item;

  constructor(blk: Blk, cpu: number) {
    this.blk = blk;
    this.softirq = blk.ex.item('softirq', cpu, blkDoneSoftirq, this);
    this.ipi = blk.ex.item('hardirq', cpu, raiseSoftirq, this);
  }
}

/** @kernel block/blk-mq.c __blk_mq_complete_request_remote */
function raiseSoftirq(done: BlkDone): void {
  const { ex, kernel } = done.blk;
  ex.charge(kernel.costs.interruptNs);
  ex.post(done.softirq);
}

/** @kernel block/blk-mq.c blk_done_softirq */
function blkDoneSoftirq(done: BlkDone): void {
  const { list } = done;
  const { trace } = done.blk;
  if (trace.functions) trace.enter('blk_done_softirq');
  for (let rq = list.shift(); rq !== null; rq = list.shift()) rq.q.tagSet.ops.complete?.(rq);
  if (trace.functions) trace.exit();
}

/** Any context. @kernel block/blk-mq.c blk_mq_complete_request_remote */
export function completeRequestRemote(blk: Blk, rq: RequestImpl): boolean {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_complete_request_remote');
  const remote = sendAway(blk, rq);
  if (blk.functions) trace.exit();
  return remote;
}

function sendAway(blk: Blk, rq: RequestImpl): boolean {
  rq.state = MQ_RQ_COMPLETE;
  const { ex } = blk;
  const { cpu } = ex;
  if ((rq.cmdFlags & REQ_POLLED) !== 0) return false;
  if (cpu === rq.cpu) {
    // With one hardware queue for all CPUs the interrupt handler is kept short.
    if (rq.q.hctxs.length > 1 || rq.mqHctx.cpus.length === 1 || !blk.era.oneQueueEndsInSoftirq) return false;
    const done = blk.done[cpu];
    done.list.pushTail(rq);
    ex.post(done.softirq);
    return true;
  }
  if (rq.q.rqAffinity === 0 || !blk.kernel.cpus.isOnline(rq.cpu)) return false;
  const done = blk.done[rq.cpu];
  done.list.pushTail(rq);
  ex.post(done.ipi);
  return true;
}

/** @kernel block/blk-mq.c blk_mq_complete_request */
export function completeRequestAnywhere(blk: Blk, rq: RequestImpl): void {
  if (!completeRequestRemote(blk, rq)) rq.q.tagSet.ops.complete?.(rq);
}

/** @kernel include/linux/blkdev.h io_comp_batch */
export class CompBatch implements IoCompBatch {
  first: Request | null = null;
  last: Request | null = null;
  needTs = false;
  timeNs = -0;
  complete: ((iob: IoCompBatch) => void) | null = null;
}

/** @kernel include/linux/blk-mq.h blk_mq_add_to_batch */
export function addToBatch(
  rq: Request,
  iob: IoCompBatch | null,
  isError: boolean,
  complete: (iob: IoCompBatch) => void,
): boolean {
  if (iob === null || isError || rq.endIo !== null) return false;
  if (iob.complete === null) iob.complete = complete;
  else if (iob.complete !== complete) return false;
  rq.next = null;
  if (iob.last === null) iob.first = rq;
  else iob.last.next = rq;
  iob.last = rq;
  return true;
}

/** Moves what stands first in the list, is to end here and is of one queue to the batch, as it hangs together; returns the rest. Untraced only. */
function joinBatch(
  blk: Blk,
  list: RequestImpl,
  iob: IoCompBatch,
  complete: (iob: IoCompBatch) => void,
): RequestImpl | null {
  if (!blk.untraced || (iob.complete !== null && iob.complete !== complete)) return list;
  const { cpu } = blk.ex;
  const { mqHctx } = list;
  if (list.q.hctxs.length === 1 && mqHctx.cpus.length !== 1) return list;
  let last: RequestImpl | null = null;
  let rq: RequestImpl | null = list;
  while (rq !== null && rq.cpu === cpu && rq.mqHctx === mqHctx && rq.endIo === null) {
    rq.state = MQ_RQ_COMPLETE;
    last = rq;
    rq = rq.next;
  }
  if (last === null) return list;
  last.next = null;
  iob.complete = complete;
  if (iob.last === null) iob.first = list;
  else iob.last.next = list;
  iob.last = last;
  return rq;
}

/** Completes a list of successful requests: into the batch, or on the CPU they came from. Any context. */
export function completeToBatch(
  blk: Blk,
  list: RequestImpl,
  iob: IoCompBatch,
  complete: (iob: IoCompBatch) => void,
): void {
  for (let rq: RequestImpl | null = list; rq !== null; ) {
    const rest = joinBatch(blk, rq, iob, complete);
    if (rest !== rq) {
      rq = rest;
      continue;
    }
    const { next }: RequestImpl = rq;
    rq.next = null;
    if (!completeRequestRemote(blk, rq) && !addToBatch(rq, iob, false, complete)) rq.q.tagSet.ops.complete?.(rq);
    rq = next;
  }
}
