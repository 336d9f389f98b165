/** A host below any driver for one function, physical or virtual: its configuration space, its registers, polled queues. */
import { type CoherentMemory, cpuRelax, type DmaDevice, dmaAllocCoherent, dmaFreeCoherent } from '@nvme-stack/kernel';
import * as nvme from '@nvme-stack/nvme-protocol';
import type { MmioRegion, PciBus, PciDev } from '@nvme-stack/pci-bus/ports';

const PAGE = 4096;
const ENTRIES = 16;
const CC = nvme.NVME_CC_ENABLE | nvme.NVME_CC_IOSQES | nvme.NVME_CC_IOCQES;
const POLLS = 20_000;

/** A submission entry; what is absent is 0. */
export interface HostCommand {
  readonly opcode: number;
  readonly nsid?: number;
  readonly prp1?: number;
  readonly cdw10?: number;
  readonly cdw11?: number;
  readonly cdw12?: number;
}

/** What came back: status without the phase tag; null where nothing did. */
export interface HostAnswer {
  readonly status: number | null;
  readonly dw0: number;
}

interface Ring {
  readonly sq: CoherentMemory;
  readonly cq: CoherentMemory;
  tail: number;
  head: number;
  phase: number;
}

export class FunctionHost {
  readonly data: CoherentMemory;
  readonly pdev: PciDev;
  private readonly bus: PciBus;
  private readonly dma: DmaDevice;
  private readonly rings: Ring[];
  private registers: MmioRegion | null = null;
  private nextCid = 1;

  constructor(bus: PciBus, pdev: PciDev) {
    this.bus = bus;
    this.pdev = pdev;
    this.dma = pdev.dev.dma as DmaDevice;
    this.data = this.allocate();
    this.rings = [0, 1].map(() => ({ sq: this.allocate(), cq: this.allocate(), tail: 0, head: 0, phase: 1 }));
  }

  /** Memory decoding and mastering on, BAR 0 mapped. */
  async open(): Promise<void> {
    await this.bus.pciEnableDeviceMem(this.pdev);
    this.bus.pciSetMaster(this.pdev);
    this.registers = this.bus.ioremap(this.pdev, 0, 0x2000);
  }

  close(): void {
    if (this.registers !== null) this.bus.iounmap(this.pdev, this.registers);
    this.registers = null;
    dmaFreeCoherent(this.dma, this.data);
    for (const { sq, cq } of this.rings) for (const memory of [sq, cq]) dmaFreeCoherent(this.dma, memory);
  }

  /** Resets the function; its configuration is restored. */
  async functionLevelReset(): Promise<void> {
    this.bus.pciSaveState(this.pdev);
    await this.bus.pcieFlr(this.pdev);
    this.bus.pciRestoreState(this.pdev);
  }

  read(offset: number): number {
    return this.region.readl(offset);
  }

  write(offset: number, value: number): void {
    this.region.writel(offset, value);
  }

  config(offset: number): number {
    return this.bus.pciReadConfigDword(this.pdev, offset);
  }

  /** Disables and enables the controller; returns CSTS. */
  async enable(): Promise<number> {
    this.write(nvme.NVME_REG_CC, 0);
    for (let polls = 0; polls < 50 && (this.read(nvme.NVME_REG_CSTS) & 1) !== 0; polls++)
      await cpuRelax(this.dma.kernel);
    for (const ring of this.rings) this.empty(ring);
    const [admin] = this.rings as [Ring, Ring];
    this.write(nvme.NVME_REG_AQA, ((ENTRIES - 1) << 16) | (ENTRIES - 1));
    this.writeAddress(nvme.NVME_REG_ASQ, admin.sq.busAddr);
    this.writeAddress(nvme.NVME_REG_ACQ, admin.cq.busAddr);
    this.write(nvme.NVME_REG_CC, CC);
    for (let polls = 0; polls < 50; polls++) {
      const csts = this.read(nvme.NVME_REG_CSTS);
      if (csts !== 0) return csts;
      await cpuRelax(this.dma.kernel);
    }
    return this.read(nvme.NVME_REG_CSTS);
  }

