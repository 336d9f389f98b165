/**
 * Tag sets: the tags and requests that several request queues share, made once.
 * Kernel counterpart: block/blk-mq.c (blk_mq_alloc_tag_set and what it calls).
 */
import { type HasKernel, type Kernel, KernelError, traced } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import { blkMqFreezeQueue, blkMqUnfreezeQueue } from './freeze.js';
import type { BlkMqOps, BlkMqTagSet, BlkMqTagSetInit, Request } from './ports.js';
import { BLK_MQ_F_NO_SCHED, HCTX_MAX_TYPES, HCTX_TYPE_DEFAULT, MQ_RQ_IN_FLIGHT } from './ports.js';
import type { Queue } from './queue.js';
import { reallocHwCtxs } from './queue.js';
import { QueueMap, updateQueueMap } from './queue-map.js';
import { RequestImpl } from './request.js';
import { Tags, tagInUse, tagsBusy } from './tags.js';

/** @kernel include/linux/blk-mq.h BLK_MQ_MAX_DEPTH */
const MAX_DEPTH = 10240;
const DEFAULT_TIMEOUT_NS = 30e9;

/** @kernel include/linux/blk-mq.h blk_mq_tag_set */
export class TagSet implements BlkMqTagSet, HasKernel {
  readonly kernel: Kernel;
  readonly blk: Blk;
  readonly ops: BlkMqOps;
  readonly name: string;
  nrHwQueues: number;
  readonly queueDepth: number;
  readonly reservedTags: number;
  readonly numaNode: number;
  timeoutNs: number;
  readonly flags: number;
  readonly driverData: unknown;
  nrMaps: number;
  readonly map: QueueMap[] = [];
  /** Per hardware queue; never shrinks. */
  readonly tags: Tags[] = [];
  readonly queues: Queue[] = [];

  constructor(blk: Blk, init: BlkMqTagSetInit) {
    this.kernel = blk.kernel;
    this.blk = blk;
    this.ops = init.ops;
    this.name = init.name;
    this.nrHwQueues = init.nrHwQueues;
    this.queueDepth = init.queueDepth;
    this.reservedTags = init.reservedTags;
    this.numaNode = init.numaNode;
    this.timeoutNs = init.timeoutNs > 0 ? init.timeoutNs : DEFAULT_TIMEOUT_NS;
    this.flags = init.flags;
    this.driverData = init.driverData;
    this.nrMaps = init.nrMaps;
    for (let type = 0; type < HCTX_MAX_TYPES; type++) this.map.push(new QueueMap(blk.kernel.nrCpus));
  }

  tagToRq(hwQueue: number, tag: number): Request | null {
    const tags = this.tags[hwQueue];
    return tags !== undefined && tagInUse(tags, tag) ? tags.rqs[tag] : null;
  }

  inFlightRq(hwQueue: number, tag: number): Request | null {
    const tags = this.tags[hwQueue];
    if (tags === undefined || tag >= tags.nrTags) return null;
    const rq = tags.rqs[tag];
    return rq.state === MQ_RQ_IN_FLIGHT ? rq : null;
  }
}

/** Makes tags and requests, one per tag and hardware queue. Throws EINVAL. @kernel block/blk-mq.c blk_mq_alloc_tag_set */
export const allocTagSet = traced('blk_mq_alloc_tag_set', (blk: Blk, init: BlkMqTagSetInit): TagSet => {
  checkInit(init);
  const set = new TagSet(blk, init);
  if (set.nrMaps === 1) set.map[HCTX_TYPE_DEFAULT].nrQueues = set.nrHwQueues;
  updateQueueMap(set);
  for (let i = 0; i < set.nrHwQueues; i++) set.tags.push(makeTags(set, i));
  blk.tagSets.push(set);
  return set;
});

/** @kernel include/linux/blkdev.h BLKDEV_DEFAULT_RQ */
const BLKDEV_DEFAULT_RQ = 128;

