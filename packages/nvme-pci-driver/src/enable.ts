/**
 * Brings the PCI function and the admin queue up.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_enable, nvme_pci_configure_admin_queue. [NVMe] 3.5.1.
 */
import { dmaSetMaskAndCoherent, KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_CAP_NSSRC,
  NVME_CAP_STRIDE,
  NVME_CSTS_NSSRO,
  NVME_REG_ACQ,
  NVME_REG_AQA,
  NVME_REG_ASQ,
  NVME_REG_CAP,
  NVME_REG_CSTS,
  NVME_REG_VS,
  NVME_VS,
} from '@nvme-stack/nvme-protocol';
import { nvmeMapCmb } from './cmb.js';
import type { NvmeCompletion } from './complete.js';
import type { NvmeDev, NvmeQueue } from './dev.js';
import type { EnableStep } from './eras.js';
import { irqTypes } from './io-queues.js';
import { nvmeUpdateAttrs } from './pci-attributes.js';
import { nvmeAllocQueue, readyQueue } from './queue.js';
import { ioQueueDepth } from './queue-depth.js';
import { dbBarSize, loHiReadq, loHiWriteq, nvmeBar, nvmeRemapBar, placeDoorbells } from './registers.js';

/** What a read of a device that is gone gives. */
const ALL_ONES = 0xffffffff;

/** Enables memory access, then what the era's list says. Throws; what it enabled is disabled again, but see `vector-or-leak`. @kernel drivers/nvme/host/pci.c nvme_pci_enable */
export const nvmePciEnable = traced(
  'nvme_pci_enable',
  async (dev: NvmeDev, completion: NvmeCompletion): Promise<void> => {
    const { pciBus } = dev.deps;
    try {
      await pciBus.pciEnableDeviceMem(dev.pdev);
    } catch {
      throw new KernelError('ENOMEM', 'the function cannot be enabled');
    }
    let hasVectors = false;
    for (const step of dev.driver.era.enableSteps) {
      try {
        await STEPS[step](dev, completion);
      } catch (error) {
        if (step === 'vector-or-leak') throw error;
        if (hasVectors) pciBus.pciFreeIrqVectors(dev.pdev);
        pciBus.pciDisableDevice(dev.pdev);
        throw error;
      }
      hasVectors ||= step === 'vector' || step === 'vector-or-leak';
    }
  },
);

const STEPS: Readonly<Record<EnableStep, (dev: NvmeDev, completion: NvmeCompletion) => Promise<void> | void>> = {
  'set-master': (dev) => dev.deps.pciBus.pciSetMaster(dev.pdev),
  'dma-mask': (dev) => {
    try {
      dmaSetMaskAndCoherent(dev.dma, 64);
    } catch {
      setNarrowMask(dev);
    }
  },
  alive: (dev) => {
    if (nvmeBar(dev).readl(NVME_REG_CSTS) === ALL_ONES) throw new KernelError('ENODEV', 'the device is gone');
  },
  vector: allocOneVector,
  'vector-or-leak': allocOneVector,
  capabilities: (dev) => {
    const { ctrl } = dev;
    ctrl.cap = loHiReadq(nvmeBar(dev), NVME_REG_CAP);
    dev.dbStride = NVME_CAP_STRIDE(ctrl.cap.lo, ctrl.cap.hi);
    dev.qDepth = ioQueueDepth(dev);
    ctrl.sqsize = dev.qDepth - 1;
  },
  cmb: nvmeMapCmb,
  'cmb-from-1.2': (dev) => {
    if (nvmeBar(dev).readl(NVME_REG_VS) < NVME_VS(1, 2, 0)) return;
    nvmeMapCmb(dev);
    nvmeUpdateAttrs(dev);
  },
  'error-reporting': (dev) => {
    dev.deps.pciBus.pciEnablePcieErrorReporting(dev.pdev);
  },
  'save-state': (dev) => dev.deps.pciBus.pciSaveState(dev.pdev),
  'configure-admin-queue': (dev, completion) => nvmePciConfigureAdminQueue(dev, completion),
};

/** One vector is enough before the number of queues is known. */
function allocOneVector(dev: NvmeDev): void {
  dev.deps.pciBus.pciAllocIrqVectors(dev.pdev, 1, 1, irqTypes(dev));
}

/** Throws ENOMEM. */
function setNarrowMask(dev: NvmeDev): void {
  try {
    dmaSetMaskAndCoherent(dev.dma, 32);
  } catch {
    throw new KernelError('ENOMEM', 'no DMA mask fits');
  }
}

/** The admin queue in the controller's registers, the controller enabled, and the queue's interrupt. Throws. @kernel drivers/nvme/host/pci.c nvme_pci_configure_admin_queue */
export const nvmePciConfigureAdminQueue = traced(
  'nvme_pci_configure_admin_queue',
  async (dev: NvmeDev, completion: NvmeCompletion): Promise<void> => {
    const { nvmeCore } = dev.deps;
    const { era } = dev.driver;
    const { ctrl } = dev;
    if (era.adminQueueRemaps) nvmeRemapBar(dev, dbBarSize(dev, 0));
    else if (dbBarSize(dev, 0) > dev.barMappedSizeBytes)
      throw new KernelError('ENOMEM', 'doorbells beyond the mapping');
    if (era.adminQueueReadsCap) ctrl.cap = loHiReadq(nvmeBar(dev), NVME_REG_CAP);
    clearSubsystemReset(dev);
    await disableForSetUp(dev);
    nvmeAllocQueue(dev, 0, era.adminQueueDepth);
    const adminq = dev.queues[0] as NvmeQueue;
    placeDoorbells(adminq);
    const bar = nvmeBar(dev);
    const aqa = adminq.qDepth - 1;
    bar.writel(NVME_REG_AQA, aqa | (aqa << 16));
    loHiWriteq(bar, NVME_REG_ASQ, adminq.sqMemory.busAddr);
    loHiWriteq(bar, NVME_REG_ACQ, adminq.cqMemory.busAddr);
    await nvmeCore.nvmeEnableCtrl(ctrl);
    adminq.cqVector = 0;
    readyQueue(adminq, completion, era.adminQueueSteps);
    adminq.enabled = true;
  },
);

/** A subsystem reset leaves NSSRO set until it is written back. [NVMe] 3.1.4.6. */
function clearSubsystemReset(dev: NvmeDev): void {
  const bar = nvmeBar(dev);
  const { cap } = dev.ctrl;
  dev.subsystem = bar.readl(NVME_REG_VS) >= NVME_VS(1, 1, 0) && NVME_CAP_NSSRC(cap.lo, cap.hi) === 1;
  if (dev.subsystem && (bar.readl(NVME_REG_CSTS) & NVME_CSTS_NSSRO) !== 0) bar.writel(NVME_REG_CSTS, NVME_CSTS_NSSRO);
}

/**
 * A controller left enabled by firmware or an earlier kernel must be off before its registers may be written. One that
 * does not react is reset as a PCI function, and tried once more. Throws.
 */
async function disableForSetUp(dev: NvmeDev): Promise<void> {
  const { nvmeCore, pciBus } = dev.deps;
  try {
    await nvmeCore.nvmeDisableCtrl(dev.ctrl, false);
  } catch (error) {
    if (!dev.driver.era.flrOnFailedDisable) throw error;
    await pciBus.pcieFlr(dev.pdev);
    pciBus.pciRestoreState(dev.pdev);
    await nvmeCore.nvmeDisableCtrl(dev.ctrl, false);
    dev.kernel.printk.print('info', `nvme ${dev.ctrl.name}: controller reset completed after pcie flr`);
  }
}
