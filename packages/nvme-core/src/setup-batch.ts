/**
 * The commands of a list of reads and writes in one piece, taken when nothing is traced: equals nvmeCheckReady and then
 * nvmeSetupCmd for each request. Whatever else a list holds goes the long way, request by request, in setup-command.ts.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_setup_cmd, nvme_setup_rw; nvme.h nvme_check_ready. [NVM] 3.3.
 *
 * Hazard: whoever changes a step in setup-command.ts changes it here; a test runs both and compares.
 */
import {
  type BlkMqHwCtx,
  REQ_FAILFAST_DEV,
  REQ_FUA,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_RAHEAD,
  type Request,
  RQF_DONTPREP,
} from '@nvme-stack/blk-mq/ports';
import { NVME_RW_DSM_FREQ_PREFETCH, NVME_RW_FUA, NVME_RW_LR, NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { REQ_NVME_MPATH } from './multipath/accounting.js';
import type { Ns } from './namespace.js';
import { NVME_CTRL_LIVE } from './ports.js';
import { nvmeCid, nvmeClearNvmeRequest, nvmeReq } from './request.js';

const HIGH_WORD = 1 / 4294967296;
/** The operation, with the flag of a request that counts on a head's disk: larger than any operation. */
const LONG_WAY_MASK = REQ_OP_MASK | REQ_NVME_MPATH;
/** Flags that put something in a command. */
const COMMAND_FLAGS = REQ_FUA | REQ_FAILFAST_DEV | REQ_RAHEAD;

/**
 * Fills the command of every request; false when the list must go the long way, which may begin as if this had not been
 * called. Any context.
 */
export function nvmeSetupCmds(ctrl: Ctrl, hctx: BlkMqHwCtx, list: Request): boolean {
  const { trace } = ctrl.kernel;
  if (trace.functions || trace.events || ctrl.state !== NVME_CTRL_LIVE || ctrl.nrStreams !== 0) return false;
  const { queue } = hctx;
  const ns = queue.queuedata as Ns | null;
  if (ns === null || ns.metadataBytes !== 0) return false;
  const { nsid, lbaPerSector, lbaShift } = ns;
  for (let rq: Request | null = list; rq !== null; rq = rq.next) {
    const { cmdFlags } = rq;
    const op = cmdFlags & LONG_WAY_MASK;
    if (op > REQ_OP_WRITE || rq.mqHctx !== hctx) return false;
    const nr = nvmeReq(rq);
    if ((rq.rqFlags & RQF_DONTPREP) === 0) nvmeClearNvmeRequest(rq, nr);
    const { cmd } = nr;
    const slba = rq.sector * lbaPerSector;
    cmd[0] = (op === REQ_OP_READ ? NvmeNvmOpcode.read : NvmeNvmOpcode.write) | (nvmeCid(rq, nr) << 16);
    cmd[1] = nsid;
    cmd[2] = 0;
    cmd[3] = 0;
    cmd[4] = 0;
    cmd[5] = 0;
    cmd[10] = slba;
    cmd[11] = slba * HIGH_WORD;
    cmd[12] = (rq.dataLengthBytes >>> lbaShift) - 1;
    cmd[13] = 0;
    cmd[14] = 0;
    cmd[15] = 0;
    if ((cmdFlags & COMMAND_FLAGS) !== 0) addFlags(cmd, cmdFlags);
  }
  return true;
}

function addFlags(cmd: Uint32Array, cmdFlags: number): void {
  let control = 0;
  if (cmdFlags & REQ_FUA) control |= NVME_RW_FUA;
  if (cmdFlags & (REQ_FAILFAST_DEV | REQ_RAHEAD)) control |= NVME_RW_LR;
  if (cmdFlags & REQ_RAHEAD) cmd[13] = NVME_RW_DSM_FREQ_PREFETCH;
  cmd[12] |= control << 16;
}
