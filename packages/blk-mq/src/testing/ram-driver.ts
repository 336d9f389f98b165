/**
 * A driver for tests: a disk in memory behind `BlkMqOps`. Completions come as interrupts after a latency, or when the
 * test asks for them, in any order.
 */
import type { Item, Kernel } from '@nvme-stack/kernel';
import type {
  Bio,
  BlkMq,
  BlkMqHwCtx,
  BlkMqOps,
  BlkMqQueueData,
  BlkMqTagSet,
  BlkStatus,
  IoCompBatch,
  Request,
} from '../ports.js';
import {
  BLK_EH_RESET_TIMER,
  BLK_STS_OK,
  REQ_OP_DISCARD,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  SECTOR_SIZE,
} from '../ports.js';

/** How the driver behaves. */
export interface RamDriverOptions {
  readonly sectors: number;
  /** Time from issue to interrupt; 0: at once, but never inside `queueRq`. */
  readonly latencyNs?: number;
  /** Completions wait for `completeOne`. */
  readonly manual?: boolean;
  /** Without `queueRqs` every request comes through `queueRq`. */
  readonly queueRqs?: boolean;
  readonly poll?: boolean;
}

/** One request the driver has seen. */
export interface SeenRequest {
  readonly op: number;
  readonly sector: number;
  readonly lengthBytes: number;
  readonly hctx: number;
  readonly last: boolean;
  readonly segments: number;
}

export class RamDriver implements BlkMqOps {
  readonly kernel: Kernel;
  readonly media: Uint8Array;
  readonly seen: SeenRequest[] = [];
  /** Issued and not completed. */
  readonly outstanding: Request[] = [];
  readonly timedOut: Request[] = [];
  readonly pdus: number[] = [];
  commits = 0;
  /** Status of the next `queueRq` calls; empty: OK. */
  readonly refuse: BlkStatus[] = [];
  /** Status a request of this sector ends with. */
  readonly failures = new Map<number, BlkStatus>();
  /** Answer of `timeout`. */
  verdict: number = BLK_EH_RESET_TIMER;
  /** Completes on this CPU; -1: on the first CPU of the hardware queue. */
  interruptCpu = -1;
  /** Completions wait for `completeOne`. */
  manual: boolean;
  queueRqs?: (list: Request) => Request | null;
  poll?: (hctx: BlkMqHwCtx, iob: IoCompBatch | null) => number;
  private readonly options: RamDriverOptions;
  private readonly irqs: Item[] = [];
  private readonly done: Request[][] = [];
  private readonly batch: IoCompBatch;
  readonly blkMq: BlkMq;

  constructor(blkMq: BlkMq, options: RamDriverOptions) {
    this.blkMq = blkMq;
    this.kernel = blkMq.kernel;
    this.options = options;
    this.manual = options.manual === true;
    this.media = new Uint8Array(options.sectors * SECTOR_SIZE);
    this.batch = blkMq.ioCompBatch();
    for (let cpu = 0; cpu < this.kernel.nrCpus; cpu++) {
      this.done.push([]);
      this.irqs.push(this.kernel.ex.item('hardirq', cpu, (at: number) => this.interrupt(at), cpu));
    }
    if (options.queueRqs !== false) this.queueRqs = (list) => this.takeList(list);
    if (options.poll === true) this.poll = (hctx, iob) => this.pollQueue(hctx, iob);
  }

  queueRq(hctx: BlkMqHwCtx, bd: BlkMqQueueData): BlkStatus {
    const status = this.refuse.shift() ?? BLK_STS_OK;
    if (status !== BLK_STS_OK) return status;
    this.issue(hctx, bd.rq, bd.last);
    return BLK_STS_OK;
  }

  private takeList(list: Request): Request | null {
    for (let rq: Request | null = list; rq !== null; ) {
      const next: Request | null = rq.next;
      if (this.refuse.length > 0) return rq;
      rq.next = null;
      this.issue(rq.mqHctx, rq, next === null);
      rq = next;
    }
    return null;
  }

