/**
 * Builds the command of a request. Hot path: any context, no sleeping, no allocation but the page of a discard.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_setup_cmd, nvme_setup_rw, nvme_setup_discard. [NVM] 3.3.
 *
 * A command is 16 little-endian words. Words 6 to 9, the data pointer, belong to the transport. setup-batch.ts does the
 * same for lists of reads and writes.
 */
import {
  BLK_STS_IOERR,
  BLK_STS_NOTSUPP,
  BLK_STS_OK,
  BLK_STS_RESOURCE,
  type BlkStatus,
  REQ_FAILFAST_DEV,
  REQ_FUA,
  REQ_INTEGRITY,
  REQ_OP_DISCARD,
  REQ_OP_DRV_IN,
  REQ_OP_DRV_OUT,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  REQ_RAHEAD,
  type Request,
  RQF_DONTPREP,
  SECTOR_SIZE,
} from '@nvme-stack/blk-mq/ports';
import { NO_PAGE } from '@nvme-stack/kernel';
import {
  NVME_DSM_MAX_RANGES,
  NVME_DSMGMT_AD,
  NVME_RW_DSM_FREQ_PREFETCH,
  NVME_RW_FUA,
  NVME_RW_LR,
  NVME_RW_PRINFO_PRACT,
  NVME_RW_PRINFO_PRCHK_GUARD,
  NVME_RW_PRINFO_PRCHK_REF,
  NVME_WZ_DEAC,
  NvmeNvmOpcode,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { type Ns, NVME_NS_DEAC } from './namespace.js';
import { NVME_QUIRK_DEALLOCATE_ZEROES, type NvmeNs } from './ports.js';
import { type NvmeRequestData, nvmeCid, nvmeClearNvmeRequest, nvmeReq } from './request.js';
import { nvmeAssignWriteStream } from './streams.js';
import { traceNvmeSetupCmd } from './trace-events.js';

const TWO_32 = 4294967296;
const DSM_RANGE_WORDS = 4;
const DSM_RANGE_BYTES = 16;
const DSM_BYTES = NVME_DSM_MAX_RANGES * DSM_RANGE_BYTES;
/** Protection information types whose reference tag is the LBA. */
const PI_TYPE3 = 3;

/** Fills `rq`'s command; BLK_STS_OK, or why not. Any context. @kernel drivers/nvme/host/core.c nvme_setup_cmd */
export function nvmeSetupCmd(ns: NvmeNs | null, rq: Request): BlkStatus {
  const nr = nvmeReq(rq);
  const { trace } = nr.ctrl.kernel;
  if (trace.functions) trace.enter('nvme_setup_cmd');
  if ((rq.rqFlags & RQF_DONTPREP) === 0) nvmeClearNvmeRequest(rq, nr);
  const status = setupByOp(ns as Ns | null, rq, nr);
  if (status === BLK_STS_OK) {
    nr.cmd[0] = (nr.cmd[0] & 0xffff) | (nvmeCid(rq, nr) << 16);
    if (trace.events) traceNvmeSetupCmd(rq, nr);
  }
  if (trace.functions) trace.exit();
  return status;
}

function setupByOp(ns: Ns | null, rq: Request, nr: NvmeRequestData): BlkStatus {
  const op = rq.cmdFlags & REQ_OP_MASK;
  if (op === REQ_OP_DRV_IN || op === REQ_OP_DRV_OUT) return BLK_STS_OK;
  if (ns === null) return BLK_STS_IOERR;
  switch (op) {
    case REQ_OP_READ:
      return setupRw(ns, rq, nr.cmd, NvmeNvmOpcode.read);
    case REQ_OP_WRITE:
      return setupRw(ns, rq, nr.cmd, NvmeNvmOpcode.write);
    case REQ_OP_FLUSH:
      nr.cmd.fill(0);
      nr.cmd[0] = NvmeNvmOpcode.flush;
      nr.cmd[1] = ns.nsid;
      return BLK_STS_OK;
    case REQ_OP_DISCARD:
      return setupDiscard(ns, rq, nr);
    case REQ_OP_WRITE_ZEROES:
      return setupWriteZeroes(ns, rq, nr);
    default:
      return BLK_STS_IOERR;
  }
}

/** @kernel drivers/nvme/host/core.c nvme_setup_rw */
function setupRw(ns: Ns, rq: Request, cmd: Uint32Array, opcode: number): BlkStatus {
  let control = 0;
  if (rq.cmdFlags & REQ_FUA) control |= NVME_RW_FUA;
  if (rq.cmdFlags & (REQ_FAILFAST_DEV | REQ_RAHEAD)) control |= NVME_RW_LR;
  setRange(ns, rq, cmd, opcode);
  cmd[13] = rq.cmdFlags & REQ_RAHEAD ? NVME_RW_DSM_FREQ_PREFETCH : 0;
  if (ns.ctrl.nrStreams !== 0 && opcode === NvmeNvmOpcode.write) nvmeAssignWriteStream(ns.ctrl, rq, cmd);
  if (ns.metadataBytes !== 0) {
    if ((rq.cmdFlags & REQ_INTEGRITY) === 0) {
      // Without metadata of the block layer's the controller itself must insert and strip the protection information.
      if (!ns.hasPi) return BLK_STS_NOTSUPP;
      control |= NVME_RW_PRINFO_PRACT;
    }
    control |= protect(ns, cmd);
  }
  cmd[12] |= control << 16;
  return BLK_STS_OK;
}

/** What the controller checks: the guard, and where a block lies; returns the command's PRINFO. */
function protect(ns: Ns, cmd: Uint32Array): number {
  if (ns.piType === 0) return 0;
  if (ns.piType === PI_TYPE3) return NVME_RW_PRINFO_PRCHK_GUARD;
  nvmeSetRefTag(ns, cmd);
  return NVME_RW_PRINFO_PRCHK_GUARD | NVME_RW_PRINFO_PRCHK_REF;
}

/** The first block's reference tag: its number, as far as it fits. @kernel drivers/nvme/host/core.c nvme_set_ref_tag */
function nvmeSetRefTag(ns: Ns, cmd: Uint32Array): void {
  cmd[14] = cmd[10];
  if (ns.hasWideGuard) cmd[3] = cmd[11] & 0xffff;
}

/** Header, first block and 0-based length; everything else 0. */
function setRange(ns: Ns, rq: Request, cmd: Uint32Array, opcode: number): void {
  const slba = rq.sector * ns.lbaPerSector;
  cmd[0] = opcode;
  cmd[1] = ns.nsid;
  cmd[2] = 0;
  cmd[3] = 0;
  cmd[4] = 0;
  cmd[5] = 0;
  cmd[10] = slba;
  cmd[11] = slba / TWO_32;
  cmd[12] = (rq.dataLengthBytes >>> ns.lbaShift) - 1;
  cmd[13] = 0;
  cmd[14] = 0;
  cmd[15] = 0;
}

/** @kernel drivers/nvme/host/core.c nvme_setup_write_zeroes */
function setupWriteZeroes(ns: Ns, rq: Request, nr: NvmeRequestData): BlkStatus {
  if (ns.ctrl.quirks & NVME_QUIRK_DEALLOCATE_ZEROES) return setupDiscard(ns, rq, nr);
  const { cmd } = nr;
  cmd.fill(0);
  setRange(ns, rq, cmd, NvmeNvmOpcode.writeZeroes);
  let control = 0;
  if (ns.features & NVME_NS_DEAC) control |= NVME_WZ_DEAC;
  if (ns.hasPi) {
    control |= NVME_RW_PRINFO_PRACT;
    if (ns.piType !== PI_TYPE3) nvmeSetRefTag(ns, cmd);
  }
  cmd[12] |= control << 16;
  return BLK_STS_OK;
}

/** One range per bio, in a page of its own. @kernel drivers/nvme/host/core.c nvme_setup_discard */
function setupDiscard(ns: Ns, rq: Request, nr: NvmeRequestData): BlkStatus {
  const { ctrl } = ns;
  const page = takeRangePage(ctrl);
  if (page === NO_PAGE) return BLK_STS_RESOURCE;
  nr.specialVecAddr = page;
  nr.specialVecLengthBytes = DSM_BYTES;
  const ranges = writeRanges(ns, rq, ctrl.kernel.memory.u32, page >>> 2);
  if (ranges === 0) {
    nvmeCleanupCmd(rq);
    return BLK_STS_IOERR;
  }
  const { cmd } = nr;
  cmd.fill(0);
  cmd[0] = NvmeNvmOpcode.dsm;
  cmd[1] = ns.nsid;
  cmd[10] = ranges - 1;
  cmd[11] = NVME_DSMGMT_AD;
  return BLK_STS_OK;
}

/** Returns how many ranges there are, 0 for too many. [NVM] 3.3.3. */
function writeRanges(ns: Ns, rq: Request, words: Uint32Array, firstWord: number): number {
  let ranges = 0;
  for (let bio = rq.bio; bio !== null; bio = bio.next) {
    if (ranges === NVME_DSM_MAX_RANGES) return 0;
    // A request's first sector is the disk's, whatever partition its bios were sent to.
    const sector = rq.sector + (bio.sector - (rq.bio as NonNullable<Request['bio']>).sector);
    const slba = sector * ns.lbaPerSector;
    const at = firstWord + ranges * DSM_RANGE_WORDS;
    words[at] = 0;
    words[at + 1] = bio.sizeBytes * ns.lbaPerSector * (1 / SECTOR_SIZE);
    words[at + 2] = slba;
    words[at + 3] = slba / TWO_32;
    ranges++;
  }
  return ranges;
}

/** A page for ranges; when memory is short the controller's own, if it is free. */
function takeRangePage(ctrl: Ctrl): number {
  const page = ctrl.kernel.memory.allocPages(1, 'nvme-core');
  if (page !== NO_PAGE) return page;
  if (ctrl.discardPageBusy) return NO_PAGE;
  ctrl.discardPageBusy = true;
  return ctrl.discardPage;
}

/** Frees what nvmeSetupCmd took. Any context. @kernel drivers/nvme/host/core.c nvme_cleanup_cmd */
export function nvmeCleanupCmd(rq: Request): void {
  const nr = nvmeReq(rq);
  const { trace } = nr.ctrl.kernel;
  if (trace.functions) trace.enter('nvme_cleanup_cmd');
  if (nr.specialVecLengthBytes !== 0) freeRangePage(nr);
  if (trace.functions) trace.exit();
}

function freeRangePage(nr: NvmeRequestData): void {
  nr.specialVecLengthBytes = 0;
  const { ctrl } = nr;
  if (nr.specialVecAddr === ctrl.discardPage) ctrl.discardPageBusy = false;
  else ctrl.kernel.memory.freePages(nr.specialVecAddr, 1);
  nr.specialVecAddr = 0;
}
