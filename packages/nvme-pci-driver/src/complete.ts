/**
 * Completion: reads the completion queue from an interrupt, a poll or a tear-down.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_irq, nvme_poll_cq, nvme_handle_cqe, nvme_poll.
 *
 * An entry is new when its phase bit equals the queue's; the bit flips once per pass over the queue. The rest of the
 * entry is read only after the phase bit (Linux: dma_rmb), and the head doorbell is rung once per batch.
 * complete-fast.ts does the same in one piece.
 */
import type { BlkMq, BlkMqHwCtx, BlkMqTagSet, IoCompBatch, Request } from '@nvme-stack/blk-mq/ports';
import { IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD, type IrqReturn } from '@nvme-stack/irq/ports';
import { dmaUnmapPage, type Trace, traced } from '@nvme-stack/kernel';
import type { NvmeCore } from '@nvme-stack/nvme-core/ports';
import { NvmeFastCompletion } from './complete-fast.js';
import { MAP_NONE, MAP_PAGE, type NvmeDev, type NvmeQueue, nvmeIod } from './dev.js';
import { CQE_BYTES, NVME_NR_AEN_COMMANDS } from './limits.js';
import { nvmeUnmapData } from './map-data.js';
import { NvmeProcessCq } from './process-cq.js';
import { nvmeBar } from './registers.js';
import { nvmeDbbufUpdateAndCheckEvent } from './shadow-doorbell.js';

const CQE_WORDS = CQE_BYTES / 4;
/** Bits of a command identifier that are the tag, with or without a generation above them. */
const TAG_MASK = 0xfff;
/** Words of a completion entry: result, SQ head and id, command id and status. */
const CQE_RESULT = 0;
const CQE_RESULT_HI = 1;
const CQE_SQ = 2;
const CQE_STATUS = 3;

/** Completion of one device's queues; holds what must not be made anew for each interrupt. */
export class NvmeCompletion {
  private readonly dev: NvmeDev;
  private readonly iob: IoCompBatch;
  private readonly unmap: (rq: Request) => void;
  private readonly completeBatch: (iob: IoCompBatch) => void;
  /** Completes one request; set with the tag sets' operations. */
  private readonly completeRq: (rq: Request) => void;

  private readonly core: NvmeCore;
  private readonly blk: BlkMq;
  private readonly trace: Trace;
  private readonly fast: NvmeFastCompletion;
  /** Completion entry by entry, in eras without batches. */
  readonly processCq: NvmeProcessCq;
  /** AER commands carry a tag past every tag of the block layer. */
  private readonly firstEventId: number;

  constructor(dev: NvmeDev, completeRq: (rq: Request) => void) {
    this.dev = dev;
    this.core = dev.deps.nvmeCore;
    this.blk = dev.deps.blkMq;
    this.trace = dev.kernel.trace;
    this.fast = new NvmeFastCompletion(dev);
    this.completeRq = completeRq;
    this.iob = dev.deps.blkMq.ioCompBatch();
    this.unmap = (rq) => {
      const iod = nvmeIod(rq);
      if (iod.mapping === MAP_PAGE && !this.trace.functions) {
        dmaUnmapPage(dev.dma, iod.pageAddr, iod.pageLengthBytes, iod.direction);
        iod.mapping = MAP_NONE;
      } else if (iod.mapping !== MAP_NONE) nvmeUnmapData(dev, rq);
    };
    this.completeBatch = (iob) => this.pciCompleteBatch(iob);
    this.processCq = new NvmeProcessCq(dev, this);
    this.irq = dev.driver.era.batchesCompletions ? this.batchIrq : this.processCq.irq;
    this.firstEventId = dev.driver.era.adminQueueDepth - NVME_NR_AEN_COMMANDS;
  }

  /** The interrupt handler of the era. Hard interrupt context. */
  readonly irq: (irq: number, nvmeq: NvmeQueue) => IrqReturn;

  /** @kernel drivers/nvme/host/pci.c nvme_irq */
  private readonly batchIrq = (_irq: number, nvmeq: NvmeQueue): IrqReturn => {
    const { trace } = this;
    if (trace.functions) trace.enter('nvme_irq');
    const { iob } = this;
    const found = this.pollCq(nvmeq, iob);
    if (iob.first !== null) this.completeBatch(iob);
    if (trace.functions) trace.exit();
    return found > 0 ? IRQ_HANDLED : IRQ_NONE;
  };

  /** With threaded interrupts only a look whether there is work. Hard interrupt context. @kernel drivers/nvme/host/pci.c nvme_irq_check */
  readonly irqCheck = (_irq: number, nvmeq: NvmeQueue): IrqReturn => {
    const { trace } = this;
    if (trace.functions) trace.enter('nvme_irq_check');
    const pending = nvmeCqePending(nvmeq);
    if (trace.functions) trace.exit();
    return pending ? IRQ_WAKE_THREAD : IRQ_NONE;
  };

  /** What the hard interrupt does otherwise, in a task of its own. */
  readonly irqThread = async (irq: number, nvmeq: NvmeQueue): Promise<IrqReturn> => this.irq(irq, nvmeq);

