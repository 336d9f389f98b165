/**
 * Write streams: hints of how long data live become stream identifiers of writes. Kernels 4.13 to 5.16, where the
 * parameter `streams` asks for them.
 * Kernel counterpart: drivers/nvme/host/core.c of 4.13, nvme_configure_directives, nvme_setup_streams_ns,
 * nvme_assign_write_stream. [NVMe] 1.3 §9.3.
 */
import {
  BLK_MAX_WRITE_HINTS,
  type QueueLimits,
  type Request,
  SECTOR_SHIFT,
  WRITE_LIFE_NONE,
  WRITE_LIFE_NOT_SET,
} from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import {
  NVME_CTRL_OACS_DIRECTIVES,
  NVME_DIR_ENDIR,
  NVME_DIR_IDENTIFY,
  NVME_DIR_RCV_ST_OP_PARAM,
  NVME_DIR_SND_ID_OP_ENABLE,
  NVME_DIR_STREAMS,
  NVME_NSID_ALL,
  NVME_RW_DTYPE_STREAMS,
  NvmeAdminOpcode,
  NvmeDirectiveCmd,
  StreamsDirectiveParams,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { ctrlLog } from './log.js';
import type { Ns } from './namespace.js';
import { adminRead, adminWrite, commandWords } from './sync-command.js';

/** One for each hint that says something. */
const STREAMS_WANTED = BLK_MAX_WRITE_HINTS - 1;
/** What a block is taken for before the namespace was looked at. */
const DEFAULT_BLOCK_BYTES = 512;
const DSPEC_SHIFT = 16;
const DTYPE_STREAMS = NVME_RW_DTYPE_STREAMS << 16;

type StreamParams = ReturnType<typeof StreamsDirectiveParams.decode>;

/** For every namespace; NVMe status, or a negative errno. @kernel drivers/nvme/host/core.c nvme_toggle_streams */
const nvmeToggleStreams = traced('nvme_toggle_streams', async (ctrl: Ctrl, enable: boolean): Promise<number> => {
  const command = NvmeDirectiveCmd.encode({
    opcode: NvmeAdminOpcode.directiveSend,
    nsid: NVME_NSID_ALL,
    doper: NVME_DIR_SND_ID_OP_ENABLE,
    dtype: NVME_DIR_IDENTIFY,
    tdtype: NVME_DIR_STREAMS,
    endir: enable ? NVME_DIR_ENDIR : 0,
  });
  return (await adminWrite(ctrl, commandWords(command), null)).status;
});

/** Return Parameters; null when the controller refuses. @kernel drivers/nvme/host/core.c nvme_get_stream_params */
const nvmeGetStreamParams = traced(
  'nvme_get_stream_params',
  async (ctrl: Ctrl, nsid: number): Promise<StreamParams | null> => {
    const { sizeBytes } = StreamsDirectiveParams;
    const command = NvmeDirectiveCmd.encode({
      opcode: NvmeAdminOpcode.directiveRecv,
      nsid,
      numd: sizeBytes / 4 - 1,
      doper: NVME_DIR_RCV_ST_OP_PARAM,
      dtype: NVME_DIR_STREAMS,
    });
    const { status, data } = await adminRead(ctrl, commandWords(command), sizeBytes);
    return status === 0 ? StreamsDirectiveParams.decode(data) : null;
  },
);

/**
 * Enables streams where controller and user want them. What fails leaves everything as it was: also after a reset, which
 * the controller forgets them over. Task context. @kernel drivers/nvme/host/core.c nvme_configure_directives
 */
export const nvmeConfigureDirectives = traced('nvme_configure_directives', async (ctrl: Ctrl): Promise<void> => {
  if ((ctrl.oacs & NVME_CTRL_OACS_DIRECTIVES) === 0 || ctrl.core.params.streams !== true) return;
  if ((await nvmeToggleStreams(ctrl, true)) !== 0) return;
  const params = await nvmeGetStreamParams(ctrl, NVME_NSID_ALL);
  if (params === null) return;
  if (params.nssa < STREAMS_WANTED) {
    ctrlLog(ctrl, 'info', `too few streams (${params.nssa}) available`);
    await nvmeToggleStreams(ctrl, false);
    return;
  }
  ctrl.nrStreams = STREAMS_WANTED;
  ctrlLog(ctrl, 'info', `Using ${ctrl.nrStreams} streams`);
});

/** What a namespace prefers to be written and deallocated in. Task context. @kernel drivers/nvme/host/core.c nvme_setup_streams_ns */
export const nvmeSetupStreamsNs = traced('nvme_setup_streams_ns', async (ns: Ns): Promise<void> => {
  if (ns.ctrl.nrStreams === 0) return;
  const params = await nvmeGetStreamParams(ns.ctrl, ns.nsid);
  if (params === null) return;
  ns.sws = params.sws;
  ns.sgs = params.sgs;
});

/** Limits that follow from it. They are asked for before the block size is known, and count in blocks of 512 bytes. */
export function streamLimits(ns: Ns, ioMinBytes: number): Partial<QueueLimits> {
  const { sws, sgs } = ns;
  if (sws === 0) return {};
  const writeBytes = DEFAULT_BLOCK_BYTES * sws;
  return { ioMinBytes: Math.max(ioMinBytes, writeBytes), ...(sgs === 0 ? {} : { ioOptBytes: writeBytes * sgs }) };
}

/** What is best deallocated at once, bytes; 0: nothing in particular. @kernel drivers/nvme/host/core.c nvme_config_discard */
export function streamDiscardBytes(ns: Ns): number {
  return ns.ctrl.nrStreams === 0 ? 0 : 2 ** ns.lbaShift * ns.sws * ns.sgs;
}

/** Names the stream of a write's hint in its command, and counts what is written. Any context; hot path. @kernel drivers/nvme/host/core.c nvme_assign_write_stream */
export function nvmeAssignWriteStream(ctrl: Ctrl, rq: Request, cmd: Uint32Array): void {
  const hint = rq.bio === null ? WRITE_LIFE_NOT_SET : rq.bio.writeHint;
  let stream = 0;
  if (hint !== WRITE_LIFE_NOT_SET && hint !== WRITE_LIFE_NONE) {
    stream = hint - 1;
    if (stream > ctrl.nrStreams) return;
    cmd[12] |= DTYPE_STREAMS;
    cmd[13] |= stream << DSPEC_SHIFT;
  }
  rq.q.writeHints[stream] += rq.dataLengthBytes / 2 ** SECTOR_SHIFT;
}
