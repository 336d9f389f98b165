/**
 * The lines of pin interrupts: level, shared, masked line by line; delivered again after each handling while the
 * level stands.
 * Kernel counterpart: arch/x86/kernel/apic/io_apic.c. Spec: [82093AA] §3.2.4.
 */
import type { IrqChip, IrqData, Irqs } from '@nvme-stack/irq/ports';
import type { Item, Kernel } from '@nvme-stack/kernel';

/** First line of the four that slots below 25 share; the chipset's own functions use the four before. */
const FIRST_SLOT_LINE = 20;
const FIRST_CHIPSET_LINE = 16;
const LINES = 24;
/** First slot of the chipset's own functions. */
const FIRST_CHIPSET_SLOT = 25;

/** One line and who pulls it. */
class Line {
  readonly item: Item;
  irq = 0;
  /** How many functions assert it. */
  asserted = 0;
  masked = true;
  /** Delivered and not yet handled: nothing more is sent meanwhile. */
  inService = false;

  constructor(apic: IoApic) {
    this.item = apic.kernel.ex.item('hardirq', 0, (self: Line) => apic.commonInterrupt(self), this);
  }
}

export class IoApic implements IrqChip {
  readonly name = 'IO-APIC';
  readonly kernel: Kernel;
  private readonly irqs: Irqs;
  private readonly lines: Line[] = [];

  constructor(kernel: Kernel, irqs: Irqs) {
    this.kernel = kernel;
    this.irqs = irqs;
    for (let i = 0; i < LINES; i++) this.lines.push(new Line(this));
  }

  /** The line a pin (1..4) of a slot on the root bus is wired to. */
  lineOf(devfn: number, pin: number): number {
    const slot = devfn >>> 3;
    if (slot >= FIRST_CHIPSET_SLOT) return FIRST_CHIPSET_LINE + ((pin - 1) & 3);
    return FIRST_SLOT_LINE + ((slot + pin - 1) & 3);
  }

  /** One function raises or lowers its pin; any context. */
  drive(hwirq: number, level: boolean): void {
    const line = this.lines[hwirq] as Line;
    line.asserted += level ? 1 : -1;
    this.evaluate(line);
  }

  irqMask(data: IrqData): void {
    const line = this.lines[data.hwirq] as Line;
    line.masked = true;
    // What has not been taken yet is withdrawn; the level is looked at again when the line is unmasked.
    if (this.kernel.ex.disarm(line.item)) line.inService = false;
  }

  irqUnmask(data: IrqData): void {
    const line = this.lines[data.hwirq] as Line;
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
    this.evaluate(line);
  }

  private evaluate(line: Line): void {
    if (line.asserted === 0 || line.masked || line.inService) return;
    line.inService = true;
    this.kernel.ex.post(line.item);
  }
}
