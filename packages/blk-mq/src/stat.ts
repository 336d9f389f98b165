/**
 * How long requests took, by kind.
 * Kernel counterpart: block/blk-stat.c.
 */

/** Target of write-back throttling for a medium that does not rotate. @kernel block/blk-wbt.c wbt_default_latency_nsec */
export const WBT_LAT_DEFAULT_USEC = 2000;

/** Number and nanoseconds of reads (0), writes (1) and others (2). @kernel block/blk-stat.h blk_rq_stat */
export class LatencyStat {
  readonly count = new Float64Array(3);
  readonly sumNs = new Float64Array(3);

  /** @kernel block/blk-stat.c blk_rq_stat_add */
  add(kind: number, ns: number): void {
    this.count[kind]++;
    this.sumNs[kind] += ns;
  }
}
