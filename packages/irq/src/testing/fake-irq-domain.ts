/** A vector domain for tests: hands out vectors on the least used CPU and delivers messages as interrupts. */
import type { Item, Kernel } from '@nvme-stack/kernel';
import type { IrqData, IrqDomain, Irqs, MsiMsg } from '../ports.js';

const APIC_BASE = 0xfee00000;
const FIRST_VECTOR = 0x21;

interface Vector {
  readonly cpu: number;
  readonly vector: number;
  readonly item: Item;
}

export class FakeIrqDomain implements IrqDomain {
  readonly name = 'VECTOR';
  acks = 0;
  private readonly kernel: Kernel;
  private readonly irqs: Irqs;
  private readonly vectorsPerCpu: number;
  private readonly vectors: Vector[] = [];

  constructor(irqs: Irqs, vectorsPerCpu = 200) {
    this.kernel = irqs.kernel;
    this.irqs = irqs;
    this.vectorsPerCpu = vectorsPerCpu;
  }

  /** Vectors in use. */
  get size(): number {
    return this.vectors.length;
  }

  activate(data: IrqData): boolean {
    return this.place(data, data.affinity);
  }

  deactivate(data: IrqData): void {
    const vector = data.chipData as Vector;
    this.kernel.ex.disarm(vector.item);
    this.vectors.splice(this.vectors.indexOf(vector), 1);
  }

  setAffinity(data: IrqData, cpus: readonly number[]): boolean {
    const old = data.chipData as Vector;
    if (!this.place(data, cpus)) return false;
    this.vectors.splice(this.vectors.indexOf(old), 1);
    return true;
  }

  composeMsiMsg(data: IrqData, msg: MsiMsg): void {
    const { cpu, vector } = data.chipData as Vector;
    msg.addressLo = APIC_BASE + cpu * 0x1000;
    msg.addressHi = 0;
    msg.data = vector;
  }

  ack(_data: IrqData): void {
    this.acks++;
  }

  /** What the memory write of a device becomes; false when no vector stands there. Any context. */
  deliver(msg: MsiMsg): boolean {
    const cpu = Math.floor((msg.addressLo - APIC_BASE) / 0x1000);
    const found = this.vectors.find((vector) => vector.cpu === cpu && vector.vector === msg.data);
    if (found === undefined) return false;
    this.kernel.ex.post(found.item);
    return true;
  }

  private place(data: IrqData, cpus: readonly number[]): boolean {
    const used = (cpu: number): Vector[] => this.vectors.filter((vector) => vector.cpu === cpu);
    const online = cpus.filter((one) => this.kernel.cpus.isOnline(one));
    const [cpu] = [...(online.length > 0 ? online : cpus)].sort((a, b) => used(a).length - used(b).length || a - b);
    if (cpu === undefined || used(cpu).length >= this.vectorsPerCpu) return false;
    const taken = used(cpu).map(({ vector }) => vector);
    let vector = FIRST_VECTOR;
    while (taken.includes(vector)) vector++;
    const item = this.kernel.ex.item('hardirq', cpu, (irq: number) => this.irqs.genericHandleIrq(irq), data.irq);
    const entry = { cpu, vector, item };
    this.vectors.push(entry);
    data.chipData = entry;
    data.effectiveCpu = cpu;
    return true;
  }
}
