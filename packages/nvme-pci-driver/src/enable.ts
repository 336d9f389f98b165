/**
 * Brings the PCI function and the admin queue up.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_enable, nvme_pci_configure_admin_queue. [NVMe] 3.5.1.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_CAP_CMBS,
  NVME_CAP_MQES,
  NVME_CAP_NSSRC,
  NVME_CAP_STRIDE,
  NVME_CMBMSC_CRE,
  NVME_CSTS_NSSRO,
  NVME_REG_ACQ,
  NVME_REG_AQA,
  NVME_REG_ASQ,
  NVME_REG_CAP,
  NVME_REG_CMBMSC,
  NVME_REG_CMBSZ,
  NVME_REG_CSTS,
  NVME_REG_VS,
  NVME_VS,
} from '@nvme-stack/nvme-protocol';
import type { NvmeCompletion } from './complete.js';
import type { NvmeDev, NvmeQueue } from './dev.js';
import { irqTypes } from './io-queues.js';
import { NVME_AQ_DEPTH } from './limits.js';
import { nvmeAllocQueue, nvmeInitQueue, queueRequestIrq } from './queue.js';
import { dbBarSize, loHiReadq, loHiWriteq, nvmeBar, nvmeRemapBar, placeDoorbells } from './registers.js';

/** What a read of a device that is gone gives. */
const ALL_ONES = 0xffffffff;

/** Enables memory access and bus mastering, reads what the controller can do, and brings the admin queue up. Throws; what it enabled is disabled again. @kernel drivers/nvme/host/pci.c nvme_pci_enable */
export const nvmePciEnable = traced(
  'nvme_pci_enable',
  async (dev: NvmeDev, completion: NvmeCompletion): Promise<void> => {
    const { pciBus } = dev.deps;
    await pciBus.pciEnableDeviceMem(dev.pdev);
    try {
      pciBus.pciSetMaster(dev.pdev);
      if (nvmeBar(dev).readl(NVME_REG_CSTS) === ALL_ONES) throw new KernelError('ENODEV', 'the device is gone');
      // One vector is enough before the number of queues is known.
      pciBus.pciAllocIrqVectors(dev.pdev, 1, 1, irqTypes(dev));
      try {
        readCapabilities(dev);
        pciBus.pciSaveState(dev.pdev);
        await nvmePciConfigureAdminQueue(dev, completion);
      } catch (error) {
        pciBus.pciFreeIrqVectors(dev.pdev);
        throw error;
      }
    } catch (error) {
      pciBus.pciDisableDevice(dev.pdev);
      throw error;
    }
  },
);

function readCapabilities(dev: NvmeDev): void {
  const { ctrl } = dev;
  const bar = nvmeBar(dev);
  ctrl.cap = loHiReadq(bar, NVME_REG_CAP);
  const wanted = dev.driver.params.io_queue_depth as number;
  dev.qDepth = Math.min(NVME_CAP_MQES(ctrl.cap.lo) + 1, wanted);
  dev.dbStride = NVME_CAP_STRIDE(ctrl.cap.lo, ctrl.cap.hi);
  ctrl.sqsize = dev.qDepth - 1;
  if (dev.qDepth !== wanted && dev.qDepth < 2) {
    dev.kernel.printk.print('warn', `nvme ${ctrl.name}: IO queue depth clamped to ${dev.qDepth}`);
  }
  nvmeMapCmb(dev);
}

/** Looks whether there is a controller memory buffer. @kernel drivers/nvme/host/pci.c nvme_map_cmb */
function nvmeMapCmb(dev: NvmeDev): void {
  const bar = nvmeBar(dev);
  if (NVME_CAP_CMBS(dev.ctrl.cap.lo, dev.ctrl.cap.hi) === 1) bar.writel(NVME_REG_CMBMSC, NVME_CMBMSC_CRE);
  dev.cmbsz = bar.readl(NVME_REG_CMBSZ);
}

/** @kernel drivers/nvme/host/pci.c nvme_pci_configure_admin_queue */
const nvmePciConfigureAdminQueue = traced(
  'nvme_pci_configure_admin_queue',
  async (dev: NvmeDev, completion: NvmeCompletion): Promise<void> => {
    const { nvmeCore } = dev.deps;
    const { ctrl } = dev;
    nvmeRemapBar(dev, dbBarSize(dev, 0));
    clearSubsystemReset(dev);
    // A controller left enabled by firmware or an earlier kernel must be off before its registers may be written.
    await nvmeCore.nvmeDisableCtrl(ctrl, false);
    nvmeAllocQueue(dev, 0, NVME_AQ_DEPTH);
    const adminq = dev.queues[0] as NvmeQueue;
    placeDoorbells(adminq);
    const bar = nvmeBar(dev);
    const aqa = adminq.qDepth - 1;
    bar.writel(NVME_REG_AQA, aqa | (aqa << 16));
    loHiWriteq(bar, NVME_REG_ASQ, adminq.sqMemory.busAddr);
    loHiWriteq(bar, NVME_REG_ACQ, adminq.cqMemory.busAddr);
    await nvmeCore.nvmeEnableCtrl(ctrl);
    adminq.cqVector = 0;
    nvmeInitQueue(adminq);
    try {
      queueRequestIrq(adminq, completion);
    } catch (error) {
      dev.onlineQueues--;
      throw error;
    }
    adminq.enabled = true;
  },
);

/** A subsystem reset leaves NSSRO set until it is written back. [NVMe] 3.1.4.6. */
function clearSubsystemReset(dev: NvmeDev): void {
  const bar = nvmeBar(dev);
  const supported = bar.readl(NVME_REG_VS) >= NVME_VS(1, 1, 0) && NVME_CAP_NSSRC(dev.ctrl.cap.lo, dev.ctrl.cap.hi) === 1;
  if (supported && (bar.readl(NVME_REG_CSTS) & NVME_CSTS_NSSRO) !== 0) bar.writel(NVME_REG_CSTS, NVME_CSTS_NSSRO);
}
