/**
 * The trace events of the nvme subsystem, with the text Linux prints after the event's name.
 * Kernel counterpart: drivers/nvme/host/trace.h, trace.c. Called only behind `trace.events`; allocates.
 */
import type { Request } from '@nvme-stack/blk-mq/ports';
import type { TraceEventType } from '@nvme-stack/kernel';
import { nvmeAsyncEventTypeName } from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { hex } from './log.js';
import type { NvmeRequestData } from './request.js';
import { commandText, hex64 } from './trace-commands.js';

const SETUP_CMD: TraceEventType = {
  name: 'nvme_setup_cmd',
  kind: 'nvme',
  fields: ['qid', 'cmdid', 'nsid', 'opcode'],
  textField: 'text',
};
const COMPLETE_RQ: TraceEventType = {
  name: 'nvme_complete_rq',
  kind: 'nvme',
  fields: ['qid', 'cmdid', 'result', 'status'],
  textField: 'text',
};
const SQ: TraceEventType = { name: 'nvme_sq', kind: 'nvme', fields: ['qid', 'head', 'tail'], textField: 'text' };
const ASYNC_EVENT: TraceEventType = {
  name: 'nvme_async_event',
  kind: 'nvme',
  fields: ['ctrl_id', 'result'],
  textField: 'text',
};

const WORD = 4294967296;

/** 0 for the admin queue. @kernel drivers/nvme/host/trace.h nvme_req_qid */
function qidOf(rq: Request): number {
  return rq.q.queuedata === null ? 0 : rq.mqHctx.queueNum + 1;
}

function prefix(ctrl: Ctrl, rq: Request): string {
  const { disk } = rq.q;
  return `${ctrl.name}: ${disk === null ? '' : `disk=${disk.name}, `}qid=${qidOf(rq)}`;
}

/** @kernel drivers/nvme/host/trace.h nvme_setup_cmd */
export function traceNvmeSetupCmd(rq: Request, nr: NvmeRequestData): void {
  const { ctrl, cmd } = nr;
  if (!ctrl.core.era.traceEvents) return;
  const qid = qidOf(rq);
  const opcode = cmd[0] & 0xff;
  const cid = cmd[0] >>> 16;
  const meta = (cmd[4] | cmd[5]) !== 0 ? 1 : 0;
  const line =
    `${prefix(ctrl, rq)}, cmdid=${cid}, nsid=${cmd[1]}, flags=0x${hex((cmd[0] >>> 8) & 0xff)}, meta=0x${hex(meta)}, ` +
    `cmd=(${commandText(qid, cmd)})`;
  ctrl.kernel.trace.event(SETUP_CMD, qid, cid, cmd[1], opcode, line);
}

/** @kernel drivers/nvme/host/trace.h nvme_complete_rq */
export function traceNvmeCompleteRq(rq: Request, nr: NvmeRequestData): void {
  const { ctrl } = nr;
  if (!ctrl.core.era.traceEvents) return;
  const cid = nr.cmd[0] >>> 16;
  const result = nr.result + nr.resultHi * WORD;
  const line =
    `${prefix(ctrl, rq)}, cmdid=${cid}, res=0x${hex64(nr.result, nr.resultHi)}, retries=${nr.retries}, ` +
    `flags=0x${hex(nr.flags)}, status=0x${hex(nr.status)}`;
  ctrl.kernel.trace.event(COMPLETE_RQ, qidOf(rq), cid, result, nr.status, line);
}

/** Where the submission queue stands when a command completes. @kernel drivers/nvme/host/trace.h nvme_sq */
export function traceNvmeSq(rq: Request, nr: NvmeRequestData, sqHead: number, sqTail: number): void {
  if (!nr.ctrl.core.era.traceEvents) return;
  const line = `${prefix(nr.ctrl, rq)}, head=${sqHead}, tail=${sqTail}`;
  nr.ctrl.kernel.trace.event(SQ, qidOf(rq), sqHead, sqTail, 0, line);
}

/** @kernel drivers/nvme/host/trace.h nvme_async_event */
export function traceNvmeAsyncEvent(ctrl: Ctrl, result: number): void {
  if (!ctrl.core.era.traceEvents) return;
  const line = `${ctrl.name}: NVME_AEN=${aenText(result)} [${nvmeAsyncEventTypeName(result)}]`;
  ctrl.kernel.trace.event(ASYNC_EVENT, ctrl.instance, result, 0, 0, line);
}

/** `%#08x`. */
export function aenText(result: number): string {
  return `0x${hex(result, 6)}`;
}
