// A driver of a few lines for tests: it speaks registers, rings and doorbells through a fake board.
// Kernel counterpart: drivers/nvme/host/pci.c, reduced to what a test needs.
import * as nvme from '@nvme-stack/nvme-protocol';
import { PCI_COMMAND, PCI_COMMAND_MASTER, PCI_COMMAND_MEMORY, type PciFunction } from '@nvme-stack/pci-function';
import { FakePciHost, type FakePciHostOptions, findMsix } from '@nvme-stack/pci-function/testing';

/** A submission entry's fields; what is absent is 0. */
export interface TestCommand {
  readonly opcode: number;
  readonly flags?: number;
  readonly cid?: number;
  readonly nsid?: number;
  readonly mptr?: number;
  readonly prp1?: number;
  readonly prp2?: number;
  readonly cdw10?: number;
  readonly cdw11?: number;
  readonly cdw12?: number;
  readonly cdw13?: number;
  readonly cdw14?: number;
  readonly cdw15?: number;
}

/** A completion entry's fields; status without the phase tag. */
export interface TestCompletion {
  readonly dw0: number;
  readonly sqhd: number;
  readonly sqid: number;
  readonly cid: number;
  readonly status: number;
}

interface TestQueue {
  readonly qid: number;
  readonly size: number;
  readonly sq: number;
  readonly cq: number;
  tail: number;
  head: number;
  phase: number;
}

/** Options of the test driver's board and queues. */
export interface RegisterDriverOptions extends FakePciHostOptions {
  /** Entries of the admin queues. */
  readonly adminDepth?: number;
  readonly dstrd?: number;
}

/** Drives one controller. Memory map: rings below 0x40000, data from 0x40000. */
export class RegisterDriver {
  readonly host: FakePciHost;
  readonly fn: PciFunction;
  readonly view: DataView;
  readonly queues = new Map<number, TestQueue>();
  readonly #stride: number;
  #nextCid = 1;

  constructor(fn: PciFunction, options: RegisterDriverOptions = {}) {
    this.host = new FakePciHost(options);
    this.fn = fn;
    this.view = new DataView(this.host.ram.buffer, this.host.ram.byteOffset);
    this.#stride = options.dstrd ?? 0;
    this.host.plug(fn);
    fn.configWrite(PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_MEMORY, 2);
    const depth = options.adminDepth ?? 32;
    this.queues.set(0, { qid: 0, size: depth, sq: 0x1000, cq: 0x2000, tail: 0, head: 0, phase: 1 });
  }

  read32(offset: number): number {
    return this.fn.barRead(0, offset, 4);
  }

  write32(offset: number, value: number): void {
    this.fn.barWrite(0, offset, value, 4);
  }

  /** Programs the admin queues and sets CC.EN; returns CSTS. */
  enable(cc = 0x00460061): number {
    const admin = this.queue(0);
    admin.tail = 0;
    admin.head = 0;
    admin.phase = 1;
    this.host.ram.fill(0, admin.cq, admin.cq + admin.size * 16);
    this.write32(nvme.NVME_REG_AQA, ((admin.size - 1) << 16) | (admin.size - 1));
    this.write32(nvme.NVME_REG_ASQ, admin.sq);
    this.write32(nvme.NVME_REG_ASQ + 4, 0);
    this.write32(nvme.NVME_REG_ACQ, admin.cq);
    this.write32(nvme.NVME_REG_ACQ + 4, 0);
    this.write32(nvme.NVME_REG_CC, cc);
    return this.read32(nvme.NVME_REG_CSTS);
  }

  /** Enables MSI-X with vector i at address 0xfee00000, data i. */
  enableMsix(vectors = 8): void {
    const msix = findMsix(this.fn);
    if (msix === null) throw new Error('the function has no MSI-X');
    this.fn.configWrite(msix.capability + 2, 0x8000, 2);
    for (let vector = 0; vector < vectors; vector++) {
      const at = msix.tableOffset + 16 * vector;
      this.fn.barWrite(0, at, 0xfee00000, 4);
      this.fn.barWrite(0, at + 8, vector, 4);
      this.fn.barWrite(0, at + 12, 0, 4);
    }
  }

  queue(qid: number): TestQueue {
    const queue = this.queues.get(qid);
    if (queue === undefined) throw new Error(`no queue ${qid}`);
    return queue;
  }

