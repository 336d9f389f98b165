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
  /** The caller's metadata in a buffer of its own, as the data; null: none. */
  readonly metadata: Uint8Array | null;
  /** Number of the first block, for its reference tags. */
  readonly metadataSeed: number;
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
    const buffers: UserBuffer[] = [];
    try {
      nvmeMapUserRequest(submission, rq, buffers);
      effects = await nvmePassthruStart(ctrl, isIo, opcode);
      const status = await nvmeExecuteRq(ctrl.core, rq, false);
      const { result, resultHi } = nvmeReq(rq);
      outcome = { status, result, resultHi };
      if ((opcode & 1) === 0) for (const { copy, user } of buffers) scatter(bufferBytes(ctrl, copy), user);
    } finally {
      for (const { copy } of buffers) freeBuffer(ctrl, copy);
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

/** A kernel copy of the caller's buffers. */
interface UserBuffer {
  readonly copy: NvmeSyncBuffer;
  readonly user: readonly Uint8Array[];
}

/**
 * Gives the request copies of the caller's data and metadata, which it adds to `buffers`. A copy starts as the caller's
 * buffers also for commands that read: what the controller leaves alone stays as it was, as in pages of the caller's own.
 * A command without data has no metadata either. @kernel drivers/nvme/host/ioctl.c nvme_map_user_request
 */
function nvmeMapUserRequest({ ctrl, q, command }: Submission, rq: Request, buffers: UserBuffer[]): void {
  const { data, metadata, metadataSeed } = command;
  const { blkMq } = ctrl.core;
  let lengthBytes = 0;
  for (const piece of data) lengthBytes += piece.length;
  if (lengthBytes === 0) return;
  const passesMetadata = metadata !== null && metadata.length > 0 && takesMetadata(ctrl, q, metadata.length);
  const largest = q.limits.maxHwSectors * SECTOR_SIZE;
  if (lengthBytes > largest)
    throw new KernelError('EINVAL', `data: ${lengthBytes} bytes, at most ${largest} are allowed`);
  blkMq.blkRqMapKern(rq, copyOf(ctrl, 'data', data, lengthBytes, buffers), lengthBytes);
  if (!passesMetadata) return;
  const { length } = metadata;
  blkMq.blkRqIntegrityMapKern(rq, copyOf(ctrl, 'metadata', [metadata], length, buffers), length, metadataSeed);
}

/** False: it is ignored. Throws EINVAL where that tells of a mistake. */
function takesMetadata(ctrl: Ctrl, q: RequestQueue, lengthBytes: number): boolean {
  if (ctrl.core.era.metadata.userMetadata === 'any-namespace') return q !== ctrl.adminQ;
  if (q.limits.integrity !== null) return true;
  throw new KernelError('EINVAL', `metadata: ${lengthBytes} bytes, none is allowed on a disk without integrity`);
}

/** Throws ENOMEM. */
function copyOf(
  ctrl: Ctrl,
  what: string,
  user: readonly Uint8Array[],
  lengthBytes: number,
  buffers: UserBuffer[],
): number {
  const copy = allocBuffer(ctrl, lengthBytes);
  if (copy.physAddr === NO_PAGE) throw new KernelError('ENOMEM', `${what}: ${lengthBytes} bytes`);
  buffers.push({ copy, user });
  gather(bufferBytes(ctrl, copy), user);
  return copy.physAddr;
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
