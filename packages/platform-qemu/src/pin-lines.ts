/**
 * The lines of pin interrupts, as QEMU tells their levels: shared, masked line by line, delivered again after each
 * handling while the level stands.
 * Kernel counterpart: arch/x86/kernel/apic/io_apic.c. Spec: [82093AA] §3.2.4.
 */
import type { IrqChip, IrqData, Irqs } from '@nvme-stack/irq/ports';
import type { Item, Kernel } from '@nvme-stack/kernel';
import type { QemuLink } from './ports.js';

/** First line of the four that q35's slots below 25 share. */
const FIRST_SLOT_LINE = 20;
const FIRST_CHIPSET_LINE = 16;
const FIRST_CHIPSET_SLOT = 25;
const LINES = 24;

class Line {
  readonly hwirq: number;
  readonly item: Item;
  irq = 0;
  masked = true;
  /** Delivered and not yet handled: nothing more is sent meanwhile. */
  inService = false;

  constructor(lines: PinLines, hwirq: number) {
    this.hwirq = hwirq;
    this.item = lines.kernel.ex.item('hardirq', 0, (self: Line) => lines.commonInterrupt(self), this);
  }
}

export class PinLines implements IrqChip {
  readonly name = 'IO-APIC';
  readonly kernel: Kernel;
  private readonly irqs: Irqs;
  private readonly link: QemuLink;
  private readonly lines: Line[] = [];
  /** Lines that are unmasked. */
  private listening = 0;

  constructor(kernel: Kernel, irqs: Irqs, link: QemuLink) {
    this.kernel = kernel;
    this.irqs = irqs;
    this.link = link;
    for (let hwirq = 0; hwirq < LINES; hwirq++) this.lines.push(new Line(this, hwirq));
  }

  /** The line a pin (1..4) of a slot on the root bus is wired to. */
  lineOf(devfn: number, pin: number): number {
    const slot = devfn >>> 3;
    if (slot >= FIRST_CHIPSET_SLOT) return FIRST_CHIPSET_LINE + ((pin - 1) & 3);
    return FIRST_SLOT_LINE + ((slot + pin - 1) & 3);
  }

  /** Delivers what stands; returns whether there was anything. What QEMU has told is up to date. */
  collect(): boolean {
    if (this.listening === 0) return false;
    let found = false;
    for (const line of this.lines) if (this.evaluate(line)) found = true;
    return found;
  }

  irqMask(data: IrqData): void {
    const line = this.lines[data.hwirq] as Line;
    if (!line.masked) this.listening--;
    line.masked = true;
    // What has not been taken yet is withdrawn; the level is looked at again when the line is unmasked.
    if (this.kernel.ex.disarm(line.item)) line.inService = false;
  }

  irqUnmask(data: IrqData): void {
    const line = this.lines[data.hwirq] as Line;
    if (line.masked) this.listening++;
    line.irq = data.irq;
    line.masked = false;
    this.evaluate(line);
  }

  irqEoi(data: IrqData): void {
    this.endOfInterrupt(this.lines[data.hwirq] as Line);
  }

  irqSetAffinity(data: IrqData, cpus: readonly number[]): void {
    const line = this.lines[data.hwirq] as Line;
    const cpu = cpus[0];
    if (cpu === undefined) return;
    const waiting = this.kernel.ex.disarm(line.item);
    line.item.cpu = cpu;
    data.effectiveCpu = cpu;
    if (waiting) this.kernel.ex.post(line.item);
  }

  commonInterrupt(line: Line): void {
    const { trace } = this.kernel;
    if (trace.functions) trace.enter('__common_interrupt');
    this.irqs.genericHandleIrq(line.irq);
    if (trace.functions) trace.exit();
    this.endOfInterrupt(line);
  }

  private endOfInterrupt(line: Line): void {
    if (line.item.pending) return;
    line.inService = false;
    // The handler's writes may have lowered the pin, which QEMU tells before it answers them.
    this.link.collect();
    this.evaluate(line);
  }

  private evaluate(line: Line): boolean {
    if (line.masked || line.inService || !this.link.level(line.hwirq)) return false;
    line.inService = true;
    this.kernel.ex.post(line.item);
    return true;
  }
}
