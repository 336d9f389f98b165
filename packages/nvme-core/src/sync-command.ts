/**
 * Commands whose caller waits.
 * Kernel counterpart: drivers/nvme/host/core.c __nvme_submit_sync_cmd, nvme_submit_sync_cmd, nvme_features.
 */
import { REQ_OP_DRV_IN, REQ_OP_DRV_OUT, type Request, type RequestQueue } from '@nvme-stack/blk-mq/ports';
import { Errno, KernelError, NO_PAGE, traced } from '@nvme-stack/kernel';
import { NvmeAdminOpcode, NvmeFeatures, NvmeGetLogPageCommand, NvmeIdentify } from '@nvme-stack/nvme-protocol';
import { allocBuffer, bufferBytes, freeBuffer } from './buffer.js';
import type { CoreState } from './core.js';
import type { Ctrl } from './ctrl.js';
import { NVME_REQ_CANCELLED, type NvmeSyncBuffer, type NvmeSyncResult } from './ports.js';
import { nvmeInitRequest, nvmeReq } from './request.js';
import { blkStatusToErrno } from './status-map.js';

/** Data that came back beside status and result. */
export interface NvmeDataResult extends NvmeSyncResult {
  readonly data: Uint8Array;
}

/** The words of an encoded command. */
export function commandWords(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >>> 2);
}

/** Bit 0 of an opcode says that data goes to the controller. @kernel include/linux/nvme.h nvme_is_write */
export function nvmeReqOp(opcode: number): number {
  return opcode & 1 ? REQ_OP_DRV_OUT : REQ_OP_DRV_IN;
}

/** Sends it and waits; NVMe status, or a negative errno. Task context. @kernel drivers/nvme/host/core.c nvme_execute_rq */
export async function nvmeExecuteRq(core: CoreState, rq: Request, atHead: boolean): Promise<number> {
  const status = await core.blkMq.blkExecuteRq(rq, atHead);
  const nr = nvmeReq(rq);
  if (nr.flags & NVME_REQ_CANCELLED) return -Errno.EINTR;
  return nr.status !== 0 ? nr.status : blkStatusToErrno(status);
}

/** Task context. @kernel drivers/nvme/host/core.c __nvme_submit_sync_cmd */
export const nvmeSubmitSyncCmdInner = traced(
  '__nvme_submit_sync_cmd',
  async (
    core: CoreState,
    q: RequestQueue,
    cmd: Uint32Array,
    buffer: NvmeSyncBuffer | null,
  ): Promise<NvmeSyncResult> => {
    const { blkMq } = core;
    let rq: Request;
    try {
      rq = await blkMq.blkMqAllocRequest(q, nvmeReqOp(cmd[0] & 0xff), {});
    } catch (error) {
      if (!KernelError.is(error)) throw error;
      return { status: error.errno, result: 0 };
    }
    try {
      nvmeInitRequest(core, rq, cmd);
      if (buffer !== null && buffer.lengthBytes > 0) blkMq.blkRqMapKern(rq, buffer.physAddr, buffer.lengthBytes);
      const status = await nvmeExecuteRq(core, rq, false);
      return { status, result: nvmeReq(rq).result };
    } finally {
      blkMq.blkMqFreeRequest(rq);
    }
  },
);

/** The same, as the transport calls it. @kernel drivers/nvme/host/core.c nvme_submit_sync_cmd */
export const nvmeSubmitSyncCmd = traced(
  'nvme_submit_sync_cmd',
  async (core: CoreState, q: RequestQueue, cmd: Uint32Array, buffer: NvmeSyncBuffer | null): Promise<NvmeSyncResult> =>
    await nvmeSubmitSyncCmdInner(core, q, cmd, buffer),
);

/** The admin queue; there is one from nvme_alloc_admin_tag_set on. */
export function adminQueue(ctrl: Ctrl): RequestQueue {
  if (ctrl.adminQ === null) ctrl.kernel.ex.bug(`${ctrl.name}: no admin queue`);
  return ctrl.adminQ;
}

/** An admin command that returns `lengthBytes` of data; the buffer lives as long as the command. */
export async function adminRead(ctrl: Ctrl, cmd: Uint32Array, lengthBytes: number): Promise<NvmeDataResult> {
  const buffer = allocBuffer(ctrl, lengthBytes);
  if (buffer.physAddr === NO_PAGE) return { status: -Errno.ENOMEM, result: 0, data: new Uint8Array(lengthBytes) };
  try {
    const outcome = await nvmeSubmitSyncCmdInner(ctrl.core, adminQueue(ctrl), cmd, buffer);
    return { ...outcome, data: bufferBytes(ctrl, buffer).slice() };
  } finally {
    freeBuffer(ctrl, buffer);
  }
}

/** An admin command that carries `data` (none: null). */
export async function adminWrite(ctrl: Ctrl, cmd: Uint32Array, data: Uint8Array | null): Promise<NvmeSyncResult> {
  const { core } = ctrl;
  if (data === null) return await nvmeSubmitSyncCmdInner(core, adminQueue(ctrl), cmd, null);
  const buffer = allocBuffer(ctrl, data.length);
  if (buffer.physAddr === NO_PAGE) return { status: -Errno.ENOMEM, result: 0 };
  try {
    bufferBytes(ctrl, buffer).set(data);
    return await nvmeSubmitSyncCmdInner(core, adminQueue(ctrl), cmd, buffer);
  } finally {
    freeBuffer(ctrl, buffer);
  }
}

/** Identify; 4096 bytes. [NVMe] 5.1.13. */
export async function identify(ctrl: Ctrl, cns: number, nsid = 0, csi = 0): Promise<NvmeDataResult> {
  const cmd = commandWords(NvmeIdentify.encode({ opcode: NvmeAdminOpcode.identify, nsid, cns, csi }));
  return await adminRead(ctrl, cmd, 4096);
}

/** Set Features. @kernel drivers/nvme/host/core.c nvme_features, nvme_set_features */
export const setFeatures = traced(
  'nvme_features',
  async (ctrl: Ctrl, fid: number, dword11: number, data: Uint8Array | null): Promise<NvmeSyncResult> => {
    const cmd = commandWords(NvmeFeatures.encode({ opcode: NvmeAdminOpcode.setFeatures, fid, dword11 }));
    return await adminWrite(ctrl, cmd, data);
  },
);

/** Get Features, the current value. @kernel drivers/nvme/host/core.c nvme_get_features */
export async function getFeatures(ctrl: Ctrl, fid: number, dword11: number): Promise<NvmeSyncResult> {
  const cmd = commandWords(NvmeFeatures.encode({ opcode: NvmeAdminOpcode.getFeatures, fid, dword11 }));
  return await adminWrite(ctrl, cmd, null);
}

/** Get Log Page from its start. [NVMe] 5.1.12. @kernel drivers/nvme/host/core.c nvme_get_log */
export async function getLog(
  ctrl: Ctrl,
  nsid: number,
  lid: number,
  csi: number,
  lengthBytes: number,
): Promise<NvmeDataResult> {
  const dwords = lengthBytes / 4 - 1;
  const cmd = NvmeGetLogPageCommand.encode({
    opcode: NvmeAdminOpcode.getLogPage,
    nsid,
    lid,
    numdl: dwords & 0xffff,
    numdu: dwords >>> 16,
    csi,
  });
  return await adminRead(ctrl, commandWords(cmd), lengthBytes);
}
