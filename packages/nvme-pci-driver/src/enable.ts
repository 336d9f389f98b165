/**
 * Brings the PCI function and the admin queue up.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_enable, nvme_pci_configure_admin_queue. [NVMe] 3.5.1.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import { NVME_QUIRK_QDEPTH_ONE, NVME_QUIRK_SHARED_TAGS } from '@nvme-stack/nvme-core/ports';
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
const PCI_VENDOR_ID_SAMSUNG = 0x144d;
/** PM1725 reports a queue of one entry where it has more. */
const PM1725_DEVICES = [0xa821, 0xa822];
const PM1725_QUEUE_DEPTH = 64;

/** Enables memory access and bus mastering, reads what the controller can do, and brings the admin queue up. Throws; what it enabled is disabled again. @kernel drivers/nvme/host/pci.c nvme_pci_enable */
export const nvmePciEnable = traced(
  'nvme_pci_enable',
  async (dev: NvmeDev, completion: NvmeCompletion): Promise<void> => {
    const { pciBus } = dev.deps;
    try {
      await pciBus.pciEnableDeviceMem(dev.pdev);
    } catch {
      throw new KernelError('ENOMEM', 'the function cannot be enabled');
    }
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
  dev.dbStride = NVME_CAP_STRIDE(ctrl.cap.lo, ctrl.cap.hi);
  dev.qDepth = ioQueueDepth(dev);
  ctrl.sqsize = dev.qDepth - 1;
  nvmeMapCmb(dev);
}

/** Entries of an I/O queue: what the controller allows and the user wants, unless a quirk knows better. */
function ioQueueDepth(dev: NvmeDev): number {
  const { ctrl, pdev } = dev;
  const { printk } = dev.kernel;
  const mqes = NVME_CAP_MQES(ctrl.cap.lo);
  let depth = Math.min(mqes + 1, dev.driver.params.io_queue_depth as number);
  if (ctrl.quirks & NVME_QUIRK_QDEPTH_ONE) {
    depth = 2;
  } else if (pdev.vendor === PCI_VENDOR_ID_SAMSUNG && PM1725_DEVICES.includes(pdev.device) && mqes === 0) {
    depth = PM1725_QUEUE_DEPTH;
    printk.print('err', `nvme ${ctrl.name}: detected PM1725 NVMe controller, set queue depth=${depth}`);
  }
  // The admin queue's tags are taken from those of the I/O queues.
  if (ctrl.quirks & NVME_QUIRK_SHARED_TAGS && depth < NVME_AQ_DEPTH + 2) {
    depth = NVME_AQ_DEPTH + 2;
    printk.print('warn', `nvme ${ctrl.name}: IO queue depth clamped to ${depth}`);
  }
  return depth;
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
    await disableForSetUp(dev);
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
  } catch {
    await pciBus.pcieFlr(dev.pdev);
    pciBus.pciRestoreState(dev.pdev);
    await nvmeCore.nvmeDisableCtrl(dev.ctrl, false);
    dev.kernel.printk.print('info', `nvme ${dev.ctrl.name}: controller reset completed after pcie flr`);
  }
}
