// The controller's turn: round robin over submission queues, entries fetched in runs, then completions posted.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 §3.4.4.1 (round robin), §3.3.3.
import * as nvme from '@nvme-stack/nvme-protocol';
import { adminCommand } from './admin.js';
import { releaseVector } from './coalescing.js';
import type { CommandSlot } from './command-slot.js';
import { completeCommand, postCompletions } from './completion.js';
import {
  type ControllerState,
  EVENT_BACK,
  EVENT_COALESCED,
  EVENT_COMMAND,
  EVENT_FAULT,
  EVENT_INTERRUPT,
  EVENT_READY,
  EVENT_SHUTDOWN,
  EVENT_UNREADY,
} from './controller-state.js';
import { canServeFast, serveFast } from './fast-rw.js';
import { hardwareDelayNs } from './hardware-delay.js';
import { readMemory } from './host-access.js';
import { raiseInterrupt, signal } from './interrupts.js';
import { nvmCommand, transferLength } from './nvm.js';
import { type CommandFault, FAULT_ALTER, FAULT_DELAY, FAULT_DROP, type FaultPlan } from './ports.js';
import type { SubmissionQueue } from './queues.js';
import { becomeReady, becomeUnready, fatalError, shutdownComplete } from './registers.js';
import { comeBack } from './reset.js';
import { readShadowTail, requeueSubmission, writeEventIdxTail } from './shadow-doorbells.js';
import { FETCH_RUN } from './stage.js';
import { PENDING } from './status.js';
import * as trace from './trace-events.js';

/** Commands fetched in one turn at most; the rest waits for the next one. */
const TURN_BUDGET = 0x10000;
const SQE_BYTES = 64;

/** True while the controller runs commands. */
function isRunning(controller: ControllerState): boolean {
  return (controller.registers.csts & (nvme.NVME_CSTS_RDY | nvme.NVME_CSTS_CFS)) === nvme.NVME_CSTS_RDY;
}

/** Serves submission queues in turn until none has work, then posts completions. Device context. */
export function takeTurn(controller: ControllerState): void {
  if (controller.isInDevice || !isRunning(controller)) return;
  controller.isInDevice = true;
  const { generation } = controller;
  let budget = TURN_BUDGET;
  do {
    for (let sq = controller.firstQueued; sq !== null && budget > 0; sq = controller.firstQueued) {
      controller.firstQueued = sq.nextQueued;
      if (sq.nextQueued === null) controller.lastQueued = null;
      sq.isQueued = false;
      budget -= serveQueue(controller, sq);
      if (controller.generation !== generation || !isRunning(controller)) break;
    }
    if (controller.generation !== generation || !isRunning(controller)) break;
    // Posting frees slots, which may give a queue that was held back its turn.
    postCompletions(controller);
  } while (controller.firstQueued !== null && budget > 0 && controller.generation === generation);
  controller.isInDevice = false;
  if (controller.firstQueued !== null && isRunning(controller)) controller.host?.defer();
}

/** One queue's turn: one run of entries; returns how many commands it took. */
function serveQueue(controller: ControllerState, sq: SubmissionQueue): number {
  const usesShadow = controller.shadowDoorbells && sq.shadowAddress !== 0;
  if (usesShadow && sq.shadowIsFresh) {
    sq.shadowIsFresh = false;
    readShadowTail(controller, sq);
  }
  const { generation } = controller;
  const count = fetchRun(controller, sq);
  if (count === 0 || controller.generation !== generation || !isRunning(controller)) return count;
  if (controller.shadowDoorbells && sq.shadowAddress !== 0 && controller.submissionQueues[sq.sqid] === sq) {
    writeEventIdxTail(controller, sq);
    readShadowTail(controller, sq);
  }
  if (sq.head !== sq.tail && sq.outstanding < sq.size) requeueSubmission(controller, sq);
  return count;
}

/** Fetches one contiguous run with one read and starts each command; admin commands come one at a time. */
function fetchRun(controller: ControllerState, sq: SubmissionQueue): number {
  const { stage, generation } = controller;
  const contiguous = sq.tail >= sq.head ? sq.tail - sq.head : sq.size - sq.head;
  const { entryBytes } = sq;
  const run = sq.sqid === 0 ? 1 : (FETCH_RUN * SQE_BYTES) / entryBytes;
  const count = Math.min(contiguous, run, sq.size - sq.outstanding);
  if (count <= 0) return 0;
  const address = sq.address + sq.head * entryBytes;
  if (readMemory(controller, address, stage.bytes, stage.sqeOffset, count * entryBytes) !== 0) {
    fatalError(controller);
    return 0;
  }
  const isFast = canServeFast(controller, sq);
  for (let i = 0; i < count; i++) {
    if (isFast) i = serveFast(controller, sq, i, count);
    if (i === count || controller.generation !== generation) break;
    const slot = controller.takeSlot();
    slot.load(stage.sqes, (i * entryBytes) >>> 2);
    slot.sq = sq;
    slot.sqid = sq.sqid;
    sq.outstanding++;
    sq.head = sq.head + 1 === sq.size ? 0 : sq.head + 1;
    startCommand(controller, slot);
    if (controller.generation !== generation) break;
  }
  return count;
}

