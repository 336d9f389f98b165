/**
 * Driver-private requests: allocation, waiting for a tag, data.
 * Kernel counterpart: block/blk-mq.c (blk_mq_alloc_request, blk_mq_alloc_request_hctx), block/blk-map.c.
 */
import { Completion, KernelError, traced, waitForCompletion } from '@nvme-stack/kernel';
import { BioImpl, bioAddPiece } from './bio.js';
import { blkQueueEnter, queueExit } from './freeze.js';
import type { HwCtx, SwCtx } from './hw-ctx.js';
import { RQF_RESERVED, SECTOR_SIZE } from './ports.js';
import type { Queue } from './queue.js';
import type { RequestImpl } from './request.js';
import { hasGap, segmentsOf } from './split.js';
import { hctxType, rqCtxInit } from './submit.js';
import { getTag, TagWaiter } from './tags.js';

/** How a driver-private request is allocated. */
export interface AllocFlags {
  readonly nowait?: boolean;
  readonly reserved?: boolean;
  readonly hctxIndex?: number;
}

function route(q: Queue, opf: number, hctxIndex: number): { hctx: HwCtx; ctx: SwCtx } {
  const { cpu } = q.blk.ex;
  const own = q.ctxs[Math.max(cpu, 0)];
  if (hctxIndex < 0) return { hctx: own.hctxs[hctxType(opf)], ctx: own };
  const hctx = q.hctxs[hctxIndex];
  if (hctx === undefined) throw new KernelError('EIO', `blk_mq_alloc_request_hctx: no hardware queue ${hctxIndex}`);
  const first = hctx.cpus.find((one) => q.kernel.cpus.isOnline(one));
  if (first === undefined || hctx.inactive)
    throw new KernelError('EXDEV', `blk_mq_alloc_request_hctx: no CPU for queue ${hctxIndex}`);
  return { hctx, ctx: hctx.cpus.includes(own.cpu) ? own : q.ctxs[first] };
}

function takeTag(q: Queue, opf: number, hctx: HwCtx, ctx: SwCtx, reserved: boolean): RequestImpl | null {
  const { trace } = q.blk;
  if (trace.functions) {
    trace.enter('__blk_mq_alloc_requests');
    trace.enter('blk_mq_get_tag');
    trace.enter('__blk_mq_get_tag');
  }
  const tag = getTag(hctx.tags, ctx.cpu, reserved);
  if (trace.functions) {
    trace.exit();
    trace.exit();
  }
  const rq = tag < 0 ? null : prepare(q, opf, tag, hctx, ctx, reserved);
  if (trace.functions) trace.exit();
  return rq;
}

function prepare(q: Queue, opf: number, tag: number, hctx: HwCtx, ctx: SwCtx, reserved: boolean): RequestImpl {
  const rq = rqCtxInit(q.blk, q, opf, hctx.tags.staticRqs[tag], hctx, ctx);
  if (reserved) rq.rqFlags |= RQF_RESERVED;
  rq.sector = 0;
  rq.dataLengthBytes = 0;
  rq.nrPhysSegments = 0;
  rq.bio = rq.biotail = null;
  rq.endIoData = null;
  return rq;
}

/** Throws ENODEV for a dying queue, EAGAIN with nowait. Task context. @kernel block/blk-mq.c blk_mq_alloc_request */
export const allocPassthrough = traced(
  'blk_mq_alloc_request',
  async (q: Queue, opf: number, flags: AllocFlags): Promise<RequestImpl> => {
    const nowait = flags.nowait === true;
    const reserved = flags.reserved === true;
    await blkQueueEnter(q, nowait);
    try {
      for (;;) {
        const { hctx, ctx } = route(q, opf, flags.hctxIndex ?? -1);
        const rq = takeTag(q, opf, hctx, ctx, reserved);
        if (rq !== null) return rq;
        if (nowait) throw new KernelError('EAGAIN', 'blk_mq_alloc_request: no tag is free');
        const waiter = new TagWaiter(reserved, new Completion(q.kernel, `a tag of ${hctx.tags.name}`));
        hctx.tags.waitingTasks.push(waiter);
        await waitForCompletion(waiter.granted);
        // Without one: the last CPU of its hardware queue goes off, and another queue must be found.
        if (waiter.tag >= 0) return prepare(q, opf, waiter.tag, hctx, ctx, reserved);
      }
    } catch (error) {
      queueExit(q);
      throw error;
    }
  },
);

/** Null when no tag is free, or the queue is frozen or dying. Any context. */
export function tryAllocPassthrough(q: Queue, opf: number, flags: AllocFlags): RequestImpl | null {
  if (q.freezeDepth > 0 || q.dying) return null;
  const { hctx, ctx } = route(q, opf, flags.hctxIndex ?? -1);
  const rq = takeTag(q, opf, hctx, ctx, flags.reserved === true);
  if (rq !== null) q.usage++;
  return rq;
}

/** A bio of the request's own, with room for `pieces`. */
function dataBio(rq: RequestImpl, pieces: number): BioImpl {
  let bio = rq.ownBio;
  if (bio === null || bio.vecAddr.length < pieces) {
    bio = new BioImpl(pieces);
    rq.ownBio = bio;
  }
  bio.opf = rq.cmdFlags;
  bio.sizeBytes = 0;
  bio.vcnt = 0;
  bio.doneBytes = 0;
  bio.next = null;
  bio.disk = null;
  return bio;
}

/** Attaches one physically contiguous piece. Throws EINVAL when it is longer than the queue allows. @kernel block/blk-map.c blk_rq_map_kern */
export function rqMapKern(rq: RequestImpl, physAddr: number, lengthBytes: number): void {
  const bio = dataBio(rq, 1);
  bioAddPiece(bio, physAddr, lengthBytes);
  attach(rq, bio);
}

/** Attaches pieces, in order. Throws EINVAL when the queue's limits forbid them. @kernel block/blk-map.c blk_rq_map_user */
export function rqMapPages(rq: RequestImpl, addrs: readonly number[], lengths: readonly number[]): void {
  const bio = dataBio(rq, addrs.length);
  for (let i = 0; i < addrs.length; i++) bioAddPiece(bio, addrs[i], lengths[i]);
  attach(rq, bio);
}

/** @kernel block/blk-map.c blk_rq_append_bio */
function attach(rq: RequestImpl, bio: BioImpl): void {
  const lim = rq.q.limits;
  if (bio.sizeBytes > lim.maxHwSectors * SECTOR_SIZE)
    throw new KernelError('EINVAL', `${bio.sizeBytes} bytes are more than the queue's ${lim.maxHwSectors} sectors`);
  let segs = 0;
  let end = -1;
  for (let i = 0; i < bio.vcnt; i++) {
    const addr = bio.vecAddr[i];
    const length = bio.vecLengthBytes[i];
    if (addr !== end) {
      if (end >= 0 && lim.virtBoundaryMask !== 0 && hasGap(end, addr, lim.virtBoundaryMask))
        throw new KernelError('EINVAL', `a gap before piece ${i} that the queue's virtual boundary forbids`);
      segs += segmentsOf(lim, addr, length);
    }
    end = addr + length;
  }
  if (segs > lim.maxSegments) throw new KernelError('EINVAL', `${segs} segments are more than ${lim.maxSegments}`);
  rq.bio = rq.biotail = bio;
  rq.dataLengthBytes = bio.sizeBytes;
  rq.nrPhysSegments = segs;
}
