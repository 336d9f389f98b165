/**
 * Completion of requests: what a status means, retrying, logging. Hot path: any context, nothing sleeps or allocates
 * but log lines.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_complete_rq, nvme_complete_batch_req, nvme_cancel_request;
 * nvme.h nvme_try_complete_req, nvme_check_ready.
 */
import {
  BLK_STS_OK,
  BLK_STS_RESOURCE,
  type BlkStatus,
  type IoCompBatch,
  MQ_RQ_COMPLETE,
  MQ_RQ_IN_FLIGHT,
  REQ_FAILFAST_DEV,
  REQ_FAILFAST_DRIVER,
  REQ_FAILFAST_TRANSPORT,
  REQ_OP_DRV_IN,
  REQ_OP_MASK,
  type Request,
  RQF_QUIET,
} from '@nvme-stack/blk-mq/ports';
import {
  NVME_SC_HOST_PATH_ERROR,
  NVME_SC_MASK,
  NVME_SCT,
  NVME_STATUS_CRD,
  NVME_STATUS_DNR,
  NVME_STATUS_MORE,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { hex } from './log.js';
import { nvmeMpathEndRequest, REQ_NVME_MPATH } from './multipath/accounting.js';
import { nvmeFailoverReq, nvmeIsPathError } from './multipath/failover.js';
import type { Ns } from './namespace.js';
import {
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_DELETING_NOIO,
  NVME_CTRL_LIVE,
  NVME_REQ_CANCELLED,
  NVME_REQ_USERCMD,
} from './ports.js';
import { type NvmeRequestData, nvmeReq } from './request.js';
import { nvmeCleanupCmd } from './setup-command.js';
import { nvmeErrorStatus } from './status-map.js';
import { traceNvmeCompleteRq } from './trace-events.js';

const NORETRY = REQ_FAILFAST_DEV | REQ_FAILFAST_TRANSPORT | REQ_FAILFAST_DRIVER;
const CRD_SHIFT = 11;
const CRD_UNIT_NS = 100_000_000;

/** Stores the outcome; true when the request completes on another CPU, else the caller completes it. @kernel drivers/nvme/host/nvme.h nvme_try_complete_req */
export function nvmeTryCompleteReq(rq: Request, status: number, result: number, resultHi: number): boolean {
  const nr = nvmeReq(rq);
  const { ctrl } = nr;
  // An entry that comes twice, or guesses the next generation: its request has ended, and must not end again.
  if (rq.state !== MQ_RQ_IN_FLIGHT) return true;
  nr.genctr = (nr.genctr + ctrl.genctrStep) & 0xff;
  nr.status = status;
  nr.result = result;
  nr.resultHi = resultHi;
  return ctrl.core.blkMq.blkMqCompleteRequestRemote(rq);
}

/** Ends the request or has it sent again. @kernel drivers/nvme/host/core.c nvme_complete_rq */
export function nvmeCompleteRq(rq: Request): void {
  const nr = nvmeReq(rq);
  const { trace } = nr.ctrl.kernel;
  if (trace.functions) trace.enter('nvme_complete_rq');
  if (trace.events) traceNvmeCompleteRq(rq, nr);
  nvmeCleanupCmd(rq);
  switch (nvmeDecideDisposition(rq, nr)) {
    case RETRY:
      retryReq(rq, nr);
      break;
    case FAILOVER:
      nvmeFailoverReq(rq, nr);
      break;
    default:
      endReq(rq, nr);
  }
  if (trace.functions) trace.exit();
}

/** What becomes of a request. @kernel drivers/nvme/host/core.c nvme_disposition */
const COMPLETE = 0;
const RETRY = 1;
const FAILOVER = 2;

/** @kernel drivers/nvme/host/core.c nvme_decide_disposition */
function nvmeDecideDisposition(rq: Request, nr: NvmeRequestData): number {
  if (nr.status === 0) return COMPLETE;
  if (rq.cmdFlags & NORETRY || nr.status & NVME_STATUS_DNR) return COMPLETE;
  const { core, kernel } = nr.ctrl;
  if (core.era.retriesYoungOnly && ageNs(rq, kernel.ex.now()) >= (rq.timeoutNs || rq.q.timeoutNs)) return COMPLETE;
  if (nr.retries >= core.number('max_retries')) return COMPLETE;
  if ((rq.cmdFlags & REQ_NVME_MPATH) !== 0) {
    if (nvmeIsPathError(nr.status) || rq.q.dying) return FAILOVER;
  } else if (rq.q.dying) return COMPLETE;
  return RETRY;
}

/** Since it was made; where no time is taken then, since it was last given to the driver. */
function ageNs(rq: Request, nowNs: number): number {
  return nowNs - (rq.startTimeNs || rq.ioStartTimeNs);
}

/** Again, after the delay the controller asked for. @kernel drivers/nvme/host/core.c nvme_retry_req */
function retryReq(rq: Request, nr: NvmeRequestData): void {
  const { blkMq } = nr.ctrl.core;
  const crd = (nr.status & NVME_STATUS_CRD) >> CRD_SHIFT;
  const delayNs = crd === 0 ? 0 : nr.ctrl.crdt[crd - 1] * CRD_UNIT_NS;
  nr.retries++;
  const { q } = rq;
  blkMq.blkMqRequeueRequest(rq, false);
  blkMq.blkMqDelayKickRequeueList(q, delayNs);
}

/** @kernel drivers/nvme/host/core.c nvme_end_req */
function endReq(rq: Request, nr: NvmeRequestData): void {
  logFailure(rq, nr);
  if ((rq.cmdFlags & REQ_NVME_MPATH) !== 0) nvmeMpathEndRequest(rq, nr);
  const { core, kernel } = nr.ctrl;
  const { trace } = kernel;
  if (trace.functions) trace.enter('nvme_error_status');
  const status = nvmeErrorStatus(core.era.knownStatuses, nr.status);
  if (trace.functions) trace.exit();
  core.blkMq.blkMqEndRequest(rq, status);
}

function logFailure(rq: Request, nr: NvmeRequestData): void {
  if (nr.status === 0 || !nr.ctrl.core.era.logsErrors) return;
  if ((rq.cmdFlags & REQ_OP_MASK) >= REQ_OP_DRV_IN) {
    if (((rq.q.queuedata as Ns | null)?.head ?? nr.ctrl).passthruErrLogEnabled) logPassthru(rq, nr);
  } else if ((rq.rqFlags & RQF_QUIET) === 0) logError(rq, nr);
}

function statusText(status: number): string {
  const more = status & NVME_STATUS_MORE ? 'MORE ' : '';
  const dnr = status & NVME_STATUS_DNR ? 'DNR ' : '';
  return `I/O Error (sct 0x${hex(NVME_SCT(status))} / sc 0x${hex(status & NVME_SC_MASK)}) ${more}${dnr}`;
}

/** The log line of a failed read, write or the like. @kernel drivers/nvme/host/core.c nvme_log_error */
function logError(rq: Request, nr: NvmeRequestData): void {
  const opcode = hex(nr.cmd[0] & 0xff);
  const { printk } = nr.ctrl.kernel;
  const ns = rq.q.queuedata as Ns | null;
  if (ns === null) {
    printk.print('err', `${nr.ctrl.name}: Admin Cmd(0x${opcode}), ${statusText(nr.status)}`);
    return;
  }
  const lba = rq.sector * ns.lbaPerSector;
  const blocks = rq.dataLengthBytes / 2 ** ns.lbaShift;
  printk.print('err', `${ns.disk.name}: I/O Cmd(0x${opcode}) @ LBA ${lba}, ${blocks} blocks, ${statusText(nr.status)}`);
}

/** @kernel drivers/nvme/host/core.c nvme_log_err_passthru */
function logPassthru(rq: Request, { ctrl, cmd, status }: NvmeRequestData): void {
  const ns = rq.q.queuedata as Ns | null;
  const who = ns === null ? `${ctrl.name}: Admin Cmd` : `${ns.disk.name}: I/O Cmd`;
  const dwords = [10, 11, 12, 13, 14, 15].map((n) => `cdw${n}=0x${hex(cmd[n])}`).join(' ');
  ctrl.kernel.printk.print('err', `${who}(0x${hex(cmd[0] & 0xff)}), ${statusText(status)}${dwords}`);
}

/** Ends a batch of successful requests. @kernel drivers/nvme/host/nvme.h nvme_complete_batch */
export function nvmeCompleteBatch(iob: IoCompBatch, unmap: (rq: Request) => void): void {
  const first = iob.first;
  if (first === null) return;
  const { ctrl } = nvmeReq(first);
  const { trace } = ctrl.kernel;
  const traced = trace.functions || trace.events;
  for (let rq: Request | null = first; rq !== null; rq = rq.next) {
    unmap(rq);
    const nr = nvmeReq(rq);
    if (traced) completeBatchReqTraced(rq, nr);
    else if ((nr.specialVecLengthBytes | nr.status | nr.flags) !== 0) nvmeCompleteBatchReq(rq, nr);
  }
  ctrl.core.blkMq.blkMqEndRequestBatch(iob);
}

/** @kernel drivers/nvme/host/core.c nvme_complete_batch_req */
function nvmeCompleteBatchReq(rq: Request, nr: NvmeRequestData): void {
  nvmeCleanupCmd(rq);
  logFailure(rq, nr);
  if ((rq.cmdFlags & REQ_NVME_MPATH) !== 0) nvmeMpathEndRequest(rq, nr);
}

function completeBatchReqTraced(rq: Request, nr: NvmeRequestData): void {
  const { trace } = nr.ctrl.kernel;
  if (trace.functions) trace.enter('nvme_complete_batch_req');
  if (trace.events) traceNvmeCompleteRq(rq, nr);
  nvmeCompleteBatchReq(rq, nr);
  if (trace.functions) trace.exit();
}

/** Whether commands may be sent now. @kernel drivers/nvme/host/nvme.h nvme_check_ready */
export function nvmeCheckReady(ctrl: Ctrl, rq: Request, queueLive: boolean): boolean {
  if (ctrl.state === NVME_CTRL_LIVE) return true;
  if (!ctrl.core.era.checksReady) return queueLive;
  const { trace } = ctrl.kernel;
  if (trace.functions) trace.enter('__nvme_check_ready');
  // The order of a user's commands and those of the start could not be told.
  const ready = rq.q === ctrl.adminQ && nvmeReq(rq).flags & NVME_REQ_USERCMD ? false : queueLive;
  if (trace.functions) trace.exit();
  return ready;
}

/** What to tell the block layer of a command that may not be sent: later, or it has failed. @kernel drivers/nvme/host/core.c nvme_fail_nonready_command */
export function nvmeFailNonreadyCommand(ctrl: Ctrl, rq: Request): BlkStatus {
  const { state } = ctrl;
  const going = state === NVME_CTRL_DELETING || state === NVME_CTRL_DELETING_NOIO || state === NVME_CTRL_DEAD;
  if (!going && (rq.cmdFlags & (NORETRY | REQ_NVME_MPATH)) === 0) return BLK_STS_RESOURCE;
  nvmeReq(rq).status = NVME_SC_HOST_PATH_ERROR;
  rq.state = MQ_RQ_COMPLETE;
  nvmeCompleteRq(rq);
  return BLK_STS_OK;
}

/** For every started request of a controller that stopped; always true. @kernel drivers/nvme/host/core.c nvme_cancel_request */
export function nvmeCancelRequest(rq: Request): boolean {
  if (rq.state !== MQ_RQ_IN_FLIGHT) return true;
  const nr = nvmeReq(rq);
  const { core } = nr.ctrl;
  const { cancelledStatus, cancelInterrupts, lateCommandsFail } = core.era;
  const isLate = (nr.flags & NVME_REQ_CANCELLED) !== 0;
  nr.status = cancelledStatus | (isLate && lateCommandsFail ? NVME_STATUS_DNR : 0);
  if (cancelInterrupts) nr.flags |= NVME_REQ_CANCELLED;
  core.blkMq.blkMqCompleteRequest(rq);
  return true;
}
