/**
 * A function as the DMA API knows it.
 * Kernel counterpart: include/linux/device.h struct device (dma_mask, coherent_dma_mask, dma_ops).
 */
import type { DmaDevice, DmaOps, Kernel } from '@nvme-stack/kernel';
import type { PciDevice } from './pci-device.js';

/** A class, and no literal with an accessor: every mapping reads it, and an engine is slow with such literals. */
export class PciDmaDevice implements DmaDevice {
  readonly kernel: Kernel;
  readonly name: string;
  readonly requesterId: number;
  dmaMaskBits = 32;
  coherentDmaMaskBits = 32;
  readonly ops: DmaOps;
  private readonly pdev: PciDevice;

  constructor(pdev: PciDevice, ops: DmaOps) {
    this.kernel = pdev.kernel;
    this.name = pdev.name;
    this.requesterId = pdev.requesterId;
    this.ops = ops;
    this.pdev = pdev;
  }

  /** The user may change it. */
  get numaNode(): number {
    return this.pdev.dev.numaNode;
  }
}
