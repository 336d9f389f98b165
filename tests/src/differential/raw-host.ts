/**
 * A host below any driver: queues over a mapped BAR, any 64 bytes as a command, completions polled. It stands on the
 * platform's ports alone, so the same host drives any controller behind them. [NVMe] 3.3.1, 3.5.1.
 */
import {
  type CoherentMemory,
  cpuRelax,
  type DmaDevice,
  dmaAllocCoherent,
  dmaFreeCoherent,
  type Kernel,
} from '@nvme-stack/kernel';
import * as nvme from '@nvme-stack/nvme-protocol';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';
import { Failures } from './failures.js';

const PAGE = 4096;
/** Entries of every queue of the host's own. */
export const QUEUE_ENTRIES = 64;
/** Pages of the arena, the only memory that commands of the stream may name. */
export const ARENA_PAGES = 64;
/** The same for every host: an address that a command writes to the medium is the same there. */
const ARENA_ADDRESS = 0x400000;
const POLLS = 200_000;
/** A command whose pointers are wrong and that has not completed by then never will; nanoseconds of the machine's time. */
export const IMPATIENT_NS = 2e9;
/** The same for one that must complete, however busy the host is. */
export const PATIENT_NS = 30e9;
const QUIET_TURNS = 3;
const SQE = nvme.NVME_SQE_BYTES;
const CQE = nvme.NVME_CQE_BYTES;

/** What came back; `kind` says whether anything did. */
export interface Outcome {
  readonly kind: 'completed' | 'pending';
  readonly status: number;
  readonly dw0: number;
  readonly sqHead: number;
  readonly sqId: number;
  /** Completions of other commands that came meanwhile: Asynchronous Event Requests. */
  readonly events: readonly string[];
}

class Queue {
  readonly sq: CoherentMemory;
  readonly cq: CoherentMemory;
  tail = 0;
  head = 0;
  phase = 1;

  constructor(sq: CoherentMemory, cq: CoherentMemory) {
    this.sq = sq;
    this.cq = cq;
  }

  restart(): void {
    this.tail = 0;
    this.head = 0;
    this.phase = 1;
    for (const memory of [this.sq, this.cq]) {
      memory.bytes.fill(0);
      memory.publish(0, memory.sizeBytes);
    }
  }
}

export class RawHost {
  readonly kernel: Kernel;
  readonly registers: MmioRegion;
  readonly arena: CoherentMemory;
  readonly failures = new Failures();
  private readonly dma: DmaDevice;
  private readonly queues: Queue[];
  private readonly padding: readonly CoherentMemory[];
  private nextCid = 1;

  constructor(registers: MmioRegion, dma: DmaDevice, ioQueues: number) {
    this.kernel = dma.kernel;
    this.registers = registers;
    this.dma = dma;
    this.padding = this.padTo(ARENA_ADDRESS);
    this.arena = this.allocate(ARENA_PAGES * PAGE);
    if (this.arena.busAddr !== ARENA_ADDRESS) throw new Error(`the arena is at ${this.arena.busAddr}`);
    this.queues = Array.from(
      { length: ioQueues + 1 },
      () => new Queue(this.allocate(QUEUE_ENTRIES * SQE), this.allocate(QUEUE_ENTRIES * CQE)),
    );
  }

  private allocate(sizeBytes: number): CoherentMemory {
    const memory = dmaAllocCoherent(this.dma, sizeBytes);
    if (memory === null) throw new Error(`no coherent memory of ${sizeBytes} bytes`);
    return memory;
  }

  /** Takes what is free below an address. */
  private padTo(address: number): CoherentMemory[] {
    const taken = [this.allocate(PAGE)];
    for (let next = (taken[0] as CoherentMemory).busAddr + PAGE; next < address; ) {
      const memory = this.allocate(PAGE);
      taken.push(memory);
      next = memory.busAddr + PAGE;
    }
    return taken;
  }

  free(): void {
    for (const memory of this.padding) dmaFreeCoherent(this.dma, memory);
    for (const { sq, cq } of this.queues) for (const memory of [sq, cq]) dmaFreeCoherent(this.dma, memory);
    dmaFreeCoherent(this.dma, this.arena);
  }

  /** Bus address of a queue's memory. */
  address(queue: number, kind: 'sq' | 'cq'): number {
    return (this.queues[queue] as Queue)[kind].busAddr;
  }

