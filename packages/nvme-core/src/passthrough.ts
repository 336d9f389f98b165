/**
 * Commands from userland: sent as they are, with a kernel copy of the caller's data.
 * Kernel counterpart: drivers/nvme/host/ioctl.c nvme_submit_user_cmd; core.c nvme_passthru_start, nvme_passthru_end.
 */
import type { Request, RequestQueue } from '@nvme-stack/blk-mq/ports';
import { KernelError, mutexLock, mutexUnlock, NO_PAGE } from '@nvme-stack/kernel';
import {
  NVME_CMD_EFFECTS_CCC,
  NVME_CMD_EFFECTS_CSE_MASK,
  NVME_CMD_EFFECTS_NCC,
  NVME_CMD_EFFECTS_NIC,
  NVME_FEAT_KATO,
  NvmeAdminOpcode,
} from '@nvme-stack/nvme-protocol';
import { allocBuffer, bufferBytes, freeBuffer } from './buffer.js';
import type { Ctrl } from './ctrl.js';
import { nvmeCommandEffects } from './effects.js';
import { nvmeUpdateKeepAlive } from './keep-alive.js';
import { ctrlLog } from './log.js';
import { NVME_REQ_USERCMD, type NvmeSyncBuffer } from './ports.js';
import { nvmeStartFreeze, nvmeUnfreeze, nvmeWaitFreeze } from './queues.js';
import { nvmeInitRequest, nvmeReq } from './request.js';
import { nvmeQueueScan } from './scan.js';
import { throwErrno } from './status-map.js';
import { nvmeExecuteRq, nvmeReqOp } from './sync-command.js';

const NS_PER_MS = 1e6;

/** A command on its way from userland. */
export interface UserCommand {
  readonly words: Uint32Array;
  /** The caller's buffer: read by commands that write, filled by commands that read. */
  readonly data: Uint8Array | null;
  /** 0: the queue's. */
  readonly timeoutMs: number;
}

/** Outcome of a user's command; `status` is NVMe's. */
export interface UserResult {
  readonly status: number;
  readonly result: number;
  readonly resultHi: number;
}

/** Sends it and waits. Throws ENOMEM, EINVAL (larger than the queue takes), EINTR (cancelled), and what the block layer says. Task context. @kernel drivers/nvme/host/ioctl.c nvme_submit_user_cmd */
export async function nvmeSubmitUserCmd(ctrl: Ctrl, q: RequestQueue, command: UserCommand): Promise<UserResult> {
  const { blkMq } = ctrl.core;
  const { words, data } = command;
  const opcode = words[0] & 0xff;
  const buffer = copyIn(ctrl, q, data, opcode);
  try {
    const rq = await blkMq.blkMqAllocRequest(q, nvmeReqOp(opcode), {});
    try {
      nvmeInitRequest(ctrl.core, rq, words);
      nvmeReq(rq).flags |= NVME_REQ_USERCMD;
      if (command.timeoutMs > 0) rq.timeoutNs = command.timeoutMs * NS_PER_MS;
      if (buffer !== null) blkMq.blkRqMapKern(rq, buffer.physAddr, buffer.lengthBytes);
      const outcome = await execute(ctrl, q, rq, words);
      if (buffer !== null && data !== null && (opcode & 1) === 0) data.set(bufferBytes(ctrl, buffer));
      return outcome;
    } finally {
      blkMq.blkMqFreeRequest(rq);
    }
  } finally {
    if (buffer !== null) freeBuffer(ctrl, buffer);
  }
}

function copyIn(ctrl: Ctrl, q: RequestQueue, data: Uint8Array | null, opcode: number): NvmeSyncBuffer | null {
  if (data === null || data.length === 0) return null;
  const largest = q.limits.maxHwSectors * 512;
  if (data.length > largest)
    throw new KernelError('EINVAL', `data: ${data.length} bytes, at most ${largest} are allowed`);
  const buffer = allocBuffer(ctrl, data.length);
  if (buffer.physAddr === NO_PAGE) throw new KernelError('ENOMEM', `data: ${data.length} bytes`);
  if (opcode & 1) bufferBytes(ctrl, buffer).set(data);
  return buffer;
}

async function execute(ctrl: Ctrl, q: RequestQueue, rq: Request, words: Uint32Array): Promise<UserResult> {
  const isIo = q !== ctrl.adminQ;
  const effects = nvmeCommandEffects(ctrl, isIo, words[0] & 0xff);
  const exclusive = (effects & NVME_CMD_EFFECTS_CSE_MASK) !== 0;
  if (exclusive) await passthruStart(ctrl);
  let status: number;
  try {
    status = await nvmeExecuteRq(ctrl.core, rq, false);
  } finally {
    if (exclusive) passthruThaw(ctrl);
  }
  const { result, resultHi } = nvmeReq(rq);
  if (status < 0) throwErrno(status, `${ctrl.name}: command`);
  await passthruEnd(ctrl, isIo, effects, words, status);
  return { status, result, resultHi };
}

/** Nothing else may run beside the command. @kernel drivers/nvme/host/core.c nvme_passthru_start */
async function passthruStart(ctrl: Ctrl): Promise<void> {
  await mutexLock(ctrl.scanLock);
  nvmeStartFreeze(ctrl);
  await nvmeWaitFreeze(ctrl);
}

function passthruThaw(ctrl: Ctrl): void {
  nvmeUnfreeze(ctrl);
  mutexUnlock(ctrl.scanLock);
}

/** What the command changed. @kernel drivers/nvme/host/core.c nvme_passthru_end */
async function passthruEnd(
  ctrl: Ctrl,
  isIo: boolean,
  effects: number,
  words: Uint32Array,
  status: number,
): Promise<void> {
  if (effects & NVME_CMD_EFFECTS_CCC && !ctrl.dirtyCapability) {
    ctrl.dirtyCapability = true;
    ctrlLog(ctrl, 'info', 'controller capabilities changed, reset may be required to take effect.');
  }
  if (effects & (NVME_CMD_EFFECTS_NIC | NVME_CMD_EFFECTS_NCC)) {
    nvmeQueueScan(ctrl);
    await ctrl.core.workqueues.flushWork(ctrl.scanWork);
  }
  const setsKato = (words[0] & 0xff) === NvmeAdminOpcode.setFeatures && (words[10] & 0xff) === NVME_FEAT_KATO;
  if (!isIo && status === 0 && setsKato) await nvmeUpdateKeepAlive(ctrl, words[11]);
}
