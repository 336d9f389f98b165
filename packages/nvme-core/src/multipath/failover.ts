/**
 * A request that failed on its path: its bios go back to the head's disk, and by another path.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_failover_req, nvme_requeue_work, nvme_kick_requeue_lists.
 */
import { type Bio, BLK_STS_OK, REQ_NOWAIT, REQ_POLLED, type Request } from '@nvme-stack/blk-mq/ports';
import { type HasKernel, traced } from '@nvme-stack/kernel';
import {
  NVME_SC_ANA_INACCESSIBLE,
  NVME_SC_ANA_PERSISTENT_LOSS,
  NVME_SC_ANA_TRANSITION,
  NVME_SCT_SC_MASK,
} from '@nvme-stack/nvme-protocol';
import { nvmeWq } from '../core.js';
import type { Ctrl } from '../ctrl.js';
import type { Ns } from '../namespace.js';
import type { NsHead } from '../namespace-head.js';
import { NVME_CTRL_LIVE } from '../ports.js';
import type { NvmeRequestData } from '../request.js';
import { nvmeMpathEndRequest } from './accounting.js';
import { nvmeMpathClearCurrentPath } from './paths.js';

const PATH_ERROR_TYPE = 0x300;
const STATUS_TYPE_MASK = 0x700;

/** The path failed, not the command. @kernel drivers/nvme/host/nvme.h nvme_is_path_error */
export function nvmeIsPathError(status: number): boolean {
  return (status & STATUS_TYPE_MASK) === PATH_ERROR_TYPE;
}

/** @kernel drivers/nvme/host/nvme.h nvme_is_ana_error */
function nvmeIsAnaError(status: number): boolean {
  const code = status & NVME_SCT_SC_MASK;
  return code === NVME_SC_ANA_TRANSITION || code === NVME_SC_ANA_INACCESSIBLE || code === NVME_SC_ANA_PERSISTENT_LOSS;
}

/** Takes the bios back and ends the request, which nobody hears of. Any context. @kernel drivers/nvme/host/multipath.c nvme_failover_req */
export function nvmeFailoverReq(rq: Request, nr: NvmeRequestData): void {
  const { ctrl } = nr;
  const { trace } = ctrl.kernel;
  const { blkMq } = ctrl.core;
  if (trace.functions) trace.enter('nvme_failover_req');
  const ns = rq.q.queuedata as Ns;
  const { head } = ns;
  nvmeMpathClearCurrentPath(ns);
  // The controller is well, but says that this is not the way: what it says of its groups is read anew.
  if (nvmeIsAnaError(nr.status) && ctrl.ana.log !== null) {
    ns.anaPending = true;
    ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.ana.work);
  }
  for (let bio = rq.bio; bio !== null; bio = bio.next) {
    bio.disk = head.disk;
    if ((bio.opf & REQ_POLLED) !== 0) bio.cookie = -1;
    // Who sent it is not here to hear that it would have to wait.
    bio.opf &= ~(REQ_POLLED | REQ_NOWAIT);
  }
  blkMq.blkStealBios(head.requeueList, rq);
  nr.status = 0;
  nvmeMpathEndRequest(rq, nr);
  blkMq.blkMqEndRequest(rq, BLK_STS_OK);
  blkMq.kblockdScheduleWork(head.requeueWork);
  if (trace.functions) trace.exit();
}

/** The work (kblockd): every bio that waits looks for a path again. @kernel drivers/nvme/host/multipath.c nvme_requeue_work */
export const nvmeRequeueWork = traced('nvme_requeue_work', async (head: NsHead & HasKernel): Promise<void> => {
  const { requeueList } = head;
  let next = requeueList.head;
  requeueList.head = requeueList.tail = null;
  while (next !== null) {
    const bio: Bio = next;
    next = bio.next;
    bio.next = null;
    head.core.blkMq.submitBioNoacct(bio);
  }
});

/** A controller is there again: its namespaces' bios go on, and userland hears of it. Any context. @kernel drivers/nvme/host/multipath.c nvme_kick_requeue_lists */
export const nvmeKickRequeueLists = traced('nvme_kick_requeue_lists', (ctrl: Ctrl): void => {
  const { blkMq } = ctrl.core;
  for (const ns of ctrl.namespaces as Ns[]) {
    const { disk, requeueWork } = ns.head;
    if (disk === null) continue;
    blkMq.kblockdScheduleWork(requeueWork);
    if (ctrl.state === NVME_CTRL_LIVE) blkMq.diskUevent(disk, 'change');
  }
});
