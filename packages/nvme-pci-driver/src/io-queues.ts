/**
 * Sets up the I/O queues: how many, which vectors, which CPUs.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_setup_io_queues, nvme_setup_irqs, nvme_calc_irq_sets, nvme_create_queue.
 */
import { type BlkMqTagSet, HCTX_TYPE_DEFAULT, HCTX_TYPE_POLL, HCTX_TYPE_READ } from '@nvme-stack/blk-mq/ports';
import type { IrqAffinity } from '@nvme-stack/irq/ports';
import {
  type ErrnoCode,
  errnoName,
  type HasKernel,
  KernelError,
  mutexTrylock,
  mutexUnlock,
  traced,
} from '@nvme-stack/kernel';
import {
  NVME_CTRL_CONNECTING,
  NVME_QUIRK_BROKEN_MSI,
  NVME_QUIRK_SHARED_TAGS,
  NVME_QUIRK_SINGLE_VECTOR,
} from '@nvme-stack/nvme-core/ports';
import { NvmeAdminOpcode } from '@nvme-stack/nvme-protocol';
import { PCI_IRQ_AFFINITY, PCI_IRQ_ALL_TYPES, PCI_IRQ_MSI } from '@nvme-stack/pci-bus/ports';
import { nvmeCmbQdepth } from './cmb.js';
import type { NvmeCompletion } from './complete.js';
import type { NvmeDev, NvmeQueue } from './dev.js';
import { nvmeAllocQueue, nvmeSuspendIoQueues, queueRequestIrq, readyQueue } from './queue.js';
import { adapterAllocCq, adapterAllocSq, adapterDeleteQueue, nvmeDeleteIoQueues } from './queue-commands.js';
import { dbBarSize, nvmeRemapBar } from './registers.js';

/** @kernel drivers/nvme/host/pci.c nvme_max_io_queues */
export function nvmeMaxIoQueues(dev: NvmeDev): number {
  // The controller is not there yet when its queues are counted first, and its quirks are not known.
  const quirks = (dev.ctrl as NvmeDev['ctrl'] | null)?.quirks ?? 0;
  if (quirks & NVME_QUIRK_SHARED_TAGS) return 1;
  return dev.kernel.nrCpus + dev.nrWriteQueues + dev.nrPollQueues;
}

/** Kinds of interrupts that the device's quirks leave. */
export function irqTypes(dev: NvmeDev): number {
  return dev.ctrl.quirks & NVME_QUIRK_BROKEN_MSI ? PCI_IRQ_ALL_TYPES & ~PCI_IRQ_MSI : PCI_IRQ_ALL_TYPES;
}

/** Divides the I/O vectors among default and read queues. @kernel drivers/nvme/host/pci.c nvme_calc_irq_sets */
const nvmeCalcIrqSets = traced('nvme_calc_irq_sets', (dev: HasKernel, affd: IrqAffinity, nvecs: number): void => {
  const { ioQueues, nrWriteQueues } = dev as NvmeDev;
  const irqs = nvecs === 0 ? 1 : nvecs;
  let read = 0;
  if (irqs > 1 && nrWriteQueues > 0) read = nrWriteQueues >= irqs ? 1 : irqs - nrWriteQueues;
  ioQueues[HCTX_TYPE_DEFAULT] = irqs - read;
  ioQueues[HCTX_TYPE_READ] = read;
  affd.setSize[HCTX_TYPE_DEFAULT] = irqs - read;
  affd.setSize[HCTX_TYPE_READ] = read;
  affd.nrSets = read > 0 ? 2 : 1;
});

/** As many vectors as I/O queues, the first of them the admin queue's too. Throws. */
function allocSharedVectors(dev: NvmeDev, nrIoQueues: number): number {
  const { pciBus } = dev.deps;
  const vectors = pciBus.pciAllocIrqVectors(dev.pdev, 1, nrIoQueues, irqTypes(dev) | PCI_IRQ_AFFINITY);
  dev.ioQueues[HCTX_TYPE_DEFAULT] = vectors;
  dev.maxQid = vectors;
  return vectors;
}