  /** Writes an entry at the queue's tail without ringing; returns its command identifier. */
  put(qid: number, command: TestCommand): number {
    const queue = this.queue(qid);
    const cid = command.cid ?? this.#nextCid++ & 0xffff;
    const at = queue.sq + queue.tail * 64;
    const { view } = this;
    for (let i = 0; i < 64; i += 4) view.setUint32(at + i, 0, true);
    view.setUint32(at, (command.opcode | ((command.flags ?? 0) << 8) | (cid << 16)) >>> 0, true);
    view.setUint32(at + 4, command.nsid ?? 0, true);
    this.#put64(at + 16, command.mptr ?? 0);
    this.#put64(at + 24, command.prp1 ?? 0);
    this.#put64(at + 32, command.prp2 ?? 0);
    view.setUint32(at + 40, command.cdw10 ?? 0, true);
    view.setUint32(at + 44, command.cdw11 ?? 0, true);
    view.setUint32(at + 48, command.cdw12 ?? 0, true);
    view.setUint32(at + 52, command.cdw13 ?? 0, true);
    view.setUint32(at + 56, command.cdw14 ?? 0, true);
    view.setUint32(at + 60, command.cdw15 ?? 0, true);
    queue.tail = (queue.tail + 1) % queue.size;
    return cid;
  }

  /** Rings the tail doorbell. */
  ring(qid: number): void {
    this.write32(nvme.sqTailDoorbellOffset(qid, this.#stride), this.queue(qid).tail);
  }

  /** Rings the head doorbell. */
  acknowledge(qid: number): void {
    this.write32(nvme.cqHeadDoorbellOffset(qid, this.#stride), this.queue(qid).head);
  }

  /** Takes the next completion, or null; does not ring. */
  take(qid: number): TestCompletion | null {
    const queue = this.queue(qid);
    const at = queue.cq + queue.head * 16;
    const dw3 = this.view.getUint32(at + 12, true);
    if (((dw3 >>> 16) & 1) !== queue.phase) return null;
    const dw2 = this.view.getUint32(at + 8, true);
    queue.head = (queue.head + 1) % queue.size;
    if (queue.head === 0) queue.phase ^= 1;
    return {
      dw0: this.view.getUint32(at, true),
      sqhd: dw2 & 0xffff,
      sqid: dw2 >>> 16,
      cid: dw3 & 0xffff,
      status: dw3 >>> 17,
    };
  }

  /** Takes and acknowledges all completions that are there. */
  takeAll(qid: number): TestCompletion[] {
    const all: TestCompletion[] = [];
    for (let next = this.take(qid); next !== null; next = this.take(qid)) all.push(next);
    if (all.length > 0) this.acknowledge(qid);
    return all;
  }

  /** Submits one command and returns its completion; throws if none comes. */
  submit(qid: number, command: TestCommand): TestCompletion {
    this.put(qid, command);
    this.ring(qid);
    this.host.pump();
    const completion = this.take(qid);
    if (completion === null) throw new Error('no completion');
    this.acknowledge(qid);
    return completion;
  }

  admin(command: TestCommand): TestCompletion {
    return this.submit(0, command);
  }

  /** Creates an I/O queue pair with its rings at 0x10000 + 0x8000 × (qid - 1). */
  createQueuePair(qid: number, size: number, vector = 0): void {
    const sq = 0x10000 + 0x8000 * (qid - 1);
    const cq = sq + 0x6000;
    this.host.ram.fill(0, cq, cq + size * 16);
    const create = (opcode: number, prp1: number, cdw11: number): void => {
      const { status } = this.admin({ opcode, prp1, cdw10: ((size - 1) << 16) | qid, cdw11 });
      if (status !== 0) throw new Error(`queue ${qid} was refused with status 0x${status.toString(16)}`);
    };
    create(nvme.NvmeAdminOpcode.createCq, cq, (vector << 16) | 3);
    create(nvme.NvmeAdminOpcode.createSq, sq, (qid << 16) | 1);
    this.queues.set(qid, { qid, size, sq, cq, tail: 0, head: 0, phase: 1 });
  }

  #put64(at: number, value: number): void {
    this.view.setUint32(at, value % 0x100000000, true);
    this.view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
  }
}
