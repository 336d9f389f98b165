/**
 * Plugs: requests gathered before the driver sees them.
 * Kernel counterpart: block/blk-core.c (blk_start_plug), block/blk-mq.c (blk_add_rq_to_plug, blk_mq_flush_plug_list).
 */
import type { Blk } from './blk.js';
import { insertRequest, issueDirectList, runHwQueue } from './dispatch.js';
import type { BlkPlug } from './ports.js';
import { type RequestImpl, RequestList, RQF_USE_SCHED } from './request.js';
import { BLOCK_PLUG, BLOCK_UNPLUG } from './trace-events.js';

/** @kernel block/blk.h BLK_MAX_REQUEST_COUNT */
const MAX_REQUEST_COUNT = 32;
const MAX_REQUEST_COUNT_MULTIPLE = 64;
/** @kernel block/blk.h BLK_PLUG_FLUSH_SIZE */
const FLUSH_SIZE_BYTES = 131072;

/** @kernel include/linux/blkdev.h blk_plug */
export class Plug implements BlkPlug {
  head: RequestImpl | null = null;
  tail: RequestImpl | null = null;
  count = 0;
  multipleQueues = false;
  hasElevator = false;
  /** Being handed out by `blkStartPlug`. */
  inUse = false;
}

/** Starts gathering for the running task; inside another plug it does nothing. @kernel block/blk-core.c blk_start_plug */
export function blkStartPlug(blk: Blk): Plug {
  const task = blk.ex.current;
  const plug = freePlug(blk);
  plug.inUse = true;
  if (task.plug === null) task.plug = plug;
  return plug;
}

function freePlug(blk: Blk): Plug {
  for (let i = MAX_NESTED; i < blk.plugs.length; i++) {
    if (!blk.plugs[i].inUse) return blk.plugs[i];
  }
  const plug = new Plug();
  blk.plugs.push(plug);
  return plug;
}

/** Plugs of `__submit_bio` stand first; deeper submissions go unplugged. */
export const MAX_NESTED = 8;

/** Issues what gathered. @kernel block/blk-core.c blk_finish_plug */
export function blkFinishPlug(blk: Blk, plug: Plug): void {
  const task = blk.ex.current;
  plug.inUse = false;
  if (task.plug !== plug) return;
  blkFlushPlug(blk, plug, false);
  task.plug = null;
}

/** @kernel block/blk-core.c __blk_flush_plug */
export function blkFlushPlug(blk: Blk, plug: Plug, fromSchedule: boolean): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('__blk_flush_plug');
  if (plug.count > 0) flushPlugList(blk, plug, fromSchedule);
  if (blk.functions) trace.exit();
}

/** The plug of the running task, before it sleeps. @kernel kernel/sched/core.c sched_submit_work */
export function flushBeforeSleep(blk: Blk): void {
  const plug = blk.ex.current.plug as Plug | null;
  if (plug !== null && plug.count > 0) blkFlushPlug(blk, plug, true);
}

/** @kernel block/blk-mq.c blk_add_rq_to_plug */
export function addRqToPlug(blk: Blk, plug: Plug, rq: RequestImpl): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_add_rq_to_plug');
  let last = plug.tail;
  if (last === null) {
    if (blk.events) trace.event(BLOCK_PLUG, 0, 0, 0, 0);
  } else if (isFull(plug, last)) {
    flushPlugList(blk, plug, false);
    last = null;
    if (blk.events) trace.event(BLOCK_PLUG, 0, 0, 0, 0);
  }
  if (last !== null && last.q !== rq.q) plug.multipleQueues = true;
  if ((rq.rqFlags & RQF_USE_SCHED) !== 0) plug.hasElevator = true;
  rq.next = null;
  if (last === null) plug.head = rq;
  else last.next = rq;
  plug.tail = rq;
  plug.count++;
  if (blk.functions) trace.exit();
}

/** Whether the plug goes out before it takes another request; `last` is its last. */
export function isFull(plug: Plug, last: RequestImpl): boolean {
  if (plug.count >= (plug.multipleQueues ? MAX_REQUEST_COUNT_MULTIPLE : MAX_REQUEST_COUNT)) return true;
  return last.dataLengthBytes >= FLUSH_SIZE_BYTES && last.q.noMerges === 0;
}

/** @kernel block/blk-mq.c blk_mq_flush_plug_list */
export function flushPlugList(blk: Blk, plug: Plug, fromSchedule: boolean): void {
  const { trace } = blk;
  if (blk.functions) trace.enter('blk_mq_flush_plug_list');
  let list = plug.head;
  const { count, multipleQueues, hasElevator } = plug;
  plug.head = plug.tail = null;
  plug.count = 0;
  plug.multipleQueues = plug.hasElevator = false;
  if (list !== null && !multipleQueues && !hasElevator && !fromSchedule) {
    if (blk.events) trace.event(BLOCK_UNPLUG, count, 1, 0, 0);
    const { q } = list;
    const { ops } = q.tagSet;
    if (blk.era.plugUsesQueueRqs && ops.queueRqs !== undefined && q.quiesceDepth === 0)
      list = ops.queueRqs(list) as RequestImpl | null;
    if (list !== null) list = issueDirectList(blk, list);
  }
  if (list !== null) dispatchPlugList(blk, list, fromSchedule);
  if (blk.functions) trace.exit();
}

/** Inserts requests queue by queue and runs each. @kernel block/blk-mq.c blk_mq_dispatch_plug_list */
function dispatchPlugList(blk: Blk, list: RequestImpl, fromSchedule: boolean): void {
  const { trace } = blk;
  const rest = new RequestList();
  for (let rq: RequestImpl | null = list; rq !== null; ) {
    const next: RequestImpl | null = rq.next;
    rest.pushTail(rq);
    rq = next;
  }
  while (rest.count > 0) {
    const hctx = (rest.head as RequestImpl).mqHctx;
    const others = new RequestList();
    let depth = 0;
    if (blk.events) trace.event(BLOCK_UNPLUG, rest.count, fromSchedule ? 0 : 1, 0, 0);
    for (let rq = rest.shift(); rq !== null; rq = rest.shift()) {
      if (rq.mqHctx === hctx) {
        insertRequest(blk, rq, false);
        depth++;
      } else others.pushTail(rq);
    }
    if (depth > 0) runHwQueue(hctx, fromSchedule);
    rest.append(others);
  }
}
