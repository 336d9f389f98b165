/**
 * The trace events of the nvme subsystem, with the text Linux prints after the event's name.
 * Kernel counterpart: drivers/nvme/host/trace.h, trace.c. Called only behind `trace.events`; allocates.
 */
import type { Request } from '@nvme-stack/blk-mq/ports';
import type { TraceEventType } from '@nvme-stack/kernel';
import { NvmeAdminOpcode, NvmeNvmOpcode, nvmeAsyncEventTypeName, nvmeOpcodeName } from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { hex } from './log.js';
import type { NvmeRequestData } from './request.js';

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

const CDW10_BYTE = 40;
const PRINTED_BYTES = 24;
const WORD = 4294967296;

/** 0 for the admin queue. @kernel drivers/nvme/host/trace.h nvme_req_qid */
function qidOf(rq: Request): number {
  return rq.q.queuedata === null ? 0 : rq.mqHctx.queueNum + 1;
}

function prefix(ctrl: Ctrl, rq: Request): string {
  const { disk } = rq.q;
  return `${ctrl.name}: ${disk === null ? '' : `disk=${disk.name}, `}qid=${qidOf(rq)}`;
}

type CommandText = (w: Uint32Array) => string;

const readWrite: CommandText = (w) =>
  `slba=${w[10] + w[11] * WORD}, len=${w[12] & 0xffff}, ctrl=0x${hex(w[12] >>> 16)}, dsmgmt=${w[13]}, reftag=${w[14]}`;

const ADMIN_TEXT: { readonly [opcode: number]: CommandText | undefined } = {
  [NvmeAdminOpcode.deleteSq]: (w) => `sqid=${w[10] & 0xffff}`,
  [NvmeAdminOpcode.createSq]: (w) =>
    `sqid=${w[10] & 0xffff}, qsize=${w[10] >>> 16}, sq_flags=0x${hex(w[11] & 0xffff)}, cqid=${w[11] >>> 16}`,
  [NvmeAdminOpcode.deleteCq]: (w) => `cqid=${w[10] & 0xffff}`,
  [NvmeAdminOpcode.createCq]: (w) =>
    `cqid=${w[10] & 0xffff}, qsize=${w[10] >>> 16}, cq_flags=0x${hex(w[11] & 0xffff)}, irq_vector=${w[11] >>> 16}`,
  [NvmeAdminOpcode.identify]: (w) => `cns=${w[10] & 0xff}, ctrlid=${w[10] >>> 16}`,
  [NvmeAdminOpcode.setFeatures]: (w) => `fid=0x${hex(w[10] & 0xff)}, sv=0x${hex(w[10] >>> 31)}, cdw11=0x${hex(w[11])}`,
  [NvmeAdminOpcode.getFeatures]: (w) =>
    `fid=0x${hex(w[10] & 0xff)}, sel=0x${hex((w[10] >>> 8) & 7)}, cdw11=0x${hex(w[11])}`,
};

const IO_TEXT: { readonly [opcode: number]: CommandText | undefined } = {
  [NvmeNvmOpcode.read]: readWrite,
  [NvmeNvmOpcode.write]: readWrite,
  [NvmeNvmOpcode.writeZeroes]: readWrite,
  [NvmeNvmOpcode.zoneAppend]: readWrite,
  [NvmeNvmOpcode.dsm]: (w) => `nr=${w[10]}, attributes=${w[11]}`,
};

/** Dwords 10 to 15 as bytes. @kernel drivers/nvme/host/trace.c nvme_trace_common */
function commonText(w: Uint32Array): string {
  const bytes = new Uint8Array(w.buffer, w.byteOffset + CDW10_BYTE, PRINTED_BYTES);
  return `cdw10=${Array.from(bytes, (byte) => hex(byte, 2)).join(' ')}`;
}

/** @kernel drivers/nvme/host/trace.h nvme_setup_cmd */
export function traceNvmeSetupCmd(rq: Request, nr: NvmeRequestData): void {
  const { ctrl, cmd } = nr;
  const qid = qidOf(rq);
  const opcode = cmd[0] & 0xff;
  const cid = cmd[0] >>> 16;
  const text = (qid === 0 ? ADMIN_TEXT : IO_TEXT)[opcode] ?? commonText;
  const meta = (cmd[4] | cmd[5]) !== 0 ? 1 : 0;
  const line =
    `${prefix(ctrl, rq)}, cmdid=${cid}, nsid=${cmd[1]}, flags=0x${hex((cmd[0] >>> 8) & 0xff)}, meta=0x${hex(meta)}, ` +
    `cmd=(${nvmeOpcodeName(qid, opcode)} ${text(cmd)})`;
  ctrl.kernel.trace.event(SETUP_CMD, qid, cid, cmd[1], opcode, line);
}

/** @kernel drivers/nvme/host/trace.h nvme_complete_rq */
export function traceNvmeCompleteRq(rq: Request, nr: NvmeRequestData): void {
  const { ctrl } = nr;
  const cid = nr.cmd[0] >>> 16;
  const result = nr.result + nr.resultHi * WORD;
  const line =
    `${prefix(ctrl, rq)}, cmdid=${cid}, res=0x${hex(result)}, retries=${nr.retries}, ` +
    `flags=0x${hex(nr.flags)}, status=0x${hex(nr.status)}`;
  ctrl.kernel.trace.event(COMPLETE_RQ, qidOf(rq), cid, result, nr.status, line);
}

/** Where the submission queue stands when a command completes. @kernel drivers/nvme/host/trace.h nvme_sq */
export function traceNvmeSq(rq: Request, nr: NvmeRequestData, sqHead: number, sqTail: number): void {
  const line = `${prefix(nr.ctrl, rq)}, head=${sqHead}, tail=${sqTail}`;
  nr.ctrl.kernel.trace.event(SQ, qidOf(rq), sqHead, sqTail, 0, line);
}

/** @kernel drivers/nvme/host/trace.h nvme_async_event */
export function traceNvmeAsyncEvent(ctrl: Ctrl, result: number): void {
  const line = `${ctrl.name}: NVME_AEN=${aenText(result)} [${nvmeAsyncEventTypeName(result)}]`;
  ctrl.kernel.trace.event(ASYNC_EVENT, ctrl.instance, result, 0, 0, line);
}

/** `%#08x`. */
export function aenText(result: number): string {
  return `0x${hex(result, 6)}`;
}