  /** Sends a command to the admin queue (0) or the I/O queue (1) and waits; PRP1 is the data page unless told. */
  async send(queue: 0 | 1, command: HostCommand, patience = POLLS): Promise<HostAnswer> {
    const ring = this.rings[queue] as Ring;
    const { view, busAddr } = ring.sq;
    const at = ring.tail * 64;
    const cid = this.nextCid++;
    for (let i = 0; i < 64; i += 4) view.setUint32(at + i, 0, true);
    view.setUint32(at, (command.opcode | (cid << 16)) >>> 0, true);
    view.setUint32(at + 4, command.nsid ?? 0, true);
    view.setUint32(at + 24, command.prp1 ?? this.data.busAddr, true);
    view.setUint32(at + 40, command.cdw10 ?? 0, true);
    view.setUint32(at + 44, command.cdw11 ?? 0, true);
    view.setUint32(at + 48, command.cdw12 ?? 0, true);
    if (busAddr === 0) throw new Error('no submission queue');
    ring.sq.publish(at, 64);
    this.data.publish(0, PAGE);
    ring.tail = (ring.tail + 1) % ENTRIES;
    this.write(nvme.sqTailDoorbellOffset(queue, 0), ring.tail);
    for (let polls = 0; polls < patience; polls++) {
      const answer = this.take(ring, queue);
      if (answer !== null) return answer;
      await cpuRelax(this.dma.kernel);
    }
    return { status: null, dw0: 0 };
  }

  /** Makes queue pair 1; returns the first status that is not 0. */
  async createQueues(qid = 1, vector = 0): Promise<number | null> {
    const ring = this.rings[1] as Ring;
    this.empty(ring);
    const cdw10 = ((ENTRIES - 1) << 16) | qid;
    const cq = await this.send(0, { opcode: 0x05, prp1: ring.cq.busAddr, cdw10, cdw11: (vector << 16) | 3 });
    if (cq.status !== 0) return cq.status;
    return (await this.send(0, { opcode: 0x01, prp1: ring.sq.busAddr, cdw10, cdw11: (qid << 16) | 1 })).status;
  }

  /** The data page as the device left it. */
  bytes(length = PAGE): Uint8Array {
    this.data.acquire(0, length);
    return this.data.bytes.slice(0, length);
  }

  private get region(): MmioRegion {
    if (this.registers === null) throw new Error(`${this.pdev.dev.name} is not open`);
    return this.registers;
  }

  private allocate(): CoherentMemory {
    const memory = dmaAllocCoherent(this.dma, PAGE);
    if (memory === null) throw new Error('no coherent memory');
    return memory;
  }

  private empty(ring: Ring): void {
    ring.tail = 0;
    ring.head = 0;
    ring.phase = 1;
    for (const memory of [ring.sq, ring.cq]) {
      memory.bytes.fill(0);
      memory.publish(0, PAGE);
    }
  }

  private writeAddress(register: number, address: number): void {
    this.write(register, address % 2 ** 32);
    this.write(register + 4, Math.floor(address / 2 ** 32));
  }

  private take(ring: Ring, queue: number): HostAnswer | null {
    const at = ring.head * 16;
    ring.cq.acquire(at, 16);
    if ((ring.cq.view.getUint16(at + 14, true) & 1) !== ring.phase) return null;
    ring.cq.acquire(at, 16);
    const { view } = ring.cq;
    ring.head = (ring.head + 1) % ENTRIES;
    if (ring.head === 0) ring.phase ^= 1;
    this.write(nvme.cqHeadDoorbellOffset(queue, 0), ring.head);
    return { status: view.getUint16(at + 14, true) >>> 1, dw0: view.getUint32(at, true) };
  }
}
