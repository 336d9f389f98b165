/**
 * Submission: prepares requests, copies their commands into the queue and rings the doorbell.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_queue_rq, nvme_queue_rqs, nvme_prep_rq, nvme_write_sq_db.
 *
 * The command is in the queue before the doorbell says so. `sq_lock` covers both, so commands are seen in order.
 * Interrupts are off under it, because a bio that waited for a tag goes on in the interrupt that frees one (Linux wakes a
 * task for it). submit-fast.ts does the same in one piece.
 */
import {
  BLK_STS_IOERR,
  BLK_STS_OK,
  type BlkMqHwCtx,
  type BlkMqQueueData,
  type BlkStatus,
  REQ_INTEGRITY,
  type Request,
} from '@nvme-stack/blk-mq/ports';
import { spinLockIrq, spinUnlockIrq, type Trace } from '@nvme-stack/kernel';
import type { NvmeCore, NvmeNs } from '@nvme-stack/nvme-core/ports';
import { MAP_NONE, type NvmeDev, type NvmeQueue, nvmeIod } from './dev.js';
import { SQE_BYTES } from './limits.js';
import { hasPayload, nvmeMapData, nvmeUnmapData, type PrpMapper } from './map-data.js';
import { nvmeMapMetadata } from './map-metadata.js';
import { nvmeBar } from './registers.js';
import { nvmeDbbufUpdateAndCheckEvent } from './shadow-doorbell.js';
import { warnAborted } from './timeout-lines.js';

/** Sixteen words, written out: a loop costs twice as much. */
export function copySqe(to: Uint32Array, at: number, cmd: Uint32Array): void {
  to[at] = cmd[0] as number;
  to[at + 1] = cmd[1] as number;
  to[at + 2] = cmd[2] as number;
  to[at + 3] = cmd[3] as number;
  to[at + 4] = cmd[4] as number;
  to[at + 5] = cmd[5] as number;
  to[at + 6] = cmd[6] as number;
  to[at + 7] = cmd[7] as number;
  to[at + 8] = cmd[8] as number;
  to[at + 9] = cmd[9] as number;
  to[at + 10] = cmd[10] as number;
  to[at + 11] = cmd[11] as number;
  to[at + 12] = cmd[12] as number;
  to[at + 13] = cmd[13] as number;
  to[at + 14] = cmd[14] as number;
  to[at + 15] = cmd[15] as number;
}

/** Copies a command into the next slot. Under sq_lock. @kernel drivers/nvme/host/pci.c nvme_sq_copy_cmd */
export function nvmeSqCopyCmd(nvmeq: NvmeQueue, cmd: Uint32Array): void {
  const { sqWords, sqTail } = nvmeq;
  const start = sqTail * nvmeq.sqeWords;
  copySqe(sqWords, start, cmd);
  nvmeq.sqMemory.publish(start * 4, SQE_BYTES);
  nvmeq.sqTail = sqTail + 1 === nvmeq.qDepth ? 0 : sqTail + 1;
}

/**
 * Rings the tail doorbell. Without `writeSq` it waits for more, unless the next tail would meet the last one rung.
 * Under sq_lock. @kernel drivers/nvme/host/pci.c nvme_write_sq_db
 */
export function nvmeWriteSqDb(nvmeq: NvmeQueue, writeSq: boolean): void {
  const { sqTail } = nvmeq;
  if (!writeSq) {
    const next = sqTail + 1 === nvmeq.qDepth ? 0 : sqTail + 1;
    if (next !== nvmeq.lastSqTail) return;
  }
  if (nvmeDbbufUpdateAndCheckEvent(nvmeq.dev, sqTail, nvmeq.dbbufSqWord)) {
    nvmeBar(nvmeq.dev).writel(nvmeq.dbOffset, sqTail);
  }
  nvmeq.lastSqTail = sqTail;
}

/** Makes the queue operations of one device. */
export class NvmeSubmission {
  private readonly dev: NvmeDev;
  private readonly mapper: PrpMapper;
  private readonly core: NvmeCore;
  private readonly trace: Trace;
  /** Each command rings unless `last` says that more follow; or always. */
  private readonly batchesDoorbells: boolean;
  /** Looks for completions after each command, in eras that do. */
  reap: ((nvmeq: NvmeQueue) => void) | null = null;

  constructor(dev: NvmeDev, mapper: PrpMapper) {
    this.batchesDoorbells = dev.driver.era.batchesDoorbells;
    this.dev = dev;
    this.mapper = mapper;
    this.core = dev.deps.nvmeCore;
    this.trace = dev.kernel.trace;
  }

  /** @kernel drivers/nvme/host/pci.c nvme_queue_rq */
  queueRq(hctx: BlkMqHwCtx, bd: BlkMqQueueData): BlkStatus {
    const { trace } = this;
    const nvmeq = hctx.driverData as NvmeQueue;
    if (trace.functions) trace.enter('nvme_queue_rq');
    const status = this.queueOne(nvmeq, bd.rq, bd.last);
    if (trace.functions) trace.exit();
    return status;
  }

