/**
 * The physical pieces of a request, adjacent ones made one.
 * Kernel counterpart: block/blk-merge.c __blk_rq_map_sg.
 */
import type { ScatterList } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import type { RequestImpl } from './request.js';

/** Fills `sg` and returns its entries; more than it holds is a BUG. Any context. @kernel block/blk-merge.c __blk_rq_map_sg */
export function rqMapSg(blk: Blk, rq: RequestImpl, sg: ScatterList): number {
  const { trace } = blk;
  if (blk.functions) trace.enter('__blk_rq_map_sg');
  const { physAddr, lengthBytes, capacity } = sg;
  const max = rq.q.limits.maxSegmentSizeBytes;
  let n = 0;
  let end = -1;
  for (let bio = rq.bio; bio !== null; bio = bio.next) {
    const { vecAddr, vecLengthBytes, vcnt } = bio;
    let skip = bio.doneBytes;
    for (let i = 0; i < vcnt; i++) {
      let length = vecLengthBytes[i];
      if (skip >= length) {
        skip -= length;
        continue;
      }
      let addr = vecAddr[i] + skip;
      length -= skip;
      skip = 0;
      if (addr === end && lengthBytes[n - 1] + length <= max) {
        lengthBytes[n - 1] += length;
        end += length;
        continue;
      }
      while (length > 0) {
        const take = Math.min(length, max);
        if (n === capacity) blk.ex.bug(`blk_rq_map_sg: more than ${capacity} segments`);
        physAddr[n] = addr;
        lengthBytes[n++] = take;
        addr += take;
        length -= take;
      }
      end = addr;
    }
  }
  sg.nents = n;
  if (blk.functions) trace.exit();
  return n;
}
