/**
 * The admin commands that create and delete I/O queues.
 * Kernel counterpart: drivers/nvme/host/pci.c adapter_alloc_cq, adapter_alloc_sq, nvme_delete_queue. [NVMe] 5.2.
 */
import { REQ_OP_DRV_OUT, type Request, type RequestQueue, RQ_END_IO_FREE } from '@nvme-stack/blk-mq/ports';
import { complete, reinitCompletion, traced, waitForCompletionTimeout } from '@nvme-stack/kernel';
import { NVME_QUIRK_MEDIUM_PRIO_SQ } from '@nvme-stack/nvme-core/ports';
import {
  NVME_CQ_IRQ_ENABLED,
  NVME_QUEUE_PHYS_CONTIG,
  NVME_SQ_PRIO_MEDIUM,
  NvmeAdminOpcode,
  NvmeCreateCq,
  NvmeCreateSq,
  NvmeDeleteQueue,
} from '@nvme-stack/nvme-protocol';
import type { NvmeDev, NvmeQueue } from './dev.js';

const NS_PER_SECOND = 1e9;

/** The words of an encoded command. */
export function commandWords(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, 16);
}

/** Status of Create I/O Completion Queue (0: created; negative: an errno). @kernel drivers/nvme/host/pci.c adapter_alloc_cq */
export async function adapterAllocCq(dev: NvmeDev, nvmeq: NvmeQueue, vector: number): Promise<number> {
  const flags = NVME_QUEUE_PHYS_CONTIG | (nvmeq.polled ? 0 : NVME_CQ_IRQ_ENABLED);
  const cmd = NvmeCreateCq.encode({
    opcode: NvmeAdminOpcode.createCq,
    prp1: nvmeq.cqMemory.busAddr,
    cqid: nvmeq.qid,
    qsize: nvmeq.qDepth - 1,
    cqFlags: flags,
    irqVector: nvmeq.polled ? 0 : vector,
  });
  return submit(dev, cmd);
}

function hasMediumPriority({ ctrl, driver }: NvmeDev): boolean {
  return driver.era.queuePriority === 'medium' || (ctrl.quirks & NVME_QUIRK_MEDIUM_PRIO_SQ) !== 0;
}

/** @kernel drivers/nvme/host/pci.c adapter_alloc_sq */
export async function adapterAllocSq(dev: NvmeDev, nvmeq: NvmeQueue): Promise<number> {
  const cmd = NvmeCreateSq.encode({
    opcode: NvmeAdminOpcode.createSq,
    prp1: nvmeq.sqMemory.busAddr,
    sqid: nvmeq.qid,
    qsize: nvmeq.qDepth - 1,
    sqFlags: NVME_QUEUE_PHYS_CONTIG | (hasMediumPriority(dev) ? NVME_SQ_PRIO_MEDIUM : 0),
    cqid: nvmeq.qid,
  });
  return submit(dev, cmd);
}

/** @kernel drivers/nvme/host/pci.c adapter_delete_queue */
export async function adapterDeleteQueue(dev: NvmeDev, opcode: number, qid: number): Promise<number> {
  return submit(dev, NvmeDeleteQueue.encode({ opcode, qid }));
}

async function submit(dev: NvmeDev, bytes: Uint8Array): Promise<number> {
  const { nvmeCore } = dev.deps;
  const result = await nvmeCore.nvmeSubmitSyncCmd(dev.ctrl.adminQ as RequestQueue, commandWords(bytes), null);
  return result.status;
}

/** Starts the deletion of one queue; false when no admin tag is free. @kernel drivers/nvme/host/pci.c nvme_delete_queue */
function nvmeDeleteQueue(nvmeq: NvmeQueue, opcode: number): boolean {
  const { dev } = nvmeq;
  const { blkMq, nvmeCore } = dev.deps;
  const rq = blkMq.blkMqTryAllocRequest(dev.ctrl.adminQ as RequestQueue, REQ_OP_DRV_OUT, {});
  if (rq === null) return false;
  nvmeCore.nvmeInitRequest(rq, commandWords(NvmeDeleteQueue.encode({ opcode, qid: nvmeq.qid })));
  rq.endIoData = nvmeq;
  rq.endIo = opcode === NvmeAdminOpcode.deleteCq ? nvmeDelCqEnd : nvmeDelQueueEnd;
  reinitCompletion(nvmeq.deleteDone);
  blkMq.blkExecuteRqNowait(rq, false);
  return true;
}

/** @kernel drivers/nvme/host/pci.c nvme_del_queue_end */
function nvmeDelQueueEnd(rq: Request): 0 | 1 {
  const nvmeq = rq.endIoData as NvmeQueue;
  const { trace } = nvmeq.kernel;
  if (trace.functions) trace.enter('nvme_del_queue_end');
  complete(nvmeq.deleteDone);
  if (trace.functions) trace.exit();
  return RQ_END_IO_FREE;
}

/** @kernel drivers/nvme/host/pci.c nvme_del_cq_end */
function nvmeDelCqEnd(rq: Request, status: number): 0 | 1 {
  const nvmeq = rq.endIoData as NvmeQueue;
  const { trace } = nvmeq.kernel;
  if (trace.functions) trace.enter('nvme_del_cq_end');
  if (status !== 0) nvmeq.deleteError = true;
  nvmeDelQueueEnd(rq);
  if (trace.functions) trace.exit();
  return RQ_END_IO_FREE;
}

/** Deletes every I/O queue with one opcode, as many at once as there are tags; false on a time-out. @kernel drivers/nvme/host/pci.c __nvme_delete_io_queues */
const deleteAll = traced(
  '__nvme_delete_io_queues',
  async (dev: NvmeDev, opcode: number, nrIoQueues: number): Promise<boolean> => {
    let left = nrIoQueues;
    let waiting = 0;
    const timeoutNs = (dev.deps.nvmeCore.param('admin_timeout') as number) * NS_PER_SECOND;
    const deadlineNs = dev.kernel.ex.now() + timeoutNs;
    while (left > 0 || waiting > 0) {
      while (left > 0 && nvmeDeleteQueue(dev.queues[left] as NvmeQueue, opcode)) {
        left--;
        waiting++;
      }
      if (waiting === 0) return false;
      const nvmeq = dev.queues[left + waiting] as NvmeQueue;
      const leftNs = deadlineNs - dev.kernel.ex.now();
      if (leftNs <= 0 || !(await waitForCompletionTimeout(nvmeq.deleteDone, leftNs))) return false;
      waiting--;
    }
    return true;
  },
);

/** Submission queues first, then completion queues. Task context. @kernel drivers/nvme/host/pci.c nvme_delete_io_queues */
export async function nvmeDeleteIoQueues(dev: NvmeDev, nrIoQueues = dev.onlineQueues - 1): Promise<void> {
  const done = await deleteAll(dev, NvmeAdminOpcode.deleteSq, nrIoQueues);
  if (done) await deleteAll(dev, NvmeAdminOpcode.deleteCq, nrIoQueues);
}
