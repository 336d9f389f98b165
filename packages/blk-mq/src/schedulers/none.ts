/**
 * The scheduler `none`: first in, first out per hardware queue. It holds what cannot be issued at once.
 * Kernel counterpart: the software queues of block/blk-mq.c (blk_mq_ctx.rq_lists) and block/blk-mq-sched.c.
 */
import type { Bio, BlkMqHwCtx, IoScheduler, IoSchedulerType, Request } from '../ports.js';
import { SECTOR_SIZE } from '../ports.js';
import { type RequestImpl, RequestList } from '../request.js';

/** Requests looked at for a merge. @kernel block/blk-mq-sched.c blk_bio_list_merge */
const MERGE_CHECKS = 8;

export class NoneScheduler implements IoScheduler {
  readonly name = 'none';
  /** Requests in all lists. */
  total = 0;
  private readonly lists: RequestList[] = [];

  /** Makes a list for each hardware queue. */
  resize(hwQueues: number): void {
    while (this.lists.length < hwQueues) this.lists.push(new RequestList());
  }

  private list(hctx: BlkMqHwCtx): RequestList {
    this.resize(hctx.queueNum + 1);
    return this.lists[hctx.queueNum];
  }

  insert(hctx: BlkMqHwCtx, rq: Request, atHead: boolean): void {
    const list = this.list(hctx);
    if (atHead) list.pushHead(rq as RequestImpl);
    else list.pushTail(rq as RequestImpl);
    this.total++;
  }

  dispatch(hctx: BlkMqHwCtx): Request | null {
    if (this.total === 0) return null;
    const rq = this.list(hctx).shift();
    if (rq !== null) this.total--;
    return rq;
  }

  /** Takes what one CPU inserted, in its order. */
  takeFrom(hctx: BlkMqHwCtx, cpu: number): RequestList {
    const taken = new RequestList();
    if (this.total === 0) return taken;
    const kept = new RequestList();
    const list = this.list(hctx);
    for (let rq = list.shift(); rq !== null; rq = list.shift()) (rq.cpu === cpu ? taken : kept).pushTail(rq);
    list.append(kept);
    this.total -= taken.count;
    return taken;
  }

  hasWork(hctx: BlkMqHwCtx): boolean {
    return this.total > 0 && this.list(hctx).count > 0;
  }

  /** Of the requests inserted last, one that the bio continues or comes right before. */
  findMerge(hctx: BlkMqHwCtx, bio: Bio): Request | null {
    const list = this.list(hctx);
    let skip = list.count - MERGE_CHECKS;
    let found: RequestImpl | null = null;
    for (let rq = list.head; rq !== null; rq = rq.next) {
      if (skip-- > 0) continue;
      if (adjoins(rq, bio)) found = rq;
    }
    return found;
  }
}

/** Whether a bio continues a request of its kind or comes right before it. */
export function adjoins(rq: Request, bio: Bio): boolean {
  if (rq.cmdFlags !== bio.opf) return false;
  return (
    rq.sector + rq.dataLengthBytes / SECTOR_SIZE === bio.sector ||
    bio.sector + bio.sizeBytes / SECTOR_SIZE === rq.sector
  );
}

/** Makes `none`. */
export const noneSchedulerType: IoSchedulerType = { name: 'none', create: () => new NoneScheduler() };
