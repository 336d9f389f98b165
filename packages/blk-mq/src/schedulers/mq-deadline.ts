/**
 * The scheduler `mq-deadline`: in order of sectors, in batches, unless a request has waited too long; reads first.
 * Kernel counterpart: block/mq-deadline.c.
 */
import type { Kernel } from '@nvme-stack/kernel';
import type { Bio, BlkMqHwCtx, IoScheduler, IoSchedulerType, Request, RequestQueue } from '../ports.js';
import { type RequestImpl, RequestList } from '../request.js';
import { adjoins } from './none.js';

const READ = 0;
const WRITE = 1;

/** @kernel block/mq-deadline.c (read_expire, write_expire, writes_starved, fifo_batch) */
const EXPIRE_NS: readonly number[] = [500e6, 5e9];
const WRITES_STARVED = 2;
const FIFO_BATCH = 16;

/** Requests of all hardware queues together. @kernel block/mq-deadline.c deadline_data */
export class MqDeadline implements IoScheduler {
  readonly name = 'mq-deadline';
  private readonly kernel: Kernel;
  /** Reads and writes in order of arrival. */
  private readonly fifo = [new RequestList(), new RequestList()] as const;
  /** Inserted at the head: before all others. */
  private readonly urgent = new RequestList();
  private direction = READ;
  /** Sector after the last dispatched request of each direction. */
  private readonly headSector = [0, 0];
  private batching = 0;
  private starved = 0;

  constructor(queue: RequestQueue) {
    this.kernel = queue.kernel;
  }

  insert(_hctx: BlkMqHwCtx, rq: Request, atHead: boolean): void {
    const impl = rq as RequestImpl;
    if (atHead) {
      this.urgent.pushTail(impl);
      return;
    }
    const direction = directionOf(rq);
    impl.fifoTimeNs = this.kernel.ex.now() + EXPIRE_NS[direction];
    this.fifo[direction].pushTail(impl);
  }

  hasWork(_hctx: BlkMqHwCtx): boolean {
    return this.urgent.count + this.fifo[READ].count + this.fifo[WRITE].count > 0;
  }

  /** @kernel block/mq-deadline.c __dd_dispatch_request */
  dispatch(_hctx: BlkMqHwCtx): Request | null {
    const urgent = this.urgent.shift();
    if (urgent !== null) return urgent;
    if (this.batching > 0 && this.batching < FIFO_BATCH) {
      const next = this.nextBySector(this.direction);
      if (next !== null) return this.take(next);
    }
    const direction = this.chooseDirection();
    if (direction < 0) return null;
    const oldest = this.fifo[direction].head as RequestImpl;
    const expired = oldest.fifoTimeNs <= this.kernel.ex.now();
    const next = expired ? null : this.nextBySector(direction);
    this.direction = direction;
    this.batching = 0;
    // Nothing ahead of the head: back to the lowest sector that waits.
    return this.take(next ?? (expired ? oldest : this.lowest(direction)));
  }

  /** Reads first, but not for ever. @kernel block/mq-deadline.c __dd_dispatch_request */
  private chooseDirection(): number {
    if (this.fifo[READ].count > 0) {
      if (this.fifo[WRITE].count > 0 && this.starved++ >= WRITES_STARVED) {
        this.starved = 0;
        return WRITE;
      }
      return READ;
    }
    if (this.fifo[WRITE].count === 0) return -1;
    this.starved = 0;
    return WRITE;
  }

  private take(rq: RequestImpl): RequestImpl {
    const direction = directionOf(rq);
    this.fifo[direction].remove(rq);
    this.headSector[direction] = rq.sector + rq.dataLengthBytes / 512;
    this.batching++;
    return rq;
  }

  /** The waiting request with the lowest sector at or after the head. */
  private nextBySector(direction: number): RequestImpl | null {
    const from = this.headSector[direction];
    let best: RequestImpl | null = null;
    for (let rq = this.fifo[direction].head; rq !== null; rq = rq.next) {
      if (rq.sector >= from && (best === null || rq.sector < best.sector)) best = rq;
    }
    return best;
  }

  private lowest(direction: number): RequestImpl {
    let best = this.fifo[direction].head as RequestImpl;
    for (let rq = best.next; rq !== null; rq = rq.next) if (rq.sector < best.sector) best = rq;
    return best;
  }

  /** @kernel block/mq-deadline.c dd_request_merge */
  findMerge(_hctx: BlkMqHwCtx, bio: Bio): Request | null {
    const direction = (bio.opf & 1) === 0 ? READ : WRITE;
    for (let rq = this.fifo[direction].head; rq !== null; rq = rq.next) if (adjoins(rq, bio)) return rq;
    return null;
  }
}

function directionOf(rq: Request): number {
  return (rq.cmdFlags & 1) === 0 ? READ : WRITE;
}

/** Makes `mq-deadline`. */
export const mqDeadlineType: IoSchedulerType = {
  name: 'mq-deadline',
  create: (queue) => new MqDeadline(queue),
};
