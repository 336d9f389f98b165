/**
 * A queue pair's memory and life: allocate, initialise, request its interrupt, suspend, free.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_alloc_queue, nvme_init_queue, nvme_suspend_queue, nvme_free_queue.
 */
import { dmaAllocCoherent, dmaFreeCoherent, KernelError, traced } from '@nvme-stack/kernel';
import { allocSqInCmb, CmbMemory, sqeBytesOf } from './cmb.js';
import type { NvmeCompletion } from './complete.js';
import { type NvmeDev, NvmeQueue } from './dev.js';
import type { QueueStep } from './eras.js';
import { CQE_BYTES, SQE_BYTES } from './limits.js';
import { placeDoorbells } from './registers.js';
import { nvmeDbbufInit } from './shadow-doorbell.js';

/** Makes queue `qid` unless it is there from before a reset. Throws ENOMEM. @kernel drivers/nvme/host/pci.c nvme_alloc_queue */
export const nvmeAllocQueue = traced('nvme_alloc_queue', (dev: NvmeDev, qid: number, depth: number): void => {
  if (dev.ctrl.queueCount > qid) return;
  const cq = dmaAllocCoherent(dev.dma, depth * CQE_BYTES);
  if (cq === null) throw new KernelError('ENOMEM', `completion queue ${qid}`);
  const entryBytes = qid > 0 ? sqeBytesOf(dev) : SQE_BYTES;
  const sq = allocSqInCmb(dev, qid, depth * entryBytes) ?? dmaAllocCoherent(dev.dma, depth * entryBytes);
  if (sq === null) {
    dmaFreeCoherent(dev.dma, cq);
    throw new KernelError('ENOMEM', `submission queue ${qid}`);
  }
  const nvmeq = new NvmeQueue(dev, qid, depth, sq, cq, entryBytes);
  placeDoorbells(nvmeq);
  dev.queues[qid] = nvmeq;
  dev.ctrl.queueCount++;
});

/** Empties the queue: tail and head 0, phase 1, no entry is new. @kernel drivers/nvme/host/pci.c nvme_init_queue */
export const nvmeInitQueue = traced('nvme_init_queue', (nvmeq: NvmeQueue): void => {
  const { dev } = nvmeq;
  nvmeq.sqTail = 0;
  nvmeq.lastSqTail = 0;
  nvmeq.cqHead = 0;
  nvmeq.cqPhase = 1;
  placeDoorbells(nvmeq);
  nvmeq.cqWords.fill(0);
  nvmeq.cqMemory.publish(0, nvmeq.qDepth * CQE_BYTES);
  nvmeDbbufInit(nvmeq);
  dev.onlineQueues++;
});

/** Completions in a task of the interrupt's own, if the user wants it. */
function isThreaded(dev: NvmeDev): boolean {
  return Number(dev.driver.params.use_threaded_interrupts ?? 0) !== 0;
}

/** Throws what `request_irq` does. @kernel drivers/nvme/host/pci.c queue_request_irq */
export const queueRequestIrq = traced('queue_request_irq', (nvmeq: NvmeQueue, completion: NvmeCompletion): void => {
  const { dev } = nvmeq;
  const { pdev } = dev;
  const name = `nvme${dev.ctrl.instance}q${nvmeq.qid}`;
  const { pciBus } = dev.deps;
  if (isThreaded(dev))
    pciBus.pciRequestIrq(pdev, nvmeq.cqVector, completion.irqCheck, completion.irqThread, nvmeq, name);
  else pciBus.pciRequestIrq(pdev, nvmeq.cqVector, completion.irq, null, nvmeq, name);
});

/** Empties the queue and requests its interrupt, in the era's order. Throws what `request_irq` does, with nothing done. */
export function readyQueue(nvmeq: NvmeQueue, completion: NvmeCompletion, steps: readonly QueueStep[]): void {
  let isInit = false;
  for (const step of steps) {
    if (step === 'init') {
      nvmeInitQueue(nvmeq);
      isInit = true;
      continue;
    }
    try {
      queueRequestIrq(nvmeq, completion);
    } catch (error) {
      if (isInit) nvmeq.dev.onlineQueues--;
      throw error;
    }
  }
}

/** Takes the queue out of use: nothing is submitted to it, its interrupt is freed. Task context. @kernel drivers/nvme/host/pci.c nvme_suspend_queue */
export const nvmeSuspendQueue = traced('nvme_suspend_queue', async (nvmeq: NvmeQueue): Promise<void> => {
  const { dev } = nvmeq;
  if (!nvmeq.enabled) return;
  nvmeq.enabled = false;
  dev.onlineQueues--;
  if (nvmeq.qid === 0 && dev.ctrl.adminQ !== null) await dev.deps.nvmeCore.nvmeQuiesceAdminQueue(dev.ctrl);
  if (!nvmeq.polled) await dev.deps.pciBus.pciFreeIrq(dev.pdev, nvmeq.cqVector, nvmeq);
  nvmeq.polled = false;
});

/** Last queue first, so that the admin queue goes last. @kernel drivers/nvme/host/pci.c nvme_suspend_io_queues */
export async function nvmeSuspendIoQueues(dev: NvmeDev): Promise<void> {
  for (let qid = dev.ctrl.queueCount - 1; qid > 0; qid--) await nvmeSuspendQueue(dev.queues[qid] as NvmeQueue);
}

/** Frees the queues from `lowest` on. @kernel drivers/nvme/host/pci.c nvme_free_queues */
export const nvmeFreeQueues = traced('nvme_free_queues', (dev: NvmeDev, lowest: number): void => {
  for (let qid = dev.ctrl.queueCount - 1; qid >= lowest; qid--) {
    const nvmeq = dev.queues[qid] as NvmeQueue;
    dmaFreeCoherent(dev.dma, nvmeq.cqMemory);
    if (nvmeq.sqMemory instanceof CmbMemory) nvmeq.sqMemory.cmb.free(nvmeq.sqMemory);
    else dmaFreeCoherent(dev.dma, nvmeq.sqMemory);
    dev.queues.length = qid;
    dev.ctrl.queueCount--;
  }
});

/** Handles what the controller completed before it stopped; interrupts are freed. @kernel drivers/nvme/host/pci.c nvme_reap_pending_cqes */
export function nvmeReapPendingCqes(dev: NvmeDev, completion: NvmeCompletion): void {
  for (let qid = dev.ctrl.queueCount - 1; qid > 0; qid--) completion.pollCq(dev.queues[qid] as NvmeQueue, null);
}
