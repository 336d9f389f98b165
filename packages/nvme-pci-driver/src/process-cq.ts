/**
 * Completion before 4.18: each entry's request is ended by itself, and whoever submits looks for completions too.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_process_cq, nvme_irq and nvme_poll(hctx, tag) of 4.10 and 4.13.
 *
 * Linux ends requests under q_lock. Here what follows may submit to the same queue at once (a bio that waited for a tag),
 * so the lock is not held, and a queue whose entries are being handled is left alone.
 */
import { type BlkMqHwCtx, type BlkMqTagSet, MQ_RQ_IN_FLIGHT, type Request } from '@nvme-stack/blk-mq/ports';
import { IRQ_HANDLED, IRQ_NONE, type IrqReturn } from '@nvme-stack/irq/ports';
import type { Trace } from '@nvme-stack/kernel';
import type { NvmeCompletion } from './complete.js';
import type { NvmeDev, NvmeQueue } from './dev.js';

/** Completion of one device's queues, entry by entry. */
export class NvmeProcessCq {
  private readonly dev: NvmeDev;
  private readonly completion: NvmeCompletion;
  private readonly trace: Trace;

  constructor(dev: NvmeDev, completion: NvmeCompletion) {
    this.dev = dev;
    this.completion = completion;
    this.trace = dev.kernel.trace;
  }

  /** An interrupt is ours too when a submission has handled its entries already. Hard interrupt context. @kernel drivers/nvme/host/pci.c nvme_irq */
  readonly irq = (_irq: number, nvmeq: NvmeQueue): IrqReturn => {
    const { trace } = this;
    if (trace.functions) trace.enter('nvme_irq');
    this.process(nvmeq);
    const seen = nvmeq.cqeSeen;
    nvmeq.cqeSeen = false;
    if (trace.functions) trace.exit();
    return seen ? IRQ_HANDLED : IRQ_NONE;
  };

  /** Ends what the controller has completed; returns how many. Any context. @kernel drivers/nvme/host/pci.c nvme_process_cq */
  process(nvmeq: NvmeQueue): number {
    if (nvmeq.isProcessing) return 0;
    const { trace } = this;
    nvmeq.isProcessing = true;
    if (trace.functions) trace.enter('nvme_process_cq');
    const found = this.completion.pollCq(nvmeq, null);
    if (trace.functions) trace.exit();
    nvmeq.isProcessing = false;
    if (found > 0) nvmeq.cqeSeen = true;
    return found;
  }

  /** Looks for the completion of one request of any queue; 1 when it has ended. Task context. @kernel drivers/nvme/host/pci.c nvme_poll */
  poll(hctx: BlkMqHwCtx, tag: number): number {
    const { trace, dev } = this;
    if (trace.functions) trace.enter('nvme_poll');
    const nvmeq = hctx.driverData as NvmeQueue;
    const rq = this.requestOf(hctx, tag);
    const wasInFlight = rq !== null && rq.state === MQ_RQ_IN_FLIGHT;
    if (dev.bar !== null) this.process(nvmeq);
    const ended = wasInFlight && (rq as Request).state !== MQ_RQ_IN_FLIGHT;
    if (trace.functions) trace.exit();
    return ended ? 1 : 0;
  }

  private requestOf(hctx: BlkMqHwCtx, tag: number): Request | null {
    const set = this.dev.ctrl.tagset as BlkMqTagSet;
    return set.tagToRq(hctx.queueNum, tag);
  }
}