/** What the queue of a bio-based disk has in place of a tag set: no hardware queue, no request. */
export function bioTagSet(blk: Blk, numaNode: number): TagSet {
  const queueRq = (): never => blk.ex.bug('a request on the queue of a disk that takes bios');
  return new TagSet(blk, {
    ops: { queueRq },
    name: 'bio',
    nrHwQueues: 0,
    nrMaps: 1,
    queueDepth: BLKDEV_DEFAULT_RQ,
    reservedTags: 0,
    numaNode,
    timeoutNs: 0,
    flags: BLK_MQ_F_NO_SCHED,
    driverData: null,
  });
}

function checkInit(init: BlkMqTagSetInit): void {
  const { nrHwQueues, queueDepth, reservedTags, nrMaps } = init;
  if (nrHwQueues < 1) throw new KernelError('EINVAL', `tag set ${init.name}: nrHwQueues ${nrHwQueues} is less than 1`);
  if (queueDepth < 1 || queueDepth > MAX_DEPTH)
    throw new KernelError('EINVAL', `tag set ${init.name}: queueDepth ${queueDepth} is not within 1 to ${MAX_DEPTH}`);
  if (reservedTags < 0 || queueDepth < reservedTags + 1)
    throw new KernelError('EINVAL', `tag set ${init.name}: ${reservedTags} reserved tags leave none of ${queueDepth}`);
  if (nrMaps < 1 || nrMaps > HCTX_MAX_TYPES)
    throw new KernelError('EINVAL', `tag set ${init.name}: nrMaps ${nrMaps} is not within 1 to ${HCTX_MAX_TYPES}`);
}

/** @kernel block/blk-mq.c blk_mq_alloc_map_and_rqs */
function makeTags(set: TagSet, hctxIndex: number): Tags {
  const tags = new Tags(set.kernel, `${set.name}/${hctxIndex}`, set.queueDepth, set.reservedTags);
  for (let tag = 0; tag < set.queueDepth; tag++) {
    const rq = new RequestImpl(tags, tag);
    tags.staticRqs.push(rq);
    tags.rqs.push(rq);
    set.ops.initRequest?.(set, rq, hctxIndex, set.numaNode);
  }
  return tags;
}

/** Frees requests; tags still in use are leaks. A queue that still uses the set is a BUG. @kernel block/blk-mq.c blk_mq_free_tag_set */
export const freeTagSet = traced('blk_mq_free_tag_set', (set: TagSet): void => {
  const { blk } = set;
  const at = blk.tagSets.indexOf(set);
  if (at < 0) blk.ex.bug(`tag set ${set.name} freed twice`);
  if (set.queues.length > 0) blk.ex.bug(`tag set ${set.name} freed while ${set.queues.length} queues use it`);
  blk.tagSets.splice(at, 1);
  for (let i = 0; i < set.tags.length; i++) {
    const tags = set.tags[i];
    const busy = tagsBusy(tags);
    if (busy > 0) blk.kernel.live.add('tags', tags.name, busy);
    for (const rq of tags.staticRqs) set.ops.exitRequest?.(set, rq, i);
  }
  set.tags.length = 0;
});

/** Changes the number of hardware queues while every queue of the set stands still. @kernel block/blk-mq.c blk_mq_update_nr_hw_queues */
export const updateNrHwQueues = traced(
  'blk_mq_update_nr_hw_queues',
  async (set: TagSet, nrHwQueues: number): Promise<void> => {
    const count = set.nrMaps === 1 ? Math.min(nrHwQueues, set.kernel.nrCpus) : nrHwQueues;
    if (count < 1) return;
    if (set.nrMaps === 1 && count === set.nrHwQueues) return;
    const queues = [...set.queues];
    for (const q of queues) await blkMqFreezeQueue(q);
    set.nrHwQueues = count;
    while (set.tags.length < count) set.tags.push(makeTags(set, set.tags.length));
    updateQueueMap(set);
    for (const q of queues) reallocHwCtxs(q);
    for (const q of queues) blkMqUnfreezeQueue(q);
  },
);
