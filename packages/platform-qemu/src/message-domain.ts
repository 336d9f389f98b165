/**
 * Interrupt messages: each vector has a bit of a bell; what is pending is delivered to the vector's CPU. To move a
 * vector changes no message, so an interrupt under way is not lost.
 * Kernel counterpart: arch/x86/kernel/apic/vector.c, arch/x86/kernel/irq.c.
 */
import { type IrqData, type IrqDomain, type Irqs, type MsiMsg, NO_IRQ_HANDLER } from '@nvme-stack/irq/ports';
import type { Item, Kernel } from '@nvme-stack/kernel';
import type { Bells } from './bells.js';
import { MESSAGES_PER_BELL } from './ports.js';
import { MSI_MESSAGE } from './trace-events.js';

/** A bit of a bell, and the interrupt behind it. */
class Message {
  readonly number: number;
  readonly item: Item;
  irq = 0;
  inUse = false;

  constructor(domain: MessageDomain, number: number) {
    this.number = number;
    this.item = domain.kernel.ex.item('hardirq', 0, (self: Message) => domain.commonInterrupt(self), this);
  }
}

/** @kernel arch/x86/kernel/apic/vector.c x86_vector_domain */
export class MessageDomain implements IrqDomain {
  readonly name = 'VECTOR';
  readonly kernel: Kernel;
  spuriousMessages = 0;
  private readonly irqs: Irqs;
  private readonly bells: Bells;
  private readonly messages: Message[] = [];

  constructor(kernel: Kernel, irqs: Irqs, bells: Bells) {
    this.kernel = kernel;
    this.irqs = irqs;
    this.bells = bells;
    const count = bells.count * MESSAGES_PER_BELL;
    for (let number = 0; number < count; number++) this.messages.push(new Message(this, number));
  }

  activate(data: IrqData): boolean {
    const message = this.messages.find(({ inUse }) => !inUse);
    if (message === undefined) return false;
    message.inUse = true;
    message.irq = data.irq;
    data.chipData = message;
    this.direct(data, data.affinity);
    return true;
  }

  deactivate(data: IrqData): void {
    const message = data.chipData as Message | null;
    data.chipData = null;
    if (message === null) return;
    this.kernel.ex.disarm(message.item);
    message.inUse = false;
  }

  composeMsiMsg(data: IrqData, msg: MsiMsg): void {
    const { number } = data.chipData as Message;
    msg.addressLo = this.bells.address(Math.floor(number / MESSAGES_PER_BELL));
    msg.addressHi = 0;
    msg.data = (1 << (number % MESSAGES_PER_BELL)) >>> 0;
  }

  setAffinity(data: IrqData, cpus: readonly number[]): boolean {
    if (!cpus.includes(data.effectiveCpu)) this.direct(data, cpus);
    return true;
  }

  /** The first of these CPUs that is on. */
  private direct(data: IrqData, cpus: readonly number[]): void {
    const { ex } = this.kernel;
    const { item } = data.chipData as Message;
    const waiting = ex.disarm(item);
    data.effectiveCpu = cpus.find((cpu) => this.kernel.cpus.isOnline(cpu)) ?? cpus[0] ?? 0;
    item.cpu = data.effectiveCpu;
    if (waiting) ex.post(item);
  }

  /** Messages are acknowledged at the bell before they are delivered: one that comes meanwhile is another. */
  ack(_data: IrqData): void {}

  /** Asks every bell that may ring, and delivers; returns whether there was a message. */
  collect(): boolean {
    const { bells } = this;
    let found = this.deliver(0, bells.pending(0));
    if (!bells.ringing) return found;
    for (let bell = 1; bell < bells.count; bell++) {
      if (this.deliver(bell, bells.pending(bell))) found = true;
    }
    return found;
  }

  private deliver(bell: number, bits: number): boolean {
    if (bits === 0) return false;
    this.bells.acknowledge(bell, bits);
    for (let bit = 0; bit < MESSAGES_PER_BELL; bit++) {
      if ((bits & (1 << bit)) !== 0) this.take(this.messages[bell * MESSAGES_PER_BELL + bit] as Message);
    }
    return true;
  }

  private take(message: Message): void {
    const { ex, trace } = this.kernel;
    const { number, item } = message;
    if (trace.events) trace.event(MSI_MESSAGE, this.bells.address(number >>> 5), number & 31, item.cpu, number);
    if (message.inUse) ex.post(item);
    else this.spurious(number);
  }

  private spurious(number: number): void {
    this.spuriousMessages++;
    this.kernel.printk.print('emerg', NO_IRQ_HANDLER[this.kernel.profile].replace('%v', `0.${number}`));
  }

  /** @kernel arch/x86/kernel/irq.c common_interrupt */
  commonInterrupt(message: Message): void {
    const { trace } = this.kernel;
    if (trace.functions) trace.enter('__common_interrupt');
    this.irqs.genericHandleIrq(message.irq);
    if (trace.functions) trace.exit();
  }
}