  /** @kernel drivers/nvme/host/pci.c nvme_pci_complete_batch */
  private pciCompleteBatch(iob: IoCompBatch): void {
    const { trace } = this;
    if (trace.functions) trace.enter('nvme_pci_complete_batch');
    this.core.nvmeCompleteBatch(iob, this.unmap);
    if (trace.functions) trace.exit();
  }

  /** Handles every new entry; returns how many there were. Any context. @kernel drivers/nvme/host/pci.c nvme_poll_cq */
  pollCq(nvmeq: NvmeQueue, iob: IoCompBatch | null): number {
    let found = 0;
    for (;;) {
      if (iob !== null) found += this.fast.takeSuccesses(nvmeq, iob, this.completeBatch);
      if (!nvmeCqePending(nvmeq)) break;
      found++;
      this.handleCqe(nvmeq, iob, nvmeq.cqHead);
      nvmeUpdateCqHead(nvmeq);
    }
    if (found > 0) nvmeRingCqDoorbell(nvmeq);
    return found;
  }

  /** @kernel drivers/nvme/host/pci.c nvme_handle_cqe */
  private handleCqe(nvmeq: NvmeQueue, iob: IoCompBatch | null, index: number): void {
    const { core } = this;
    const words = nvmeq.cqWords;
    const at = index * CQE_WORDS;
    nvmeq.cqMemory.acquire(at * 4, CQE_BYTES);
    const result = words[at + CQE_RESULT] as number;
    const last = words[at + CQE_STATUS] as number;
    const commandId = last & 0xffff;
    const status = last >>> 17;
    if (nvmeq.qid === 0 && (commandId & TAG_MASK) >= this.firstEventId) {
      core.nvmeCompleteAsyncEvent(this.dev.ctrl, status, result);
      return;
    }
    const rq = core.nvmeFindRq(this.dev.ctrl, this.tagSet(nvmeq), nvmeq.qid === 0 ? 0 : nvmeq.qid - 1, commandId);
    if (rq === null) {
      this.dev.kernel.printk.print(
        'warn',
        `nvme ${this.dev.ctrl.name}: invalid id ${commandId} completed on queue ${(words[at + CQE_SQ] as number) >>> 16}`,
      );
      return;
    }
    if (this.trace.events) core.traceNvmeSq(rq, (words[at + CQE_SQ] as number) & 0xffff, nvmeq.sqTail);
    if (core.nvmeTryCompleteReq(rq, status, result, words[at + CQE_RESULT_HI] as number)) return;
    if (this.blk.blkMqAddToBatch(rq, iob, status !== 0, this.completeBatch)) return;
    this.completeRq(rq);
  }

  private tagSet(nvmeq: NvmeQueue): BlkMqTagSet {
    const { ctrl } = this.dev;
    return (nvmeq.qid === 0 ? ctrl.adminTagset : ctrl.tagset) as BlkMqTagSet;
  }

  /** Polled queues, or any queue for one tag, as the era has it. @kernel drivers/nvme/host/pci.c nvme_poll */
  poll(hctx: BlkMqHwCtx, iob: IoCompBatch | null, tag: number): number {
    if (this.dev.driver.era.pollsAnyQueue) return this.processCq.poll(hctx, tag);
    const nvmeq = hctx.driverData as NvmeQueue;
    if (!nvmeCqePending(nvmeq)) return 0;
    return this.pollCq(nvmeq, iob);
  }
}

/** Whether the entry at the head is new. @kernel drivers/nvme/host/pci.c nvme_cqe_pending */
export function nvmeCqePending(nvmeq: NvmeQueue): boolean {
  const word = nvmeq.cqHead * CQE_WORDS + CQE_STATUS;
  nvmeq.cqMemory.acquire(word * 4, 4);
  return (((nvmeq.cqWords[word] as number) >>> 16) & 1) === nvmeq.cqPhase;
}

/** @kernel drivers/nvme/host/pci.c nvme_update_cq_head */
function nvmeUpdateCqHead(nvmeq: NvmeQueue): void {
  if (nvmeq.cqHead + 1 === nvmeq.qDepth) {
    nvmeq.cqHead = 0;
    nvmeq.cqPhase ^= 1;
  } else {
    nvmeq.cqHead++;
  }
}

/** @kernel drivers/nvme/host/pci.c nvme_ring_cq_doorbell */
function nvmeRingCqDoorbell(nvmeq: NvmeQueue): void {
  const { dev, cqHead } = nvmeq;
  if (nvmeDbbufUpdateAndCheckEvent(dev, cqHead, nvmeq.dbbufCqWord)) nvmeBar(dev).writel(nvmeq.cqDbOffset, cqHead);
}

/** Polls a queue, whose interrupt is off meanwhile. Task context. @kernel drivers/nvme/host/pci.c nvme_poll_irqdisable */
export const nvmePollIrqdisable = traced(
  'nvme_poll_irqdisable',
  async (nvmeq: NvmeQueue, completion: NvmeCompletion): Promise<void> => {
    const { pciBus, irqs } = nvmeq.dev.deps;
    if (!nvmeq.enabled || nvmeq.cqVector < 0) {
      completion.pollCq(nvmeq, null);
      return;
    }
    const irq = pciBus.pciIrqVector(nvmeq.dev.pdev, nvmeq.cqVector);
    await irqs.disableIrq(irq);
    completion.pollCq(nvmeq, null);
    irqs.enableIrq(irq);
  },
);
