/** An I/O scheduler that lets the highest sector go first, but nobody overtake a request more than 32 times. */
import type { BlkMqHwCtx, IoScheduler, IoSchedulerType, Request } from '@nvme-stack/blk-mq/ports';

const MAX_OVERTAKEN = 32;

class ReverseScheduler implements IoScheduler {
  readonly name = 'reverse';
  private readonly urgent: Request[] = [];
  private readonly queued: { readonly rq: Request; readonly hctx: BlkMqHwCtx; overtaken: number }[] = [];
  private readonly sectors: number[];

  /** Sectors of what it dispatched are appended to `sectors`. */
  constructor(sectors: number[]) {
    this.sectors = sectors;
  }

  insert(hctx: BlkMqHwCtx, rq: Request, atHead: boolean): void {
    if (atHead) this.urgent.unshift(rq);
    else this.queued.push({ rq, hctx, overtaken: 0 });
  }

  dispatch(hctx: BlkMqHwCtx): Request | null {
    const rq = this.takeUrgent(hctx) ?? this.takeHighest(hctx);
    if (rq !== null) this.sectors.push(rq.sector);
    return rq;
  }

  private takeUrgent(hctx: BlkMqHwCtx): Request | null {
    const at = this.urgent.findIndex(({ mqHctx }) => mqHctx === hctx);
    return at < 0 ? null : (this.urgent.splice(at, 1)[0] as Request);
  }

  private takeHighest(hctx: BlkMqHwCtx): Request | null {
    const mine = this.queued.filter((entry) => entry.hctx === hctx);
    const [first] = mine;
    if (first === undefined) return null;
    let chosen = first;
    if (first.overtaken < MAX_OVERTAKEN)
      for (const entry of mine) if (entry.rq.sector > chosen.rq.sector) chosen = entry;
    if (chosen !== first) first.overtaken++;
    this.queued.splice(this.queued.indexOf(chosen), 1);
    return chosen.rq;
  }

  hasWork(hctx: BlkMqHwCtx): boolean {
    return this.urgent.some(({ mqHctx }) => mqHctx === hctx) || this.queued.some((entry) => entry.hctx === hctx);
  }
}

/** A type whose schedulers write down the sectors they dispatch. */
export function reverseSchedulerType(sectors: number[]): IoSchedulerType {
  return { name: 'reverse', create: () => new ReverseScheduler(sectors) };
}
