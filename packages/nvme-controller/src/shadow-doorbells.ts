// Shadow doorbells and event indexes: the host's doorbells in memory, and when it must ring the real ones.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_dbbuf_update_and_check_event. Spec: [NVMe] 2.0 §5.8, §B.5.
import type { ControllerState } from './controller-state.js';
import type { CompletionQueue, SubmissionQueue } from './queues.js';
import { fatalError } from './registers.js';
import * as trace from './trace-events.js';

/** Puts a submission queue with work into the arbiter's ring and asks for a turn. */
export function requeueSubmission(controller: ControllerState, sq: SubmissionQueue): void {
  if (!sq.isQueued) {
    sq.isQueued = true;
    sq.nextQueued = null;
    if (controller.lastQueued === null) controller.firstQueued = sq;
    else controller.lastQueued.nextQueued = sq;
    controller.lastQueued = sq;
  }
  if (!controller.isInDevice) controller.host?.defer();
}

/** Gives a queue its words in the buffers, publishes where it stands and asks to be rung when it moves on. */
export function bindShadow(controller: ControllerState, queue: SubmissionQueue | CompletionQueue): void {
  const isCompletion = 'cqid' in queue;
  const qid = isCompletion ? queue.cqid : queue.sqid;
  const offset = (2 * qid + (isCompletion ? 1 : 0)) * (4 << controller.description.dstrd);
  queue.shadowAddress = controller.shadowBase + offset;
  queue.eventIdxAddress = controller.eventIdxBase + offset;
  const position = isCompletion ? queue.head : queue.tail;
  writeWord(controller, queue.shadowAddress, position);
  // A host that has used the queue before this command must not take the next entry for one it need not ring for.
  writeWord(controller, queue.eventIdxAddress, position);
}

/** Writes one dword of host memory. */
export function writeWord(controller: ControllerState, address: number, value: number): void {
  const { stage } = controller;
  stage.word[0] = value;
  if (controller.endpoint.dmaWrite(address, stage.bytes, stage.wordOffset, 4) !== 0) fatalError(controller);
}

function readWord(controller: ControllerState, address: number): number {
  const { stage } = controller;
  if (controller.endpoint.dmaRead(address, stage.bytes, stage.wordOffset, 4) !== 0) {
    fatalError(controller);
    return -1;
  }
  return stage.word[0] as number;
}

/** Takes the host's tail from memory; a value beyond the queue is ignored. */
export function readShadowTail(controller: ControllerState, sq: SubmissionQueue): void {
  const tail = readWord(controller, sq.shadowAddress);
  if (tail >= 0 && tail < sq.size) sq.tail = tail;
  if (controller.tracing) controller.host?.trace(trace.TRACE_SHADOW_DOORBELL_SQ, sq.sqid, tail, 0, 0);
}

/** Tells the host that a tail beyond the present one must be rung. */
export function writeEventIdxTail(controller: ControllerState, sq: SubmissionQueue): void {
  if (controller.tracing) controller.host?.trace(trace.TRACE_EVENTIDX_SQ, sq.sqid, sq.tail, 0, 0);
  writeWord(controller, sq.eventIdxAddress, sq.tail);
}

/** Asks to be rung when the head moves on, then takes it from memory; a head that frees what is free is ignored. */
export function readShadowHead(controller: ControllerState, cq: CompletionQueue): void {
  writeWord(controller, cq.eventIdxAddress, cq.head);
  const head = readWord(controller, cq.shadowAddress);
  if (head >= 0 && head < cq.size && isConsumable(cq, head)) cq.head = head;
  if (controller.tracing) controller.host?.trace(trace.TRACE_SHADOW_DOORBELL_CQ, cq.cqid, head, 0, 0);
}

/** True if a new head lies between the old one and the tail. */
export function isConsumable(cq: CompletionQueue, head: number): boolean {
  const consumed = head - cq.head;
  const posted = cq.tail - cq.head;
  return (consumed < 0 ? consumed + cq.size : consumed) <= (posted < 0 ? posted + cq.size : posted);
}