/** Runs a command now, or arms the event that will. */
function startCommand(controller: ControllerState, slot: CommandSlot): void {
  if (controller.tracing) traceCommand(controller, slot);
  if (controller.latency === null && controller.faults === null && !controller.hasDelays) {
    executeCommand(controller, slot);
    return;
  }
  let delayNs = controller.hasDelays ? hardwareDelayNs(controller, slot) : 0;
  if (controller.latency !== null) {
    const length = transferLength(controller, slot);
    delayNs += controller.latency.latencyNs(slot.sqid, slot.opcode, slot.nsid, length);
  }
  const { generation } = controller;
  const fault = controller.faults === null ? null : faultOf(controller.faults, slot);
  // What befell the controller as a whole took the command with it.
  if (controller.generation !== generation || !isRunning(controller)) return;
  if (fault !== null) {
    if (fault.kind === FAULT_DROP) slot.isDropped = true;
    else if (fault.kind === FAULT_DELAY) delayNs += fault.delayNs;
    else if (fault.kind === FAULT_ALTER) slot.fault = fault;
    else completeCommand(controller, slot, fault.status);
    if (fault.kind !== FAULT_DELAY && fault.kind !== FAULT_ALTER) return;
  }
  if (delayNs > 0) slot.ticket = controller.schedule(delayNs, EVENT_COMMAND, slot.index);
  else executeCommand(controller, slot);
}

function faultOf(faults: FaultPlan, slot: CommandSlot): CommandFault | null {
  if (faults.command === undefined) return null;
  const { sqid, cid, opcode, nsid, cdw10, cdw11, cdw12 } = slot;
  return faults.command(sqid, cid, opcode, nsid, cdw11 * 0x100000000 + cdw10, (cdw12 & 0xffff) + 1, cdw10);
}

function executeCommand(controller: ControllerState, slot: CommandSlot): void {
  const status = slot.sqid === 0 ? adminCommand(controller, slot) : nvmCommand(controller, slot);
  if (status !== PENDING) completeCommand(controller, slot, status);
}

function traceCommand(controller: ControllerState, slot: CommandSlot): void {
  const { host } = controller;
  if (slot.sqid === 0) host?.trace(trace.TRACE_ADMIN_CMD, slot.cid, 0, slot.opcode, slot.cdw10);
  else host?.trace(trace.TRACE_IO_CMD, slot.cid, slot.nsid, slot.sqid, slot.opcode);
  host?.trace(trace.TRACE_CMD_DWORDS, slot.nsid, slot.cdw11, slot.cdw12, slot.cdw13);
}

/** Serves the events that are due, posts what they completed and arms the next. Device context. */
export function serveEvents(controller: ControllerState): void {
  const { events, host } = controller;
  if (host === null || controller.isInDevice) return;
  controller.isInDevice = true;
  const { generation } = controller;
  const now = host.nowNs();
  while (events.count > 0 && events.nextTimeNs <= now && controller.generation === generation) {
    const kind = events.kinds[0] as number;
    const arg = events.args[0] as number;
    const sequence = events.sequences[0] as number;
    events.pop();
    if (kind === EVENT_READY) becomeReady(controller);
    else if (kind === EVENT_SHUTDOWN) shutdownComplete(controller);
    else if (kind === EVENT_COMMAND) serveTimedCommand(controller, controller.slots[arg] as CommandSlot, sequence);
    else if (kind === EVENT_UNREADY) becomeUnready(controller);
    else if (kind === EVENT_INTERRUPT) lateInterrupt(controller, arg);
    else if (kind === EVENT_FAULT) controller.injector?.serveTime(now);
    else if (kind === EVENT_BACK) comeBack(controller);
    else if (kind === EVENT_COALESCED) coalescedInterrupt(controller, arg);
  }
  if (controller.generation === generation) {
    if (isRunning(controller)) postCompletions(controller);
    host.alarmAt(events.nextTimeNs);
    if (controller.firstQueued !== null) host.defer();
  }
  controller.isInDevice = false;
}

function coalescedInterrupt(controller: ControllerState, vector: number): void {
  const cq = releaseVector(controller, vector);
  if (cq !== null) raiseInterrupt(controller, cq);
}

function lateInterrupt(controller: ControllerState, cqid: number): void {
  const cq = controller.completionQueues[cqid] ?? null;
  if (cq !== null) signal(controller, cq);
}

/** A command aborted in the meantime has another ticket, and is left alone. */
function serveTimedCommand(controller: ControllerState, slot: CommandSlot, sequence: number): void {
  if (slot.ticket !== sequence) return;
  slot.ticket = 0;
  executeCommand(controller, slot);
}
