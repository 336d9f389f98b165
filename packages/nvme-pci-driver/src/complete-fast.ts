/**
 * Successful completion entries in one piece, taken when nothing is traced: equals the steps of complete.ts for each
 * entry, up to the batch. The first entry of another kind is left to them.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_poll_cq, nvme_handle_cqe.
 *
 * Hazard: whoever changes a step in complete.ts changes it here; a test runs both and compares.
 */
import type { BlkMq, BlkMqTagSet, IoCompBatch, Request } from '@nvme-stack/blk-mq/ports';
import type { NvmeCore } from '@nvme-stack/nvme-core/ports';
import type { NvmeDev, NvmeQueue } from './dev.js';
import { CQE_BYTES } from './limits.js';

const CQE_WORDS = CQE_BYTES / 4;
const STATUS_BYTES = 12;

/** The short way of one device's completions. */
export class NvmeFastCompletion {
  private readonly dev: NvmeDev;
  private readonly core: NvmeCore;
  private readonly blk: BlkMq;
  private readonly untraced: boolean;

  constructor(dev: NvmeDev) {
    const { trace } = dev.kernel;
    this.dev = dev;
    this.core = dev.deps.nvmeCore;
    this.blk = dev.deps.blkMq;
    this.untraced = !trace.functions && !trace.events;
  }

  /** Adds the new entries that stand first to the batch; returns how many. The doorbell is the caller's. Any context. */
  takeSuccesses(nvmeq: NvmeQueue, iob: IoCompBatch, complete: (iob: IoCompBatch) => void): number {
    if (!this.untraced || nvmeq.qid === 0) return 0;
    const { core } = this;
    const { ctrl } = this.dev;
    const { cqWords, cqMemory, qDepth } = nvmeq;
    const { isShared } = cqMemory;
    const tags = ctrl.tagset as BlkMqTagSet;
    const hwQueue = nvmeq.qid - 1;
    let head = nvmeq.cqHead;
    let phase = nvmeq.cqPhase;
    let first: Request | null = null;
    let last: Request | null = null;
    let found = 0;
    for (;;) {
      const at = head * CQE_WORDS;
      if (!isShared) cqMemory.acquire(at * 4 + STATUS_BYTES, 4);
      if ((((cqWords[at + 3] as number) >>> 16) & 1) !== phase) break;
      if (!isShared) cqMemory.acquire(at * 4, CQE_BYTES);
      const end = cqWords[at + 3] as number;
      if (end >>> 17 !== 0) break;
      const rq = core.nvmeTakeSuccess(ctrl, tags, hwQueue, end & 0xffff);
      if (rq === null) break;
      if (last === null) first = rq;
      else last.next = rq;
      last = rq;
      found++;
      if (++head === qDepth) {
        head = 0;
        phase ^= 1;
      }
    }
    if (first !== null) {
      (last as Request).next = null;
      nvmeq.cqHead = head;
      nvmeq.cqPhase = phase;
      this.blk.blkMqCompleteToBatch(first, iob, complete);
    }
    return found;
  }
}
