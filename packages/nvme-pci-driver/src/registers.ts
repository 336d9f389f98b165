/**
 * The controller's registers through the mapped BAR.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_reg_*, nvme_remap_bar, nvme_dev_map.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import type { NvmeCtrl, Uint64 } from '@nvme-stack/nvme-core/ports';
import { cqHeadDoorbellOffset, NVME_REG_DBS, sqTailDoorbellOffset } from '@nvme-stack/nvme-protocol';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';
import { nvmeReleaseCmb } from './cmb.js';
import type { NvmeDev, NvmeQueue } from './dev.js';

/** @kernel drivers/nvme/host/pci.c to_nvme_dev */
export function toNvmeDev(ctrl: NvmeCtrl): NvmeDev {
  return ctrl.transport as NvmeDev;
}

/** The mapped BAR; using it while it is unmapped is a defect of ours. */
export function nvmeBar(dev: NvmeDev): MmioRegion {
  return dev.bar ?? dev.kernel.ex.bug(`${dev.pdev.dev.name}: register access while the BAR is not mapped`);
}

export const nvmePciRegRead32 = traced('nvme_pci_reg_read32', (ctrl: NvmeCtrl, offset: number): number =>
  nvmeBar(toNvmeDev(ctrl)).readl(offset),
);

export const nvmePciRegWrite32 = traced(
  'nvme_pci_reg_write32',
  (ctrl: NvmeCtrl, offset: number, value: number): void => {
    nvmeBar(toNvmeDev(ctrl)).writel(offset, value);
  },
);

export const nvmePciRegRead64 = traced(
  'nvme_pci_reg_read64',
  (ctrl: NvmeCtrl, offset: number): Uint64 => loHiReadq(nvmeBar(toNvmeDev(ctrl)), offset),
);

/** Two 32-bit reads, low word first. @kernel include/linux/io-64-nonatomic-lo-hi.h lo_hi_readq */
export function loHiReadq(bar: MmioRegion, offset: number): Uint64 {
  const lo = bar.readl(offset);
  const hi = bar.readl(offset + 4);
  return { lo, hi };
}

/** Two 32-bit writes, low word first. @kernel include/linux/io-64-nonatomic-lo-hi.h lo_hi_writeq */
export function loHiWriteq(bar: MmioRegion, offset: number, value: number): void {
  bar.writel(offset, value % 2 ** 32);
  bar.writel(offset + 4, Math.floor(value / 2 ** 32));
}

/** Bytes of BAR needed for the doorbells of so many I/O queues. @kernel drivers/nvme/host/pci.c db_bar_size */
export function dbBarSize(dev: NvmeDev, nrIoQueues: number): number {
  return NVME_REG_DBS + (nrIoQueues + 1) * 8 * (1 << dev.dbStride);
}

/** Maps at least `sizeBytes` of BAR 0, which may move it. Throws ENOMEM. @kernel drivers/nvme/host/pci.c nvme_remap_bar */
export const nvmeRemapBar = traced('nvme_remap_bar', (dev: NvmeDev, sizeBytes: number): void => {
  const { pciBus } = dev.deps;
  if (sizeBytes <= dev.barMappedSizeBytes) return;
  const resource = dev.pdev.bars[0];
  if (resource == null || sizeBytes > resource.sizeBytes) throw new KernelError('ENOMEM', 'BAR 0 is too small');
  if (dev.bar !== null) pciBus.iounmap(dev.pdev, dev.bar);
  dev.bar = pciBus.ioremap(dev.pdev, 0, sizeBytes);
  if (dev.bar === null) {
    dev.barMappedSizeBytes = 0;
    throw new KernelError('ENOMEM', 'BAR 0 cannot be mapped');
  }
  dev.barMappedSizeBytes = sizeBytes;
});

/** Where a queue's doorbells are. */
export function placeDoorbells(nvmeq: NvmeQueue): void {
  nvmeq.dbOffset = sqTailDoorbellOffset(nvmeq.qid, nvmeq.dev.dbStride);
  nvmeq.cqDbOffset = cqHeadDoorbellOffset(nvmeq.qid, nvmeq.dev.dbStride);
}

/** Claims the BAR and maps the registers and the first page of doorbells. Throws ENODEV. @kernel drivers/nvme/host/pci.c nvme_dev_map */
export function nvmeDevMap(dev: NvmeDev): void {
  const { pciBus } = dev.deps;
  try {
    pciBus.pciRequestMemRegions(dev.pdev, 'nvme');
  } catch {
    throw new KernelError('ENODEV', 'BAR 0 is taken');
  }
  try {
    nvmeRemapBar(dev, NVME_REG_DBS + 4096);
  } catch {
    pciBus.pciReleaseMemRegions(dev.pdev);
    throw new KernelError('ENODEV', 'BAR 0 cannot be mapped');
  }
}

/** @kernel drivers/nvme/host/pci.c nvme_dev_unmap */
export function nvmeDevUnmap(dev: NvmeDev): void {
  const { pciBus } = dev.deps;
  nvmeReleaseCmb(dev);
  if (dev.bar !== null) pciBus.iounmap(dev.pdev, dev.bar);
  dev.bar = null;
  dev.barMappedSizeBytes = 0;
  pciBus.pciReleaseMemRegions(dev.pdev);
}
