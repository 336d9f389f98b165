/**
 * What the bus keeps of a function's messages while MSI-X or MSI is on.
 * Kernel counterpart: struct msi_desc, drivers/pci/msi/ (pci_msi_create_irq_domain, irq chips).
 */
import type { AttributeGroup } from '@nvme-stack/device-core/ports';
import type { IrqAffinityDesc, IrqChip, IrqData, MsiDevice, MsiMsg } from '@nvme-stack/irq/ports';
import type { PciDevice } from './pci-device.js';
import type { MmioRegion } from './ports.js';

/** Masking and writing one kind of message; MSI-X and MSI each have theirs. */
export interface MsiHardware {
  setMask(msi: PciMsi, index: number, masked: boolean): void;
  writeMsg(msi: PciMsi, index: number): void;
}

/** The messages of one function. */
export class PciMsi implements MsiDevice {
  readonly pdev: PciDevice;
  readonly kind: 'msix' | 'msi';
  /** Of the function, as leak reports name it. */
  readonly name: string;
  readonly chip: IrqChip;
  readonly vectors: number;
  /** Mapped MSI-X table; null for MSI. */
  readonly table: MmioRegion | null;
  /** By index: what the function was told to write, kept to be restored. */
  readonly addressLo: Uint32Array;
  readonly addressHi: Uint32Array;
  readonly data: Uint32Array;
  readonly masked: Uint8Array;
  affinity: readonly IrqAffinityDesc[] | null = null;
  irqs: readonly number[] = [];
  /** The `msi_irqs` directory while it is there. */
  group: AttributeGroup | null = null;
  private readonly hardware: MsiHardware;
  private readonly firstHwirq: number;

  constructor(pdev: PciDevice, kind: 'msix' | 'msi', vectors: number, table: MmioRegion | null, hardware: MsiHardware) {
    const own = pdev.subsystem.era.perDeviceMsiDomains;
    this.pdev = pdev;
    this.kind = kind;
    this.name = pdev.name;
    this.vectors = vectors;
    this.table = table;
    this.addressLo = new Uint32Array(vectors);
    this.addressHi = new Uint32Array(vectors);
    this.data = new Uint32Array(vectors);
    this.masked = new Uint8Array(vectors).fill(1);
    this.hardware = hardware;
    const chipName = own ? `PCI-${kind === 'msix' ? 'MSIX' : 'MSI'}-${pdev.name}` : 'PCI-MSI';
    this.firstHwirq = own ? 0 : pdev.domain * 0x8000000 + pdev.requesterId * 0x800;
    this.chip = {
      name: chipName,
      irqMask: (data) => this.irqMask(data),
      irqUnmask: (data) => this.irqUnmask(data),
    };
  }

  hwirq(index: number): number {
    return this.firstHwirq + index;
  }

  irqMask(data: IrqData): void {
    this.setMask(data.hwirq - this.firstHwirq, true);
  }

  irqUnmask(data: IrqData): void {
    this.setMask(data.hwirq - this.firstHwirq, false);
  }

  setMask(index: number, masked: boolean): void {
    this.masked[index] = masked ? 1 : 0;
    if (!this.pdev.disconnected) this.hardware.setMask(this, index, masked);
  }

  writeMsg(index: number, msg: MsiMsg): void {
    this.addressLo[index] = msg.addressLo;
    this.addressHi[index] = msg.addressHi;
    this.data[index] = msg.data;
    this.rewrite(index);
  }

  /** Writes the message and the mask again, as after a reset. */
  rewrite(index: number): void {
    if (!this.pdev.disconnected) this.hardware.writeMsg(this, index);
  }
}