  commitRqs(_hctx: BlkMqHwCtx): void {
    this.commits++;
  }

  initRequest(_set: BlkMqTagSet, rq: Request, hctxIndex: number, _node: number): void {
    rq.pdu = hctxIndex;
    this.pdus.push(rq.tag);
  }

  private issue(hctx: BlkMqHwCtx, rq: Request, last: boolean): void {
    const op = rq.cmdFlags & REQ_OP_MASK;
    const { sector, dataLengthBytes: lengthBytes, nrPhysSegments: segments } = rq;
    this.seen.push({ op, sector, lengthBytes, hctx: hctx.queueNum, last, segments });
    this.blkMq.blkMqStartRequest(rq);
    this.outstanding.push(rq);
    if (!this.manual) this.arm(rq);
  }

  private arm(rq: Request): void {
    const cpu = this.interruptCpu >= 0 ? this.interruptCpu : (rq.mqHctx.cpus[0] ?? 0);
    this.done[cpu].push(rq);
    if (rq.mqHctx.type === 2 && this.options.poll === true) return;
    const { ex } = this.kernel;
    ex.arm(this.irqs[cpu], ex.now() + (this.options.latencyNs ?? 1000));
  }

  /** Completes the n-th outstanding request by an interrupt. */
  completeOne(n: number): void {
    this.arm(this.outstanding[n]);
  }

  private interrupt(cpu: number): void {
    const list = this.done[cpu].splice(0);
    for (const rq of list) this.finish(rq, this.batch);
    if (this.batch.first !== null) this.batch.complete?.(this.batch);
  }

  private pollQueue(hctx: BlkMqHwCtx, iob: IoCompBatch | null): number {
    let found = 0;
    for (const list of this.done) {
      for (const rq of list.filter((r) => r.mqHctx === hctx)) {
        list.splice(list.indexOf(rq), 1);
        this.finish(rq, iob);
        found++;
      }
    }
    return found;
  }

  private finish(rq: Request, iob: IoCompBatch | null): void {
    const at = this.outstanding.indexOf(rq);
    if (at < 0) return;
    this.outstanding.splice(at, 1);
    if (this.blkMq.blkMqCompleteRequestRemote(rq)) return;
    const status = this.failures.get(rq.sector) ?? BLK_STS_OK;
    if (!this.blkMq.blkMqAddToBatch(rq, iob, status !== BLK_STS_OK, this.completeBatch)) this.complete(rq);
  }

  private readonly completeBatch = (batch: IoCompBatch): void => {
    for (let rq = batch.first; rq !== null; rq = rq.next) this.transfer(rq);
    this.blkMq.blkMqEndRequestBatch(batch);
  };

  complete(rq: Request): void {
    const status = this.failures.get(rq.sector) ?? BLK_STS_OK;
    if (status === BLK_STS_OK) this.transfer(rq);
    this.blkMq.blkMqEndRequest(rq, status);
  }

  timeout(rq: Request): number {
    this.timedOut.push(rq);
    return this.verdict;
  }

  /** Moves the data of a request between memory and the medium. */
  protected transfer(rq: Request): void {
    const op = rq.cmdFlags & REQ_OP_MASK;
    const { bytes } = this.kernel.memory;
    let at = rq.sector * SECTOR_SIZE;
    if (op === REQ_OP_DISCARD || op === REQ_OP_WRITE_ZEROES) this.media.fill(0, at, at + rq.dataLengthBytes);
    if (op !== REQ_OP_READ && op !== REQ_OP_WRITE) return;
    for (let bio: Bio | null = rq.bio; bio !== null; bio = bio.next) {
      for (let i = 0; i < bio.vcnt; i++) {
        const addr = bio.vecAddr[i];
        const length = bio.vecLengthBytes[i];
        if (op === REQ_OP_READ) bytes.set(this.media.subarray(at, at + length), addr);
        else this.media.set(bytes.subarray(addr, addr + length), at);
        at += length;
      }
    }
  }
}
