/**
 * The CPUs' local interrupt controllers: vectors, message addresses, delivery, and moving a vector between CPUs.
 * Kernel counterpart: arch/x86/kernel/apic/vector.c, arch/x86/kernel/irq.c. Spec: [SDM] vol. 3 §11.11.
 */
import { type IrqData, type IrqDomain, type Irqs, type MsiMsg, NO_IRQ_HANDLER } from '@nvme-stack/irq/ports';
import type { Item, Kernel } from '@nvme-stack/kernel';
import { MSI_MESSAGE } from './trace-events.js';

/** Vectors below belong to exceptions, those above to the system. @kernel arch/x86/include/asm/irq_vectors.h FIRST_EXTERNAL_VECTOR */
const FIRST_EXTERNAL_VECTOR = 0x20;
const FIRST_SYSTEM_VECTOR = 0xec;
/** Taken by the system call gate. @kernel arch/x86/include/asm/irq_vectors.h IA32_SYSCALL_VECTOR */
const IA32_SYSCALL_VECTOR = 0x80;
const VECTORS = 256;

/** Where messages go. @kernel arch/x86/include/asm/msi.h X86_MSI_BASE_ADDRESS_LOW */
export const MSI_BASE = 0xfee00000;
export const MSI_END = 0xfef00000;

/** One vector of one CPU, and the interrupt behind it. */
class Vector {
  readonly cpu: number;
  readonly vector: number;
  /** Runs the interrupt; pending is the controller's request bit, so two edges before it runs are one. */
  readonly item: Item;
  irq = 0;
  inUse = false;
  /** The vector this interrupt had before it moved; kept until a message has come to the new one. */
  previous: Vector | null = null;

  constructor(domain: VectorDomain, cpu: number, vector: number) {
    this.cpu = cpu;
    this.vector = vector;
    this.item = domain.kernel.ex.item('hardirq', cpu, (self: Vector) => domain.commonInterrupt(self), this);
  }
}

/** @kernel arch/x86/kernel/apic/vector.c x86_vector_domain */
export class VectorDomain implements IrqDomain {
  readonly name = 'VECTOR';
  readonly kernel: Kernel;
  spuriousMessages = 0;
  private readonly irqs: Irqs;
  /** By CPU and vector; made at first use, then kept. */
  private readonly vectors: (Vector | null)[];
  private readonly usedOnCpu: Int32Array;

  constructor(kernel: Kernel, irqs: Irqs) {
    this.kernel = kernel;
    this.irqs = irqs;
    this.vectors = new Array<Vector | null>(kernel.nrCpus * VECTORS).fill(null);
    this.usedOnCpu = new Int32Array(kernel.nrCpus);
  }

  activate(data: IrqData): boolean {
    const vector = this.take(data.affinity, data.irq);
    if (vector === null) return false;
    data.chipData = vector;
    data.effectiveCpu = vector.cpu;
    return true;
  }

  deactivate(data: IrqData): void {
    let vector = data.chipData as Vector | null;
    data.chipData = null;
    while (vector !== null) {
      const { previous } = vector;
      this.kernel.ex.disarm(vector.item);
      this.release(vector);
      vector = previous;
    }
  }

  composeMsiMsg(data: IrqData, msg: MsiMsg): void {
    const vector = data.chipData as Vector;
    msg.addressLo = MSI_BASE + vector.cpu * 0x1000;
    msg.addressHi = 0;
    msg.data = vector.vector;
  }

  /** The old vector stays until the first message comes to the new one: an interrupt under way is not lost. */
  setAffinity(data: IrqData, cpus: readonly number[]): boolean {
    const old = data.chipData as Vector;
    if (cpus.includes(old.cpu)) return true;
    const vector = this.take(cpus, data.irq);
    if (vector === null) return false;
    this.forgetOlder(old);
    vector.previous = old;
    data.chipData = vector;
    data.effectiveCpu = vector.cpu;
    return true;
  }

  /** The request bit of an item falls when it starts to run, so there is nothing left to acknowledge. */
  ack(_data: IrqData): void {}

  /** A message has been written; any context. Never runs the interrupt itself. */
  deliver(address: number, data: number): void {
    const cpu = (address >>> 12) & 0xff;
    const number = data & 0xff;
    const { trace } = this.kernel;
    if (trace.events) trace.event(MSI_MESSAGE, address, data, cpu, number);
    const vector = cpu < this.kernel.nrCpus ? (this.vectors[cpu * VECTORS + number] as Vector | null) : null;
    if (vector === null || !vector.inUse) {
      this.spurious(cpu, number);
      return;
    }
    this.kernel.ex.post(vector.item);
  }

  /** @kernel arch/x86/kernel/irq.c common_interrupt */
  commonInterrupt(vector: Vector): void {
    const { trace } = this.kernel;
    if (trace.functions) trace.enter('__common_interrupt');
    if (vector.previous !== null) this.completeMove(vector);
    this.irqs.genericHandleIrq(vector.irq);
    if (trace.functions) trace.exit();
  }

  private spurious(cpu: number, number: number): void {
    this.spuriousMessages++;
    if (cpu >= this.kernel.nrCpus) return;
    this.kernel.printk.print('emerg', NO_IRQ_HANDLER[this.kernel.profile].replace('%v', `${cpu}.${number}`));
  }

  /** The least used of these CPUs, of those online where there is one; its lowest free vector. @kernel kernel/irq/matrix.c irq_matrix_alloc */
  private take(cpus: readonly number[], irq: number): Vector | null {
    const online = cpus.filter((cpu) => this.kernel.cpus.isOnline(cpu));
    let best = -1;
    for (const cpu of online.length > 0 ? online : cpus) {
      if (cpu < 0 || cpu >= this.kernel.nrCpus) continue;
      if (best < 0 || (this.usedOnCpu[cpu] as number) < (this.usedOnCpu[best] as number)) best = cpu;
    }
    if (best < 0) return null;
    for (let number = FIRST_EXTERNAL_VECTOR + 1; number < FIRST_SYSTEM_VECTOR; number++) {
      if (number === IA32_SYSCALL_VECTOR) continue;
      const at = best * VECTORS + number;
      const vector = this.vectors[at] ?? new Vector(this, best, number);
      if (vector.inUse) continue;
      this.vectors[at] = vector;
      vector.inUse = true;
      vector.irq = irq;
      this.usedOnCpu[best] = (this.usedOnCpu[best] as number) + 1;
      return vector;
    }
    return null;
  }

  private release(vector: Vector): void {
    vector.inUse = false;
    vector.previous = null;
    this.usedOnCpu[vector.cpu] = (this.usedOnCpu[vector.cpu] as number) - 1;
  }

  /** It moves again before a message came: what it had before that goes, unless an interrupt waits there. */
  private forgetOlder(vector: Vector): void {
    const { previous } = vector;
    if (previous === null || previous.item.pending || previous.previous !== null) return;
    vector.previous = null;
    this.release(previous);
  }

  /** @kernel arch/x86/kernel/apic/vector.c irq_complete_move */
  private completeMove(vector: Vector): void {
    const old = vector.previous as Vector;
    if (old.item.pending || old.previous !== null) return;
    vector.previous = null;
    this.release(old);
  }
}
