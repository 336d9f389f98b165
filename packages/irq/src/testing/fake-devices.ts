/** Devices for tests: one with an MSI-X table (mask and pending bits), and one on a level-triggered line. */
import { type Item, type Kernel, NO_CPU } from '@nvme-stack/kernel';
import type { IrqChip, IrqData, Irqs, MsiDevice, MsiMsg } from '../ports.js';
import type { FakeIrqDomain } from './fake-irq-domain.js';

interface TableEntry {
  readonly msg: MsiMsg;
  masked: boolean;
  pending: boolean;
}

export class FakeMsiDevice implements MsiDevice {
  readonly name: string;
  readonly chip: IrqChip;
  readonly table: TableEntry[] = [];
  private readonly domain: FakeIrqDomain;

  constructor(domain: FakeIrqDomain, name = '0000:00:04.0', nvec = 8) {
    this.domain = domain;
    this.name = name;
    for (let n = 0; n < nvec; n++) {
      this.table.push({ msg: { addressLo: 0, addressHi: 0, data: 0 }, masked: true, pending: false });
    }
    this.chip = {
      name: `PCI-MSIX-${name}`,
      irqMask: (data) => this.setMask(data, true),
      irqUnmask: (data) => this.setMask(data, false),
    };
  }

  hwirq(index: number): number {
    return index;
  }

  writeMsg(index: number, msg: MsiMsg): void {
    Object.assign(this.table[index].msg, msg);
  }

  /** The device signals a vector. Any context. */
  send(index: number): void {
    const entry = this.table[index];
    if (entry.masked) entry.pending = true;
    else this.domain.deliver(entry.msg);
  }

  private setMask(data: IrqData, masked: boolean): void {
    const entry = this.table[data.hwirq];
    entry.masked = masked;
    if (masked || !entry.pending) return;
    entry.pending = false;
    this.domain.deliver(entry.msg);
  }
}

/** A line that interrupts CPU 0 as long as it is asserted and not masked. */
export class FakeLevelLine {
  readonly irq: number;
  asserted = false;
  masked = true;
  masks = 0;
  eois = 0;
  private readonly kernel: Kernel;
  private readonly item: Item;

  constructor(irqs: Irqs, hwirq: number, eoi: boolean) {
    this.kernel = irqs.kernel;
    const chip: IrqChip = {
      name: 'IO-APIC',
      irqMask: () => {
        this.masked = true;
        this.masks++;
      },
      irqUnmask: () => {
        this.masked = false;
        this.fire();
      },
      irqEoi: eoi
        ? () => {
            this.eois++;
            this.fire();
          }
        : undefined,
    };
    this.irq = irqs.createMapping(hwirq, 'level', chip);
    const handle = (): void => {
      if (this.asserted && !this.masked) irqs.genericHandleIrq(this.irq);
    };
    this.item = irqs.kernel.ex.item('hardirq', 0, handle, null);
  }

  set(asserted: boolean): void {
    this.asserted = asserted;
    this.fire();
  }

  private fire(): void {
    if (this.asserted && !this.masked) this.kernel.ex.post(this.item);
  }
}

/** An item in device context, as a device's own event. */
export function deviceEvent(kernel: Kernel, fn: () => void): Item {
  return kernel.ex.item('device', NO_CPU, fn, null);
}