/** One vector for the admin queue, one for each interrupt-driven I/O queue; returns how many there are. Throws. @kernel drivers/nvme/host/pci.c nvme_setup_irqs */
function nvmeSetupIrqs(dev: NvmeDev, nrIoQueues: number): number {
  // At least one queue is left for what is not polled.
  const polled = Math.min(dev.nrPollQueues, nrIoQueues - 1);
  dev.ioQueues[HCTX_TYPE_POLL] = polled;
  dev.ioQueues[HCTX_TYPE_DEFAULT] = 1;
  dev.ioQueues[HCTX_TYPE_READ] = 0;
  const vectors = dev.ctrl.quirks & NVME_QUIRK_SINGLE_VECTOR ? 1 : 1 + nrIoQueues - polled;
  const affd: IrqAffinity = {
    preVectors: 1,
    postVectors: 0,
    nrSets: 0,
    setSize: [0, 0, 0, 0],
    calcSets: (affinity, nvecs) => nvmeCalcIrqSets(dev, affinity, nvecs),
    priv: dev,
  };
  return dev.deps.pciBus.pciAllocIrqVectorsAffinity(dev.pdev, 1, vectors, irqTypes(dev) | PCI_IRQ_AFFINITY, affd);
}

/**
 * Takes the shutdown lock, so that nobody frees interrupts meanwhile. Throws ENODEV when `nvmeDevDisable` holds it or has
 * taken the controller down. @kernel drivers/nvme/host/pci.c nvme_setup_io_queues_trylock
 */
function lockSetUp(dev: NvmeDev): void {
  if (!dev.driver.era.locksSetUp) return;
  if (!mutexTrylock(dev.shutdownLock)) throw new KernelError('ENODEV', 'the controller is being disabled');
  if (dev.ctrl.state === NVME_CTRL_CONNECTING) return;
  mutexUnlock(dev.shutdownLock);
  throw new KernelError('ENODEV', 'the controller is not connecting');
}

function unlockSetUp(dev: NvmeDev): void {
  if (dev.driver.era.locksSetUp) mutexUnlock(dev.shutdownLock);
}

/** The vector of an I/O queue: one further on where the admin queue has its own. */
function vectorOf(dev: NvmeDev, qid: number): number {
  if (dev.driver.era.adminVector === 'shared') return qid - 1;
  return dev.numVecs === 1 ? 0 : qid;
}

/** Creates one queue pair, completion queue first; 0, or the status or errno of what failed. @kernel drivers/nvme/host/pci.c nvme_create_queue */
async function nvmeCreateQueue(nvmeq: NvmeQueue, polled: boolean, completion: NvmeCompletion): Promise<number> {
  const { dev, qid } = nvmeq;
  nvmeq.deleteError = false;
  nvmeq.polled = polled;
  const vector = vectorOf(dev, qid);
  const cqStatus = await adapterAllocCq(dev, nvmeq, vector);
  if (cqStatus !== 0) return cqStatus;
  const sqStatus = await adapterAllocSq(dev, nvmeq);
  if (sqStatus < 0) return sqStatus;
  if (sqStatus > 0) {
    await adapterDeleteQueue(dev, NvmeAdminOpcode.deleteCq, qid);
    return sqStatus;
  }
  nvmeq.cqVector = polled ? -1 : vector;
  lockSetUp(dev);
  try {
    readyQueue(nvmeq, completion, polled ? ['init'] : dev.driver.era.ioQueueSteps);
  } catch (error) {
    // Unlocked first: a time-out of these commands takes the lock.
    unlockSetUp(dev);
    await adapterDeleteQueue(dev, NvmeAdminOpcode.deleteSq, qid);
    await adapterDeleteQueue(dev, NvmeAdminOpcode.deleteCq, qid);
    throw error;
  }
  nvmeq.enabled = true;
  unlockSetUp(dev);
  return 0;
}

/** Allocates as many queues as there is memory for. */
function allocIoQueues(dev: NvmeDev): void {
  try {
    for (let qid = dev.ctrl.queueCount; qid <= dev.maxQid; qid++) nvmeAllocQueue(dev, qid, dev.qDepth);
  } catch (error) {
    if (dev.ctrl.queueCount <= dev.onlineQueues) throw error;
  }
}

/** Throws for errors of ours; a controller that refuses queues leaves the device with those that it made. @kernel drivers/nvme/host/pci.c nvme_create_io_queues */
async function nvmeCreateIoQueues(dev: NvmeDev, completion: NvmeCompletion): Promise<void> {
  allocIoQueues(dev);
  const max = Math.min(dev.maxQid, dev.ctrl.queueCount - 1);
  const polled = dev.ioQueues[HCTX_TYPE_POLL] as number;
  const rwQueues =
    max !== 1 && polled > 0
      ? (dev.ioQueues[HCTX_TYPE_DEFAULT] as number) + (dev.ioQueues[HCTX_TYPE_READ] as number)
      : max;
  for (let qid = dev.onlineQueues; qid <= max; qid++) {
    const status = await nvmeCreateQueue(dev.queues[qid] as NvmeQueue, qid > rwQueues, completion);
    if (status < 0) throw new KernelError(errnoName(status) as ErrnoCode, `queue ${qid}`);
    if (status > 0) break;
  }
}

