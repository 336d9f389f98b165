/**
 * The board's shared state: buses, interrupt controllers, memory, and the generation that tells mappings to look again.
 * Kernel counterpart: none; the PCIe root complex.
 */
import type { Irqs } from '@nvme-stack/irq/ports';
import type { Kernel } from '@nvme-stack/kernel';
import { BoardBus } from './board-bus.js';
import type { BoardSlot } from './board-slot.js';
import type { DeviceMemory } from './device-memory.js';
import { IoApic } from './io-apic.js';
import { bdfText, type Iommu } from './iommu.js';
import type { Port } from './port.js';
import { VectorDomain } from './vector-domain.js';

export class Board {
  readonly kernel: Kernel;
  readonly memory: DeviceMemory;
  readonly iommu: Iommu | null;
  readonly vectors: VectorDomain;
  readonly ioApic: IoApic;
  readonly busStart = 0;
  readonly root: BoardBus;
  readonly ports: Port[] = [];
  /** Grows whenever an address may lead elsewhere: a mapping that has seen another one decodes again. */
  generation = 1;
  dmaAborts = 0;
  private readonly owners = new Map<BoardSlot, BoardSlot>();

  constructor(kernel: Kernel, irqs: Irqs, memory: DeviceMemory, iommu: Iommu | null) {
    this.kernel = kernel;
    this.memory = memory;
    this.iommu = iommu;
    this.vectors = new VectorDomain(kernel, irqs);
    this.ioApic = new IoApic(kernel, irqs);
    this.root = new BoardBus(this, null);
  }

  /** Notes which physical function a virtual one belongs to. */
  adoptVirtual(owner: BoardSlot, vf: BoardSlot): void {
    this.owners.set(vf, owner);
  }

  ownsVirtual(owner: BoardSlot, vf: BoardSlot): boolean {
    return this.owners.get(vf) === owner;
  }

  /** A name that stays the same however buses are numbered: random streams hang on it. */
  slotName(slot: BoardSlot): string {
    const path = [bdfText(slot.devfn)];
    for (let { port } = slot.bus; port !== null; { port } = port.parent) path.unshift(bdfText(port.devfn));
    return path.join('/');
  }
}
