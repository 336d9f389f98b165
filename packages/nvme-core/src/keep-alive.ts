/**
 * Keep alive: a command every half of KATO, where KATO is set.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_keep_alive_work, nvme_start_keep_alive. [NVMe] 3.9.
 */
import { BLK_STS_OK, type BlkStatus, type Request, RQ_END_IO_NONE, type RqEndIoRet } from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import { NvmeAdminOpcode, NvmeCommonCommand } from '@nvme-stack/nvme-protocol';
import { nvmeWq } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog } from './log.js';
import { NVME_CTRL_CONNECTING, NVME_CTRL_LIVE } from './ports.js';
import { nvmeInitRequest, nvmeReq } from './request.js';
import { nvmeResetCtrl } from './state.js';
import { adminQueue, commandWords, nvmeReqOp } from './sync-command.js';

const NS_PER_SECOND = 1e9;
const KEEP_ALIVE = commandWords(NvmeCommonCommand.encode({ opcode: NvmeAdminOpcode.keepAlive }));

function queueKeepAlive(ctrl: Ctrl): void {
  ctrl.core.workqueues.queueDelayedWork(nvmeWq(ctrl.core), ctrl.kaWork, (ctrl.kato * NS_PER_SECOND) / 2);
}

/** Starts it when the time-out is not 0. @kernel drivers/nvme/host/core.c nvme_start_keep_alive */
export function nvmeStartKeepAlive(ctrl: Ctrl): void {
  if (ctrl.kato > 0) queueKeepAlive(ctrl);
}

/** Task context. @kernel drivers/nvme/host/core.c nvme_stop_keep_alive */
export async function nvmeStopKeepAlive(ctrl: Ctrl): Promise<void> {
  if (ctrl.kato > 0) await ctrl.core.workqueues.cancelDelayedWorkSync(ctrl.kaWork);
}

/** What passthrough changed; milliseconds. @kernel drivers/nvme/host/core.c nvme_update_keep_alive */
export async function nvmeUpdateKeepAlive(ctrl: Ctrl, katoMs: number): Promise<void> {
  ctrlLog(ctrl, 'info', `keep alive interval updated from ${ctrl.kato * 1000} ms to ${katoMs} ms`);
  await nvmeStopKeepAlive(ctrl);
  ctrl.kato = Math.floor((katoMs + 999) / 1000);
  nvmeStartKeepAlive(ctrl);
}

/** The work. @kernel drivers/nvme/host/core.c nvme_keep_alive_work */
export const nvmeKeepAliveWork = traced('nvme_keep_alive_work', async (ctrl: Ctrl): Promise<void> => {
  const { blkMq } = ctrl.core;
  const rq = blkMq.blkMqTryAllocRequest(adminQueue(ctrl), nvmeReqOp(NvmeAdminOpcode.keepAlive), {});
  if (rq === null) {
    // No tag means that the controller hangs.
    ctrlLog(ctrl, 'err', 'keep-alive failed: no tag');
    nvmeResetCtrl(ctrl);
    return;
  }
  nvmeInitRequest(ctrl.core, rq, KEEP_ALIVE);
  rq.timeoutNs = ctrl.kato * NS_PER_SECOND;
  rq.endIo = nvmeKeepAliveEndIo;
  blkMq.blkExecuteRqNowait(rq, false);
});

/** @kernel drivers/nvme/host/core.c nvme_keep_alive_end_io */
function nvmeKeepAliveEndIo(rq: Request, status: BlkStatus): RqEndIoRet {
  const { ctrl } = nvmeReq(rq);
  ctrl.core.blkMq.blkMqFreeRequest(rq);
  if (status !== BLK_STS_OK) ctrlLog(ctrl, 'err', `failed nvme_keep_alive_end_io error=${status}`);
  else if (ctrl.state === NVME_CTRL_LIVE || ctrl.state === NVME_CTRL_CONNECTING) queueKeepAlive(ctrl);
  return RQ_END_IO_NONE;
}
