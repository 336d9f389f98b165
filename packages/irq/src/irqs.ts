/**
 * The interrupt subsystem of one machine behind its port.
 * Kernel counterpart: kernel/irq/.
 */
import { type Kernel, KernelError } from '@nvme-stack/kernel';
import { irqCalcAffinityVectors, irqCreateAffinityMasks } from './affinity.js';
import { followCpus } from './cpu-hotplug.js';
import { flowOfLine, type IrqThreadFn } from './desc.js';
import { groupCpusEvenly } from './group-cpus.js';
import * as manage from './manage.js';
import { msiAllocIrqs, msiFreeIrqs } from './msi.js';
import type {
  IrqAffinity,
  IrqAffinityDesc,
  IrqChip,
  IrqDomain,
  IrqHandler,
  IrqReturn,
  Irqs,
  IrqTrigger,
  MsiDevice,
} from './ports.js';
import { showInterrupts } from './proc.js';
import { allocDesc, FIRST_DYNAMIC_IRQ, freeDesc, genericHandleIrq, IrqSystem, irqToDesc } from './system.js';

/** What the subsystem is made of. */
export interface IrqDeps {
  readonly kernel: Kernel;
  /** The rows below the descriptors' in /proc/interrupts, as the platform's processor has them; default: ERR and MIS. */
  readonly archShowInterrupts?: () => string;
}

class IrqsImpl implements Irqs {
  readonly kernel: Kernel;
  private readonly system: IrqSystem;

  constructor({ kernel, archShowInterrupts }: IrqDeps) {
    this.kernel = kernel;
    this.system = new IrqSystem(kernel, archShowInterrupts ?? null);
    kernel.procfs.register('/proc/interrupts', () => showInterrupts(this.system));
    followCpus(this.system);
  }

  requestIrq<T>(irq: number, handler: IrqHandler<T>, flags: number, name: string, devId: T): void {
    this.requestThreadedIrq(irq, handler, null, flags, name, devId);
  }

  requestThreadedIrq<T>(
    irq: number,
    handler: IrqHandler<T> | null,
    threadFn: ((irq: number, devId: T) => Promise<IrqReturn>) | null,
    flags: number,
    name: string,
    devId: T,
  ): void {
    if (handler === null && threadFn === null) throw new KernelError('EINVAL', `irq ${irq} of ${name} without handler`);
    manage.requestThreadedIrq(this.system, {
      irq,
      handler: (handler ?? manage.defaultPrimaryHandler) as IrqHandler<unknown>,
      threadFn: threadFn as IrqThreadFn | null,
      flags,
      name,
      devId,
    });
  }

  freeIrq(irq: number, devId: unknown): Promise<string> {
    return manage.freeIrq(this.system, irq, devId);
  }

  disableIrq(irq: number): Promise<void> {
    return manage.disableIrq(this.system, irq);
  }

  enableIrq(irq: number): void {
    manage.enableIrq(this.system, irq);
  }

  irqWakeThread(irq: number, devId: unknown): void {
    manage.irqWakeThreadOf(this.system, irq, devId);
  }

  synchronizeIrq(irq: number): Promise<void> {
    return manage.synchronizeIrq(this.system, irq);
  }

  genericHandleIrq(irq: number): void {
    genericHandleIrq(this.system, irq);
  }

  createMapping(hwirq: number, trigger: IrqTrigger, chip: IrqChip): number {
    const { system } = this;
    const { descs } = system;
    const free = descs[hwirq] === undefined || descs[hwirq] === null;
    // A line of the platform has its own number where that is free.
    const first = hwirq < FIRST_DYNAMIC_IRQ && free ? hwirq : FIRST_DYNAMIC_IRQ;
    const flow = flowOfLine(trigger, chip);
    return allocDesc(system, first, { hwirq, chip, flow, msi: null, managed: false, affinity: system.allCpus }).irq;
  }

  disposeMapping(irq: number): void {
    freeDesc(this.system, irqToDesc(this.system, irq));
  }

  msiAllocIrqs(
    domain: IrqDomain,
    device: MsiDevice,
    nvec: number,
    affinity: readonly IrqAffinityDesc[] | null,
  ): number[] {
    return msiAllocIrqs(this.system, { domain, device, nvec, affinity });
  }

  msiFreeIrqs(domain: IrqDomain, device: MsiDevice, irqs: readonly number[]): void {
    msiFreeIrqs(this.system, domain, device, irqs);
  }

  irqCreateAffinityMasks(nvecs: number, affd: IrqAffinity): IrqAffinityDesc[] | null {
    return irqCreateAffinityMasks(this.system, nvecs, affd);
  }

  irqCalcAffinityVectors(minvec: number, maxvec: number, affd: IrqAffinity): number {
    return irqCalcAffinityVectors(this.kernel.nrCpus, minvec, maxvec, affd);
  }

  groupCpusEvenly(groups: number): number[][] {
    return groupCpusEvenly(this.kernel, groups);
  }

  irqGetAffinity(irq: number): readonly number[] {
    return irqToDesc(this.system, irq).affinity;
  }

  irqSetAffinity(irq: number, cpus: readonly number[]): void {
    manage.irqSetAffinity(this.system, irq, cpus);
  }

  showInterrupts(): string {
    return showInterrupts(this.system);
  }
}

/** Makes the interrupt subsystem of one machine and its files under /proc. @kernel kernel/irq/irqdesc.c early_irq_init */
export function createIrqs(deps: IrqDeps): Irqs {
  return new IrqsImpl(deps);
}
