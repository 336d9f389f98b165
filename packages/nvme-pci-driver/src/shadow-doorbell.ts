/**
 * Shadow doorbells: tails and heads kept in memory, so that the controller need not be told of each.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_dbbuf_*. [NVMe] 5.2.5 (Doorbell Buffer Config).
 */
import { dmaAllocCoherent, dmaFreeCoherent, traced } from '@nvme-stack/kernel';
import { NvmeAdminOpcode, NvmeDbbufCmd } from '@nvme-stack/nvme-protocol';
import type { NvmeDev, NvmeQueue } from './dev.js';

/** OACS bit 8. */
const NVME_CTRL_OACS_DBBUF_SUPP = 1 << 8;

/** Bytes of the shadow doorbells of all queues, as far apart as the doorbells are. @kernel drivers/nvme/host/pci.c nvme_dbbuf_size */
function nvmeDbbufSize(dev: NvmeDev): number {
  return dev.nrAllocatedQueues * 8 * (1 << dev.dbStride);
}

/** Two pieces of memory: shadow doorbells and event indices; kept over resets. Without memory the controller goes without. @kernel drivers/nvme/host/pci.c nvme_dbbuf_dma_alloc */
export const nvmeDbbufDmaAlloc = traced('nvme_dbbuf_dma_alloc', (dev: NvmeDev): void => {
  if ((dev.ctrl.oacs & NVME_CTRL_OACS_DBBUF_SUPP) === 0) return;
  if (dev.dbbufDbs !== null && dev.dbbufEis !== null) {
    dev.dbbufDbs.u32.fill(0);
    dev.dbbufEis.u32.fill(0);
    publishAll(dev);
    return;
  }
  const sizeBytes = nvmeDbbufSize(dev);
  dev.dbbufDbs = dmaAllocCoherent(dev.dma, sizeBytes);
  dev.dbbufEis = dev.dbbufDbs === null ? null : dmaAllocCoherent(dev.dma, sizeBytes);
  if (dev.dbbufEis !== null) return;
  nvmeDbbufDmaFree(dev);
  dev.kernel.printk.print('warn', `nvme ${dev.pdev.dev.name}: unable to allocate dma for dbbuf`);
});

/** @kernel drivers/nvme/host/pci.c nvme_dbbuf_dma_free */
export function nvmeDbbufDmaFree(dev: NvmeDev): void {
  if (dev.dbbufDbs !== null) dmaFreeCoherent(dev.dma, dev.dbbufDbs);
  if (dev.dbbufEis !== null) dmaFreeCoherent(dev.dma, dev.dbbufEis);
  dev.dbbufDbs = dev.dbbufEis = null;
}

function publishAll(dev: NvmeDev): void {
  const sizeBytes = nvmeDbbufSize(dev);
  dev.dbbufDbs?.publish(0, sizeBytes);
  dev.dbbufEis?.publish(0, sizeBytes);
}

/** Gives a queue its words in the pages; the admin queue has none in Linux. @kernel drivers/nvme/host/pci.c nvme_dbbuf_init */
export function nvmeDbbufInit(nvmeq: NvmeQueue): void {
  const { dev, qid } = nvmeq;
  if (dev.dbbufDbs === null || qid === 0) return;
  const stride = 1 << dev.dbStride;
  nvmeq.dbbufSqWord = qid * 2 * stride;
  nvmeq.dbbufCqWord = (qid * 2 + 1) * stride;
}

/** @kernel drivers/nvme/host/pci.c nvme_dbbuf_free */
export function nvmeDbbufFree(nvmeq: NvmeQueue): void {
  nvmeq.dbbufSqWord = nvmeq.dbbufCqWord = -1;
}

/** Tells the controller where the pages are; a refusal leaves plain doorbells. @kernel drivers/nvme/host/pci.c nvme_dbbuf_set */
export const nvmeDbbufSet = traced('nvme_dbbuf_set', async (dev: NvmeDev): Promise<void> => {
  const { ctrl, dbbufDbs, dbbufEis } = dev;
  if (dbbufDbs === null || dbbufEis === null || ctrl.adminQ === null) return;
  const bytes = NvmeDbbufCmd.encode({
    opcode: NvmeAdminOpcode.dbbuf,
    prp1: dbbufDbs.busAddr,
    prp2: dbbufEis.busAddr,
  });
  const cmd = new Uint32Array(bytes.buffer, bytes.byteOffset, 16);
  const { status } = await dev.deps.nvmeCore.nvmeSubmitSyncCmd(ctrl.adminQ, cmd, null);
  if (status === 0) return;
  dev.kernel.printk.print('warn', `nvme ${ctrl.name}: unable to set dbbuf`);
  nvmeDbbufDmaFree(dev);
  for (let qid = 1; qid < dev.onlineQueues; qid++) nvmeDbbufFree(dev.queues[qid] as NvmeQueue);
});

/** Whether the controller asked to be told when the value passes `eventIdx`. All are 16-bit. */
function nvmeDbbufNeedEvent(eventIdx: number, newIdx: number, oldIdx: number): boolean {
  return ((newIdx - eventIdx - 1) & 0xffff) < ((newIdx - oldIdx) & 0xffff);
}

/**
 * Stores a new tail or head in its shadow; true when the doorbell must be written too. Any context.
 * @kernel drivers/nvme/host/pci.c nvme_dbbuf_update_and_check_event
 */
export function nvmeDbbufUpdateAndCheckEvent(dev: NvmeDev, value: number, word: number): boolean {
  const { dbbufDbs, dbbufEis } = dev;
  if (word < 0 || dbbufDbs === null || dbbufEis === null) return true;
  const old = (dbbufDbs.u32[word] as number) & 0xffff;
  dbbufDbs.u32[word] = value;
  dbbufDbs.publish(word * 4, 4);
  dbbufEis.acquire(word * 4, 4);
  return nvmeDbbufNeedEvent((dbbufEis.u32[word] as number) & 0xffff, value, old);
}
