/**
 * Commands from userland: sent as they are, with a kernel copy of the caller's data.
 * Kernel counterpart: drivers/nvme/host/ioctl.c nvme_alloc_user_request, nvme_map_user_request, nvme_submit_user_cmd.
 */
import type { Request, RequestQueue } from '@nvme-stack/blk-mq/ports';
import { type HasKernel, type Kernel, KernelError, NO_PAGE, traced } from '@nvme-stack/kernel';
import { allocBuffer, bufferBytes, freeBuffer } from './buffer.js';
import type { Ctrl } from './ctrl.js';
import { nvmePassthruEnd, nvmePassthruStart } from './passthru-effects.js';
import { NVME_REQ_USERCMD, type NvmeSyncBuffer } from './ports.js';
import { nvmeInitRequest, nvmeReq } from './request.js';
import { throwErrno } from './status-map.js';
import { nvmeExecuteRq, nvmeReqOp } from './sync-command.js';

const NS_PER_MS = 1e6;
const SECTOR_SIZE = 512;

/** A command on its way from userland. */
export interface UserCommand {
  readonly words: Uint32Array;
  /** The caller's buffers: read by commands that write, filled by commands that read. */
  readonly data: readonly Uint8Array[];
  /** Bytes of a metadata buffer, 0: none. */
  readonly metadataBytes: number;
  /** 0: the queue's. */
  readonly timeoutMs: number;
}

/** Outcome of a user's command; `status` is NVMe's. */
export interface UserResult {
  readonly status: number;
  readonly result: number;
  readonly resultHi: number;
}

/** A command with the queue it goes to. */
class Submission implements HasKernel {
  readonly kernel: Kernel;
  readonly ctrl: Ctrl;
  readonly q: RequestQueue;
  readonly command: UserCommand;

  constructor(ctrl: Ctrl, q: RequestQueue, command: UserCommand) {
    this.kernel = ctrl.kernel;
    this.ctrl = ctrl;
    this.q = q;
    this.command = command;
  }

  get isIo(): boolean {
    return this.q !== this.ctrl.adminQ;
  }
  get opcode(): number {
    return this.command.words[0] & 0xff;
  }
}

/** Sends it and waits. Throws ENOMEM, EINVAL (more data than the queue takes, metadata), EINTR (cancelled), and what the block layer says. Task context. @kernel drivers/nvme/host/ioctl.c nvme_submit_user_cmd */
export async function nvmeSubmitUserCmd(ctrl: Ctrl, q: RequestQueue, command: UserCommand): Promise<UserResult> {
  return await submitUserCmd(new Submission(ctrl, q, command));
}

const submitUserCmd = traced('nvme_submit_user_cmd', async (submission: Submission): Promise<UserResult> => {
  const { ctrl, command, isIo, opcode } = submission;
  const { blkMq } = ctrl.core;
  const rq = await nvmeAllocUserRequest(submission);
  let outcome: UserResult;
  let effects = 0;
  try {
    const buffer = nvmeMapUserRequest(submission, rq);
    try {
      effects = await nvmePassthruStart(ctrl, isIo, opcode);
      const status = await nvmeExecuteRq(ctrl.core, rq, false);
      const { result, resultHi } = nvmeReq(rq);
      outcome = { status, result, resultHi };
      if (buffer !== null && (opcode & 1) === 0) scatter(bufferBytes(ctrl, buffer), command.data);
    } finally {
      if (buffer !== null) freeBuffer(ctrl, buffer);
    }
  } finally {
    blkMq.blkMqFreeRequest(rq);
  }
  const { status } = outcome;
  if (effects !== 0) await nvmePassthruEnd(ctrl, isIo, effects, { words: command.words, status });
  if (status < 0) throwErrno(status, `${ctrl.name}: command`);
  return outcome;
});

/** @kernel drivers/nvme/host/ioctl.c nvme_alloc_user_request */
async function nvmeAllocUserRequest({ ctrl, q, command, opcode }: Submission): Promise<Request> {
  const { core } = ctrl;
  const rq = await core.blkMq.blkMqAllocRequest(q, nvmeReqOp(opcode), {});
  nvmeInitRequest(core, rq, command.words);
  nvmeReq(rq).flags |= NVME_REQ_USERCMD;
  rq.timeoutNs = command.timeoutMs * NS_PER_MS;
  return rq;
}

/**
 * Gives the request the caller's data, and returns the copy it works on. The copy starts as the caller's buffers also for
 * commands that read: what the controller leaves alone stays as it was, as in pages of the caller's own. Null: no data.
 * @kernel drivers/nvme/host/ioctl.c nvme_map_user_request
 */
function nvmeMapUserRequest({ ctrl, q, command }: Submission, rq: Request): NvmeSyncBuffer | null {
  const { data, metadataBytes } = command;
  // No disk of this block layer carries integrity data.
  if (metadataBytes > 0)
    throw new KernelError('EINVAL', `metadata: ${metadataBytes} bytes, none is allowed on a disk without integrity`);
  let lengthBytes = 0;
  for (const piece of data) lengthBytes += piece.length;
  if (lengthBytes === 0) return null;
  const largest = q.limits.maxHwSectors * SECTOR_SIZE;
  if (lengthBytes > largest)
    throw new KernelError('EINVAL', `data: ${lengthBytes} bytes, at most ${largest} are allowed`);
  const buffer = allocBuffer(ctrl, lengthBytes);
  if (buffer.physAddr === NO_PAGE) throw new KernelError('ENOMEM', `data: ${lengthBytes} bytes`);
  gather(bufferBytes(ctrl, buffer), data);
  ctrl.core.blkMq.blkRqMapKern(rq, buffer.physAddr, lengthBytes);
  return buffer;
}

function gather(bytes: Uint8Array, pieces: readonly Uint8Array[]): void {
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
}

/** @kernel block/blk-map.c bio_uncopy_user */
function scatter(bytes: Uint8Array, pieces: readonly Uint8Array[]): void {
  let at = 0;
  for (const piece of pieces) {
    piece.set(bytes.subarray(at, at + piece.length));
    at += piece.length;
  }
}