/** Maps enough of the BAR for the doorbells, with fewer queues if need be. Throws ENOMEM. */
function remapForQueues(dev: NvmeDev, wanted: number): number {
  for (let count = wanted; count > 0; count--) {
    try {
      nvmeRemapBar(dev, dbBarSize(dev, count));
      return count;
    } catch {
      // The BAR is too small for so many: try with one less.
    }
  }
  throw new KernelError('ENOMEM', 'doorbells');
}

/** Its interrupt is freed as soon as the queue says that it has none. Under shutdownLock. */
async function freeAdminIrq(dev: NvmeDev): Promise<void> {
  const adminq = dev.queues[0] as NvmeQueue;
  if (!adminq.enabled) return;
  adminq.enabled = false;
  await dev.deps.pciBus.pciFreeIrq(dev.pdev, 0, adminq);
}

/** Exchanges the one vector of the set-up for all of them. Under shutdownLock. Throws EIO. */
async function setUpVectors(dev: NvmeDev, nrIoQueues: number, completion: NvmeCompletion): Promise<void> {
  const adminq = dev.queues[0] as NvmeQueue;
  const sets = dev.driver.era.queueSets;
  await freeAdminIrq(dev);
  dev.deps.pciBus.pciFreeIrqVectors(dev.pdev);
  try {
    dev.numVecs = sets ? nvmeSetupIrqs(dev, nrIoQueues) : allocSharedVectors(dev, nrIoQueues);
  } catch {
    throw new KernelError('EIO', 'no interrupt vector');
  }
  if (sets) dev.maxQid = Math.max(dev.numVecs - 1, 1) + (dev.ioQueues[HCTX_TYPE_POLL] as number);
  queueRequestIrq(adminq, completion);
  adminq.enabled = true;
}

/** Sets up as many I/O queues as controller, vectors and CPUs allow; none is no error. Throws. @kernel drivers/nvme/host/pci.c nvme_setup_io_queues */
export const nvmeSetupIoQueues = traced(
  'nvme_setup_io_queues',
  async (dev: NvmeDev, completion: NvmeCompletion): Promise<void> => {
    // Sampled once, so that a change of the parameters meets a reset as a whole.
    dev.nrWriteQueues = Number(dev.driver.params.write_queues ?? 0);
    dev.nrPollQueues = Number(dev.driver.params.poll_queues ?? 0);
    const wanted = Math.min(nvmeMaxIoQueues(dev), dev.nrAllocatedQueues - 1);
    const granted = await dev.deps.nvmeCore.nvmeSetQueueCount(dev.ctrl, wanted);
    if (granted === 0) return;
    let nrIoQueues = granted;
    lockSetUp(dev);
    for (;;) {
      try {
        await freeAdminIrq(dev);
        nvmeCmbQdepth(dev, nrIoQueues);
        nrIoQueues = remapForQueues(dev, nrIoQueues);
        await setUpVectors(dev, nrIoQueues, completion);
      } finally {
        unlockSetUp(dev);
      }
      await nvmeCreateIoQueues(dev, completion);
      if (dev.onlineQueues < 2 || !dev.driver.era.queueSets) return;
      if (dev.onlineQueues - 1 >= dev.maxQid) break;
      nrIoQueues = dev.onlineQueues - 1;
      await nvmeDeleteIoQueues(dev);
      lockSetUp(dev);
      await nvmeSuspendIoQueues(dev);
    }
    dev.kernel.printk.print('info', `nvme ${dev.ctrl.name}: ${dev.ioQueues.join('/')} default/read/poll queues`);
  },
);

/** Hardware queues by the interrupt affinity of their vectors. @kernel drivers/nvme/host/pci.c nvme_pci_map_queues */
export const nvmePciMapQueues = traced('nvme_pci_map_queues', (dev: NvmeDev, set: BlkMqTagSet): void => {
  const { blkMq } = dev.deps;
  const isShared = dev.driver.era.adminVector === 'shared';
  const vectorOffset = dev.numVecs > 1 && !isShared ? 1 : 0;
  let queueOffset = 0;
  for (let type = 0; type < set.nrMaps; type++) {
    const map = set.map[type];
    if (map === undefined) continue;
    map.nrQueues = dev.ioQueues[type] as number;
    if (map.nrQueues === 0) continue;
    map.queueOffset = queueOffset;
    if (type !== HCTX_TYPE_POLL && (isShared || vectorOffset > 0)) {
      blkMq.blkMqHctxMapQueues(map, dev.pdev.dev, vectorOffset + queueOffset);
    } else {
      blkMq.blkMqMapQueues(map);
    }
    queueOffset += map.nrQueues;
  }
});
