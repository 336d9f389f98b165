/**
 * The smallest NVMe host: an admin queue pair over a mapped BAR, one command at a time, completions polled.
 * It stands on the ports alone. [NVMe] 3.5.1, 3.3.1.
 */
import {
  type CoherentMemory,
  cpuRelax,
  type DmaDevice,
  dmaAllocCoherent,
  dmaFreeCoherent,
  type Kernel,
} from '@nvme-stack/kernel';
import {
  CAP,
  CSTS,
  cqePhase,
  cqeStatusCode,
  cqHeadDoorbellOffset,
  NVME_AQ_DEPTH,
  NVME_CC_ENABLE,
  NVME_CC_IOCQES,
  NVME_CC_IOSQES,
  NVME_CQE_BYTES,
  NVME_IDENTIFY_DATA_SIZE,
  NVME_REG_ACQ,
  NVME_REG_AQA,
  NVME_REG_ASQ,
  NVME_REG_CAP,
  NVME_REG_CC,
  NVME_REG_CSTS,
  NVME_SQE_BYTES,
  NvmeAdminOpcode,
  NvmeCompletion,
  NvmeIdentify,
  sqTailDoorbellOffset,
} from '@nvme-stack/nvme-protocol';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';

const POLLS = 100_000;

export class AdminHost {
  private readonly kernel: Kernel;
  private readonly registers: MmioRegion;
  private readonly dma: DmaDevice;
  private readonly sq: CoherentMemory;
  private readonly cq: CoherentMemory;
  private readonly data: CoherentMemory;
  private readonly stride: number;
  private tail = 0;
  private head = 0;
  private phase = 1;

  constructor(registers: MmioRegion, dma: DmaDevice) {
    this.kernel = dma.kernel;
    this.registers = registers;
    this.dma = dma;
    this.sq = this.allocate(NVME_AQ_DEPTH * NVME_SQE_BYTES);
    this.cq = this.allocate(NVME_AQ_DEPTH * NVME_CQE_BYTES);
    this.data = this.allocate(NVME_IDENTIFY_DATA_SIZE);
    this.stride = CAP.DSTRD.get(registers.readl(NVME_REG_CAP), registers.readl(NVME_REG_CAP + 4));
  }

  private allocate(sizeBytes: number): CoherentMemory {
    const memory = dmaAllocCoherent(this.dma, sizeBytes);
    if (memory === null) throw new Error(`no coherent memory of ${sizeBytes} bytes`);
    return memory;
  }

  async enable(): Promise<void> {
    await this.disable();
    this.registers.writel(NVME_REG_AQA, ((NVME_AQ_DEPTH - 1) << 16) | (NVME_AQ_DEPTH - 1));
    this.writeAddress(NVME_REG_ASQ, this.sq.busAddr);
    this.writeAddress(NVME_REG_ACQ, this.cq.busAddr);
    this.registers.writel(NVME_REG_CC, NVME_CC_ENABLE | NVME_CC_IOSQES | NVME_CC_IOCQES);
    await this.ready(1);
  }

  async disable(): Promise<void> {
    this.registers.writel(NVME_REG_CC, 0);
    await this.ready(0);
  }

  private writeAddress(register: number, address: number): void {
    this.registers.writel(register, address % 2 ** 32);
    this.registers.writel(register + 4, Math.floor(address / 2 ** 32));
  }

  private ready(wanted: number): Promise<void> {
    return this.poll(`CSTS.RDY = ${wanted}`, () => CSTS.RDY.get(this.registers.readl(NVME_REG_CSTS)) === wanted);
  }

  private async poll(what: string, holds: () => boolean): Promise<void> {
    for (let polls = 0; polls < POLLS; polls++) {
      if (holds()) return;
      await cpuRelax(this.kernel);
    }
    throw new Error(`the controller never came to ${what}`);
  }

  /** Sends Identify and returns its data structure and the completion's status. [NVMe] 5.1.13. */
  async identify(cns: number, nsid: number): Promise<{ readonly status: number; readonly data: Uint8Array }> {
    const offset = this.tail * NVME_SQE_BYTES;
    this.sq.bytes.fill(0, offset, offset + NVME_SQE_BYTES);
    NvmeIdentify.encodeInto(this.sq.bytes, offset, {
      opcode: NvmeAdminOpcode.identify,
      commandId: this.tail,
      nsid,
      prp1: this.data.busAddr,
      cns,
    });
    this.sq.publish(offset, NVME_SQE_BYTES);
    const commandId = this.tail;
    this.tail = (this.tail + 1) % NVME_AQ_DEPTH;
    this.registers.writel(sqTailDoorbellOffset(0, this.stride), this.tail);
    const status = await this.completion(commandId);
    this.data.acquire(0, NVME_IDENTIFY_DATA_SIZE);
    return { status, data: this.data.bytes.slice() };
  }

  private async completion(commandId: number): Promise<number> {
    const offset = this.head * NVME_CQE_BYTES;
    const entry = NvmeCompletion.cursor(this.cq.bytes).at(offset);
    await this.poll(`a completion of command ${commandId}`, () => {
      this.cq.acquire(offset, NVME_CQE_BYTES);
      return cqePhase(entry.status) === this.phase;
    });
    // The phase may have been read before the rest of the entry was there.
    this.cq.acquire(offset, NVME_CQE_BYTES);
    if (entry.commandId !== commandId) throw new Error(`completion of command ${entry.commandId}, not ${commandId}`);
    this.head = (this.head + 1) % NVME_AQ_DEPTH;
    if (this.head === 0) this.phase ^= 1;
    this.registers.writel(cqHeadDoorbellOffset(0, this.stride), this.head);
    return cqeStatusCode(entry.status);
  }

  free(): void {
    for (const memory of [this.sq, this.cq, this.data]) dmaFreeCoherent(this.dma, memory);
  }
}
