/**
 * The operations the block layer calls: one set for the admin queue, one for I/O.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_mq_admin_ops, nvme_mq_ops.
 */
import type { BlkMqHwCtx, BlkMqOps, BlkMqTagSet, Request } from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import { NvmeCompletion } from './complete.js';
import { type NvmeDev, NvmeIod, type NvmeQueue } from './dev.js';
import { nvmePciMapQueues } from './io-queues.js';
import { PrpMapper } from './map-data.js';
import { NvmeSubmission } from './submit.js';
import { NvmeFastSubmission } from './submit-fast.js';
import { nvmeTimeout } from './timeout.js';

/** @kernel drivers/nvme/host/pci.c nvme_admin_init_hctx */
const nvmeAdminInitHctx = traced('nvme_admin_init_hctx', (dev: NvmeDev, hctx: BlkMqHwCtx): void => {
  hctx.driverData = dev.queues[0] as NvmeQueue;
});

/** @kernel drivers/nvme/host/pci.c nvme_init_hctx */
const nvmeInitHctx = traced('nvme_init_hctx', (dev: NvmeDev, hctx: BlkMqHwCtx, index: number): void => {
  hctx.driverData = dev.queues[index + 1] as NvmeQueue;
});

/** Submission and completion of one device. */
export class NvmeIo {
  readonly completion: NvmeCompletion;
  readonly adminOps: BlkMqOps;
  readonly ioOps: BlkMqOps;

  constructor(dev: NvmeDev) {
    const mapper = new PrpMapper();
    const submission = new NvmeSubmission(dev, mapper);
    const fast = new NvmeFastSubmission(dev, mapper);
    const completion = new NvmeCompletion(dev, (rq) => submission.completeRq(rq));
    this.completion = completion;
    const { era } = dev.driver;
    if (era.reapsOnSubmit) submission.reap = (nvmeq) => completion.processCq.process(nvmeq);
    const queueRqs = (list: Request): Request | null =>
      fast.queueRqs(list) ? fast.refused : submission.queueRqs(list);
    const shared = {
      queueRq: (hctx, bd) => submission.queueRq(hctx, bd),
      complete: (rq) => submission.completeRq(rq),
      timeout: (rq) => nvmeTimeout(dev, rq, completion),
      initRequest: (_set: BlkMqTagSet, rq: Request) => {
        rq.pdu = new NvmeIod(dev.deps.nvmeCore.nvmeInitRequestData(dev.ctrl, rq), dev);
      },
    } satisfies Partial<BlkMqOps>;
    this.adminOps = { ...shared, initHctx: (hctx) => nvmeAdminInitHctx(dev, hctx) };
    this.ioOps = {
      ...shared,
      ...(era.queueRqs ? { queueRqs } : {}),
      ...(era.batchesDoorbells ? { commitRqs: (hctx: BlkMqHwCtx) => submission.commitRqs(hctx) } : {}),
      poll: (hctx, iob, tag) => completion.poll(hctx, iob, tag),
      mapQueues: (set) => nvmePciMapQueues(dev, set),
      initHctx: (hctx, _data, index) => nvmeInitHctx(dev, hctx, index),
    };
  }
}
