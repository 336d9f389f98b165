/**
 * The core's part of a request, and how a driver-private request is prepared.
 * Kernel counterpart: drivers/nvme/host/nvme.h nvme_request, core.c nvme_init_request.
 */

import type { BlkMqTagSet } from '@nvme-stack/blk-mq/ports';
import {
  HCTX_TYPE_POLL,
  MQ_RQ_COMPLETE,
  REQ_FAILFAST_DRIVER,
  REQ_POLLED,
  type Request,
  RQF_DONTPREP,
  RQF_QUIET,
} from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import type { CoreState } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog, hex } from './log.js';
import type { NvmePdu, NvmeRequest } from './ports.js';

/** Words of a command. */
export const COMMAND_WORDS = 16;
/** PSDT bits of the flags byte, in word 0: the transport chooses PRP or SGL. */
const PSDT_IN_WORD_0 = 0xc000;
const GENCTR_SHIFT = 12;
const GENCTR_MASK = 0xf;
const NS_PER_SECOND = 1e9;

/** Made once per request. */
export class NvmeRequestData implements NvmeRequest {
  readonly ctrl: Ctrl;
  readonly cmd: Uint32Array;
  genctr: number;
  result: number;
  resultHi: number;
  status: number;
  retries: number;
  flags: number;
  specialVecAddr: number;
  specialVecLengthBytes: number;
  /** When a head's disk began to count it. */
  mpathStartNs: number;

  constructor(ctrl: Ctrl) {
    this.ctrl = ctrl;
    this.cmd = new Uint32Array(COMMAND_WORDS);
    this.genctr = 0;
    this.result = 0;
    this.resultHi = 0;
    this.status = 0;
    this.retries = 0;
    this.flags = 0;
    this.specialVecAddr = 0;
    this.specialVecLengthBytes = 0;
    this.mpathStartNs = -0;
  }
}

/** The core's part of `rq`. Any context. @kernel drivers/nvme/host/nvme.h nvme_req */
export function nvmeReq(rq: Request): NvmeRequestData {
  return (rq.pdu as NvmePdu).nvme as NvmeRequestData;
}

/** Before a request's first try. @kernel drivers/nvme/host/core.c nvme_clear_nvme_request */
export function nvmeClearNvmeRequest(rq: Request, nr: NvmeRequestData): void {
  nr.status = 0;
  nr.retries = 0;
  nr.flags = 0;
  rq.rqFlags |= RQF_DONTPREP;
}

/** The command id: tag, and how often it was used. Any context. @kernel drivers/nvme/host/nvme.h nvme_cid */
export function nvmeCid(rq: Request, nr: NvmeRequestData): number {
  return ((nr.genctr & GENCTR_MASK) << GENCTR_SHIFT) | rq.tag;
}

/** Makes a driver-private request carry `cmd`. @kernel drivers/nvme/host/core.c nvme_init_request */
export const nvmeInitRequest = traced('nvme_init_request', (core: CoreState, rq: Request, cmd: Uint32Array): void => {
  const nr = nvmeReq(rq);
  const timeout = rq.q.queuedata === null ? 'admin_timeout' : 'io_timeout';
  rq.timeoutNs = core.number(timeout) * NS_PER_SECOND;
  rq.cmdFlags |= REQ_FAILFAST_DRIVER;
  if (rq.mqHctx.type === HCTX_TYPE_POLL) rq.cmdFlags |= REQ_POLLED;
  nvmeClearNvmeRequest(rq, nr);
  rq.rqFlags |= RQF_QUIET;
  nr.cmd.set(cmd);
  nr.cmd[0] = nr.cmd[0] & ~PSDT_IN_WORD_0;
});

/**
 * The request of a CID, or null when nobody waits for it or its generation is another; logs both as Linux does.
 * Any context. @kernel drivers/nvme/host/nvme.h nvme_find_rq
 */
export function nvmeFindRq(ctrl: Ctrl, tags: BlkMqTagSet, hwQueue: number, cid: number): Request | null {
  const tag = cid & ctrl.tagMask;
  const rq = tags.tagToRq(hwQueue, tag);
  if (rq === null) {
    ctrl.kernel.printk.print('err', `could not locate request for tag 0x${hex(tag)}`);
    return null;
  }
  if (ctrl.tagMask === 0xffff) return rq;
  const expected = nvmeReq(rq).genctr & GENCTR_MASK;
  const got = (cid >>> GENCTR_SHIFT) & GENCTR_MASK;
  if (got !== expected) {
    ctrlLog(ctrl, 'err', `request 0x${hex(tag)} genctr mismatch (got 0x${hex(got)} expected 0x${hex(expected)})`);
    return null;
  }
  return rq;
}

/** nvmeFindRq and the storing part of nvmeTryCompleteReq in one piece; null and nothing done when a step would differ. Any context. */
export function nvmeTakeSuccess(ctrl: Ctrl, tags: BlkMqTagSet, hwQueue: number, cid: number): Request | null {
  const { tagMask } = ctrl;
  const rq = tags.inFlightRq(hwQueue, cid & tagMask);
  if (rq === null || rq.endIo !== null) return null;
  const nr = nvmeReq(rq);
  if (tagMask !== 0xffff && (((cid >>> GENCTR_SHIFT) ^ nr.genctr) & GENCTR_MASK) !== 0) return null;
  // At once: the caller's list would bite its tail if an entry for the same request came next.
  rq.state = MQ_RQ_COMPLETE;
  nr.genctr = (nr.genctr + ctrl.genctrStep) & 0xff;
  nr.status = 0;
  return rq;
}
