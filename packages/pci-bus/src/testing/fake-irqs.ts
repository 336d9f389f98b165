/**
 * Interrupts for tests of this package: numbers, handlers and messages, without flow control or threads.
 * Kernel counterpart: none; the irq package is the real one.
 */
import type { IrqAffinityDesc, IrqChip, IrqData, IrqDomain, Irqs, MsiDevice, MsiMsg } from '@nvme-stack/irq/ports';
import { type Kernel, KernelError, traced } from '@nvme-stack/kernel';

interface FakeDesc {
  readonly data: IrqData;
  readonly chip: IrqChip;
  action: {
    readonly handler: (irq: number, devId: never) => number;
    readonly devId: unknown;
    readonly name: string;
  } | null;
}

/** A domain with so many vectors, all of CPU 0. */
export class FakeVectorDomain implements IrqDomain {
  readonly name = 'VECTOR';
  free: number;

  constructor(vectors: number) {
    this.free = vectors;
  }
  activate(data: IrqData): boolean {
    if (this.free === 0) return false;
    this.free--;
    data.chipData = 0x30 + data.irq;
    return true;
  }
  deactivate(): void {
    this.free++;
  }
  composeMsiMsg(data: IrqData, msg: MsiMsg): void {
    msg.addressLo = 0xfee00000;
    msg.addressHi = 0;
    msg.data = data.chipData as number;
  }
  setAffinity(): boolean {
    return true;
  }
  ack(): void {}
}

/** Only what pci-bus asks for; the rest is missing on purpose. */
export class FakeIrqs {
  readonly kernel: Kernel;
  readonly descs = new Map<number, FakeDesc>();
  private next = 24;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** As the port. */
  asIrqs(): Irqs {
    return this as unknown as Irqs;
  }

  readonly requestThreadedIrq = (...args: Parameters<Irqs['requestThreadedIrq']>): void => requestTraced(this, args);
  freeIrq = async (irq: number): Promise<string> => {
    const desc = this.desc(irq);
    desc.chip.irqMask(desc.data);
    const name = desc.action?.name ?? '';
    desc.action = null;
    return name;
  };

  createMapping(hwirq: number, _trigger: string, chip: IrqChip): number {
    this.descs.set(hwirq, { data: irqData(hwirq, hwirq), chip, action: null });
    return hwirq;
  }
  disposeMapping(irq: number): void {
    this.descs.delete(irq);
  }

  msiAllocIrqs(domain: IrqDomain, device: MsiDevice, nvec: number): number[] {
    const made: number[] = [];
    for (let index = 0; index < nvec; index++) {
      const data = irqData(this.next++, device.hwirq(index));
      if (!domain.activate(data)) {
        this.msiFreeIrqs(domain, device, made);
        throw new KernelError('ENOSPC', `${device.name}: vectors`);
      }
      const msg: MsiMsg = { addressLo: 0, addressHi: 0, data: 0 };
      domain.composeMsiMsg(data, msg);
      device.writeMsg(index, msg);
      this.descs.set(data.irq, { data, chip: device.chip, action: null });
      made.push(data.irq);
    }
    return made;
  }
  msiFreeIrqs(domain: IrqDomain, _device: MsiDevice, irqs: readonly number[]): void {
    for (const irq of irqs) {
      domain.deactivate(this.desc(irq).data);
      this.descs.delete(irq);
    }
  }

  /** One CPU after the other. */
  irqCreateAffinityMasks(nvecs: number, affd: { preVectors: number }): IrqAffinityDesc[] {
    return Array.from({ length: nvecs }, (_, index) => ({
      cpus: [Math.max(0, index - affd.preVectors) % this.kernel.nrCpus],
      isManaged: index >= affd.preVectors,
    }));
  }
  irqCalcAffinityVectors(minvec: number, maxvec: number, affd: { preVectors: number; postVectors: number }): number {
    const reserved = affd.preVectors + affd.postVectors;
    return reserved > minvec ? 0 : reserved + Math.min(this.kernel.nrCpus, maxvec - reserved);
  }

  desc(irq: number): FakeDesc {
    const desc = this.descs.get(irq);
    if (desc === undefined) throw new KernelError('EINVAL', `irq ${irq}`);
    return desc;
  }
}

const requestTraced = traced(
  'request_threaded_irq',
  (irqs: FakeIrqs, [irq, handler, , , name, devId]: Parameters<Irqs['requestThreadedIrq']>): void => {
    const desc = irqs.desc(irq);
    desc.action = { handler: handler as never, devId, name };
    desc.chip.irqUnmask(desc.data);
  },
);

function irqData(irq: number, hwirq: number): IrqData {
  return { irq, hwirq, affinity: [0], effectiveCpu: 0, chipData: null };
}
