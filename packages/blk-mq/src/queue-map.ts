/**
 * Which CPU uses which hardware queue.
 * Kernel counterpart: block/blk-mq-cpumap.c, block/blk-mq-pci.c, block/blk-mq.c blk_mq_map_swqueue.
 */
import type { Device } from '@nvme-stack/device-core/ports';
import { traced } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import type { HwCtx } from './hw-ctx.js';
import { type BlkMqQueueMap, HCTX_MAX_TYPES, HCTX_TYPE_DEFAULT } from './ports.js';
import type { Queue } from './queue.js';
import type { TagSet } from './tag-set.js';

/** @kernel include/linux/blk-mq.h blk_mq_queue_map */
export class QueueMap implements BlkMqQueueMap {
  readonly mqMap: Int32Array;
  nrQueues = 0;
  queueOffset = 0;

  constructor(nrCpus: number) {
    this.mqMap = new Int32Array(nrCpus);
  }
}

/** Spreads CPUs evenly over the map's queues. @kernel block/blk-mq-cpumap.c blk_mq_map_queues */
export function blkMqMapQueues(blk: Blk, map: BlkMqQueueMap): void {
  const groups = blk.irqs.groupCpusEvenly(map.nrQueues);
  for (let queue = 0; queue < groups.length; queue++) {
    for (const cpu of groups[queue]) map.mqMap[cpu] = map.queueOffset + queue;
  }
}

/** By the interrupt affinity of a device's vectors; evenly when the bus knows none. @kernel block/blk-mq-pci.c blk_mq_pci_map_queues */
export function blkMqHctxMapQueues(blk: Blk, map: BlkMqQueueMap, dev: Device, vectorOffset: number): void {
  const getAffinity = dev.bus?.irqGetAffinity;
  if (getAffinity === undefined) {
    blkMqMapQueues(blk, map);
    return;
  }
  for (let queue = 0; queue < map.nrQueues; queue++) {
    const cpus = getAffinity.call(dev.bus, dev, queue + vectorOffset);
    if (cpus === null) {
      fallback(map);
      return;
    }
    for (const cpu of cpus) map.mqMap[cpu] = map.queueOffset + queue;
  }
}

/** Every CPU uses the first queue. */
function fallback(map: BlkMqQueueMap): void {
  map.mqMap.fill(map.queueOffset);
}

/** Fills the set's maps anew. @kernel block/blk-mq.c blk_mq_update_queue_map */
export const updateQueueMap = traced('blk_mq_update_queue_map', (set: TagSet): void => {
  if (set.nrMaps === 1) set.map[HCTX_TYPE_DEFAULT].nrQueues = set.nrHwQueues;
  if (set.ops.mapQueues !== undefined) {
    for (const map of set.map) map.mqMap.fill(0);
    set.ops.mapQueues(set);
    return;
  }
  blkMqMapQueues(set.blk, set.map[HCTX_TYPE_DEFAULT]);
});

/** The hardware queue of a CPU's requests of a type, by the set's maps. @kernel block/blk-mq.h blk_mq_map_queue_type */
export function mappedHctx({ tagSet: set, hctxs }: Queue, cpu: number, type: number): HwCtx {
  const map = set.map[type < set.nrMaps ? type : HCTX_TYPE_DEFAULT];
  const used = map.nrQueues > 0 ? map : set.map[HCTX_TYPE_DEFAULT];
  return hctxs[used.mqMap[cpu]] ?? hctxs[0];
}

/** Connects each CPU's context with its hardware queues. @kernel block/blk-mq.c blk_mq_map_swqueue */
export function mapSwqueue(q: Queue): void {
  const { tagSet: set, hctxs } = q;
  const cpus: number[][] = hctxs.map(() => []);
  for (const hctx of hctxs) hctx.type = typeOf(set, hctx.queueNum);
  for (const ctx of q.ctxs) {
    for (let type = 0; type < HCTX_MAX_TYPES; type++) {
      const hctx = mappedHctx(q, ctx.cpu, type);
      ctx.hctxs[type] = hctx;
      const list = cpus[hctx.queueNum];
      if (!list.includes(ctx.cpu)) list.push(ctx.cpu);
    }
  }
  for (const hctx of hctxs) {
    hctx.cpus = cpus[hctx.queueNum];
    hctx.nextCpu = hctx.cpus[0] ?? 0;
  }
}

function typeOf(set: TagSet, queueNum: number): number {
  for (let type = 0; type < set.nrMaps; type++) {
    const { nrQueues, queueOffset } = set.map[type];
    if (queueNum >= queueOffset && queueNum < queueOffset + nrQueues) return type;
  }
  return HCTX_TYPE_DEFAULT;
}
