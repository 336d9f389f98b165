/**
 * What the head's disk counts of the requests on its paths: its statistics, and what each controller has under way.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_mpath_start_request, nvme_mpath_end_request.
 */
import {
  REQ_DRV,
  REQ_OP_DRV_IN,
  REQ_OP_DRV_OUT,
  REQ_OP_MASK,
  type Request,
  SECTOR_SIZE,
} from '@nvme-stack/blk-mq/ports';
import type { Ns } from '../namespace.js';
import { NVME_MPATH_CNT_ACTIVE, NVME_MPATH_IO_STATS } from '../ports.js';
import { type NvmeRequestData, nvmeReq } from '../request.js';

/** The bio came through a head's disk. @kernel drivers/nvme/host/nvme.h REQ_NVME_MPATH */
export const REQ_NVME_MPATH = REQ_DRV;

function isPassthrough(rq: Request): boolean {
  const op = rq.cmdFlags & REQ_OP_MASK;
  return op === REQ_OP_DRV_IN || op === REQ_OP_DRV_OUT;
}

/** A request is about to be sent; one that is sent again is counted once. Any context. @kernel drivers/nvme/host/multipath.c nvme_mpath_start_request */
function nvmeMpathStartRequest(rq: Request, nr: NvmeRequestData): void {
  const { ctrl } = nr;
  if (ctrl.core.era.multipath?.countsOnHead !== true) return;
  const { head } = rq.q.queuedata as Ns;
  if (head.subsys.ioPolicy === 'queue-depth' && (nr.flags & NVME_MPATH_CNT_ACTIVE) === 0) {
    ctrl.nrActive++;
    nr.flags |= NVME_MPATH_CNT_ACTIVE;
  }
  const { disk } = head;
  if (disk === null || !disk.queue.ioStat || isPassthrough(rq) || (nr.flags & NVME_MPATH_IO_STATS) !== 0) return;
  nr.flags |= NVME_MPATH_IO_STATS;
  nr.mpathStartNs = ctrl.core.blkMq.bdevStartIoAcct(disk, rq.cmdFlags & REQ_OP_MASK);
}

/** And ends, with what is left of it counted. Any context. @kernel drivers/nvme/host/multipath.c nvme_mpath_end_request */
export function nvmeMpathEndRequest(rq: Request, nr: NvmeRequestData): void {
  const { ctrl } = nr;
  if ((nr.flags & NVME_MPATH_CNT_ACTIVE) !== 0) {
    if (ctrl.nrActive > 0) ctrl.nrActive--;
    nr.flags &= ~NVME_MPATH_CNT_ACTIVE;
  }
  if ((nr.flags & NVME_MPATH_IO_STATS) === 0) return;
  nr.flags &= ~NVME_MPATH_IO_STATS;
  const { disk } = (rq.q.queuedata as Ns).head;
  if (disk === null) return;
  ctrl.core.blkMq.bdevEndIoAcct(disk, rq.cmdFlags & REQ_OP_MASK, rq.dataLengthBytes / SECTOR_SIZE, nr.mpathStartNs);
}

/** What a transport calls when a request is ready to be sent. Any context. @kernel drivers/nvme/host/nvme.h nvme_start_request */
export function nvmeStartRequest(rq: Request): void {
  const nr = nvmeReq(rq);
  if ((rq.cmdFlags & REQ_NVME_MPATH) !== 0) nvmeMpathStartRequest(rq, nr);
  nr.ctrl.core.blkMq.blkMqStartRequest(rq);
}