  private queueOne(nvmeq: NvmeQueue, rq: Request, last: boolean): BlkStatus {
    const { dev, core } = this;
    // Without its queue the controller is on its way out, or not yet back.
    if (!nvmeq.enabled) return BLK_STS_IOERR;
    if (!core.nvmeCheckReady(dev.ctrl, rq, true)) return core.nvmeFailNonreadyCommand(dev.ctrl, rq);
    const status = this.prepRq(nvmeq, rq);
    if (status !== BLK_STS_OK) return status;
    spinLockIrq(nvmeq.sqLock);
    nvmeSqCopyCmd(nvmeq, nvmeIod(rq).nvme.cmd);
    nvmeWriteSqDb(nvmeq, last || !this.batchesDoorbells);
    spinUnlockIrq(nvmeq.sqLock);
    if (this.reap !== null) this.reap(nvmeq);
    return BLK_STS_OK;
  }

  /** @kernel drivers/nvme/host/pci.c nvme_prep_rq */
  private prepRq(nvmeq: NvmeQueue, rq: Request): BlkStatus {
    const { dev, core, trace } = this;
    const iod = nvmeIod(rq);
    iod.aborted = false;
    iod.nvmeq = nvmeq;
    const setup = core.nvmeSetupCmd(rq.q.queuedata as NvmeNs | null, rq);
    if (setup !== BLK_STS_OK) return setup;
    if (trace.functions) trace.enter('nvme_prep_rq');
    let mapped = hasPayload(rq) ? nvmeMapData(dev, rq, this.mapper) : BLK_STS_OK;
    if (mapped === BLK_STS_OK && (rq.cmdFlags & REQ_INTEGRITY) !== 0) mapped = nvmeMapMetadata(dev, rq);
    if (mapped === BLK_STS_OK) core.nvmeStartRequest(rq);
    else core.nvmeCleanupCmd(rq);
    if (trace.functions) trace.exit();
    return mapped;
  }

  /** Takes a whole list; returns what the block layer must queue one by one. @kernel drivers/nvme/host/pci.c nvme_queue_rqs */
  queueRqs(list: Request): Request | null {
    const { trace } = this;
    if (trace.functions) trace.enter('nvme_queue_rqs');
    let refused: Request | null = null;
    let refusedLast: Request | null = null;
    let batch: Request | null = null;
    let batchLast: Request | null = null;
    let nvmeq: NvmeQueue | null = null;
    let rq: Request | null = list;
    while (rq !== null) {
      const next: Request | null = rq.next;
      rq.next = null;
      const queue = rq.mqHctx.driverData as NvmeQueue;
      if (queue !== nvmeq) {
        if (batch !== null) this.submitCmds(nvmeq as NvmeQueue, batch);
        batch = batchLast = null;
        nvmeq = queue;
      }
      if (this.prepBatch(queue, rq)) {
        if (batchLast === null) batch = rq;
        else batchLast.next = rq;
        batchLast = rq;
      } else {
        if (refusedLast === null) refused = rq;
        else refusedLast.next = rq;
        refusedLast = rq;
      }
      rq = next;
    }
    if (batch !== null) this.submitCmds(nvmeq as NvmeQueue, batch);
    if (trace.functions) trace.exit();
    return refused;
  }

  private prepBatch(nvmeq: NvmeQueue, rq: Request): boolean {
    if (!nvmeq.enabled) return false;
    if (!this.core.nvmeCheckReady(this.dev.ctrl, rq, true)) return false;
    return this.prepRq(nvmeq, rq) === BLK_STS_OK;
  }

  /** @kernel drivers/nvme/host/pci.c nvme_submit_cmds */
  private submitCmds(nvmeq: NvmeQueue, first: Request): void {
    const { trace } = this;
    if (trace.functions) trace.enter('nvme_submit_cmds');
    spinLockIrq(nvmeq.sqLock);
    let rq: Request | null = first;
    while (rq !== null) {
      const next: Request | null = rq.next;
      rq.next = null;
      nvmeSqCopyCmd(nvmeq, nvmeIod(rq).nvme.cmd);
      rq = next;
    }
    nvmeWriteSqDb(nvmeq, true);
    spinUnlockIrq(nvmeq.sqLock);
    if (trace.functions) trace.exit();
  }

  /** Rings the doorbell for what was queued without `last`. @kernel drivers/nvme/host/pci.c nvme_commit_rqs */
  commitRqs(hctx: BlkMqHwCtx): void {
    const nvmeq = hctx.driverData as NvmeQueue;
    spinLockIrq(nvmeq.sqLock);
    if (nvmeq.sqTail !== nvmeq.lastSqTail) nvmeWriteSqDb(nvmeq, true);
    spinUnlockIrq(nvmeq.sqLock);
  }

  /** Completes a request on the CPU it came from. @kernel drivers/nvme/host/pci.c nvme_pci_complete_rq */
  completeRq(rq: Request): void {
    const { dev, trace } = this;
    if (trace.functions) trace.enter('nvme_pci_complete_rq');
    const iod = nvmeIod(rq);
    if (iod.mapping !== MAP_NONE) nvmeUnmapData(dev, rq);
    if (iod.aborted && dev.driver.era.namesAborted) warnAborted(dev, rq);
    this.core.nvmeCompleteRq(rq);
    if (trace.functions) trace.exit();
  }
}