  /** Disables and enables the controller; queues of the host's own start empty. */
  async restart(): Promise<void> {
    this.registers.writel(nvme.NVME_REG_CC, 0);
    await this.ready(0);
    for (const queue of this.queues) queue.restart();
    const last = QUEUE_ENTRIES - 1;
    this.registers.writel(nvme.NVME_REG_AQA, (last << 16) | last);
    this.writeAddress(nvme.NVME_REG_ASQ, this.address(0, 'sq'));
    this.writeAddress(nvme.NVME_REG_ACQ, this.address(0, 'cq'));
    this.registers.writel(nvme.NVME_REG_CC, nvme.NVME_CC_ENABLE | nvme.NVME_CC_IOSQES | nvme.NVME_CC_IOCQES);
    await this.ready(1);
    this.nextCid = 1;
  }

  /** The host's memory of a queue that the controller made anew. */
  restartQueue(queue: number): void {
    (this.queues[queue] as Queue).restart();
  }

  private writeAddress(register: number, address: number): void {
    this.registers.writel(register, address % 2 ** 32);
    this.registers.writel(register + 4, Math.floor(address / 2 ** 32));
  }

  private async ready(wanted: number): Promise<void> {
    for (let polls = 0; polls < POLLS; polls++) {
      if (nvme.CSTS.RDY.get(this.registers.readl(nvme.NVME_REG_CSTS)) === wanted) return;
      await cpuRelax(this.kernel);
    }
    throw new Error(`the controller never came to CSTS.RDY = ${wanted}`);
  }

  /** Sends 64 bytes with a fresh command identifier and waits for its completion, or, if it `mayPend`, until all is quiet. */
  async exec(queueId: number, sqe: Uint8Array, mayPend: boolean, patienceNs = PATIENT_NS): Promise<Outcome> {
    const queue = this.queues[queueId] as Queue;
    const offset = queue.tail * SQE;
    const cid = this.nextCid;
    this.nextCid = cid === 0xfffe ? 1 : cid + 1;
    queue.sq.bytes.set(sqe, offset);
    queue.sq.view.setUint16(offset + 2, cid, true);
    queue.sq.publish(offset, SQE);
    queue.tail = (queue.tail + 1) % QUEUE_ENTRIES;
    this.registers.writel(nvme.sqTailDoorbellOffset(queueId, 0), queue.tail);
    const events: string[] = [];
    let quiet = 0;
    const giveUpNs = this.kernel.ex.now() + patienceNs;
    while (this.kernel.ex.now() < giveUpNs) {
      const found = this.take(queueId, cid, events);
      if (found !== null) {
        this.failures.note(queueId, cid, sqe, found);
        return { ...found, events: events.concat(this.otherEvents(queueId)) };
      }
      if (mayPend && ++quiet > QUIET_TURNS) break;
      await this.turn(mayPend);
    }
    return { kind: 'pending', status: 0, dw0: 0, sqHead: 0, sqId: 0, events };
  }

  /** Lets the controller work; when it may be done already, a register read makes sure that it had its turn. */
  async turn(sure: boolean): Promise<void> {
    await cpuRelax(this.kernel);
    if (sure) this.registers.readl(nvme.NVME_REG_CSTS);
  }

  /** Completions of event requests that have come since. */
  otherEvents(than = -1): string[] {
    const events: string[] = [];
    if (than !== 0) this.take(0, -1, events);
    return events;
  }

  /** Takes entries until that of `cid`; others are events. */
  private take(queueId: number, cid: number, events: string[]): Omit<Outcome, 'events'> | null {
    const queue = this.queues[queueId] as Queue;
    for (;;) {
      const offset = queue.head * CQE;
      queue.cq.acquire(offset, CQE);
      const { view } = queue.cq;
      if ((view.getUint16(offset + 14, true) & 1) !== queue.phase) return null;
      // The phase may have been read before the rest of the entry was there.
      queue.cq.acquire(offset, CQE);
      const dw0 = view.getUint32(offset, true);
      const sqHead = view.getUint16(offset + 8, true);
      const sqId = view.getUint16(offset + 10, true);
      const found = view.getUint16(offset + 12, true);
      const status = view.getUint16(offset + 14, true) >>> 1;
      queue.head = (queue.head + 1) % QUEUE_ENTRIES;
      if (queue.head === 0) queue.phase ^= 1;
      this.registers.writel(nvme.cqHeadDoorbellOffset(queueId, 0), queue.head);
      if (found === cid) return { kind: 'completed', status, dw0, sqHead, sqId };
      events.push(`event ${dw0.toString(16)} status ${status.toString(16)}`);
    }
  }
}
