/**
 * Hardware queues whose last CPU goes off: they take no new request, wait for those they have, and rest until one of
 * their CPUs is back. Meanwhile the queue of another CPU serves.
 * Kernel counterpart: block/blk-mq.c (blk_mq_hctx_notify_offline, _online, _dead; blk_softirq_cpu_dead).
 */
import {
  CPUHP_AP_BLK_MQ_ONLINE,
  CPUHP_BLK_MQ_DEAD,
  CPUHP_BLOCK_SOFTIRQ_DEAD,
  complete,
  msleep,
  traced,
} from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import { runHwQueue } from './dispatch.js';
import type { HwCtx, SwCtx } from './hw-ctx.js';
import { HCTX_MAX_TYPES } from './ports.js';
import type { Queue } from './queue.js';
import { mappedHctx } from './queue-map.js';
import { giveTags, hctxType, tagsFor } from './submit.js';
import { parkForTag, type Tags, tagInUse, tagsBusy, unparkFirst } from './tags.js';

/** Called once, when the block layer is made. */
export function followCpus(blk: Blk): void {
  const { cpus } = blk.kernel;
  cpus.register({
    name: 'block/mq:online',
    state: CPUHP_AP_BLK_MQ_ONLINE,
    startup: (cpu) => eachQueue(blk, (q) => notifyOnline(q, cpu)),
    teardown: async (cpu) => {
      // Looked up anew after each wait: queues come and go meanwhile.
      const next = (): HwCtx | undefined => hctxsOf(blk, cpu).find((hctx) => !hctx.inactive && isLastCpu(hctx, cpu));
      for (let hctx = next(); hctx !== undefined; hctx = next()) await notifyOffline(hctx, cpu);
    },
  });
  cpus.register({
    name: 'block/mq:dead',
    state: CPUHP_BLK_MQ_DEAD,
    teardown: (cpu) => {
      for (const hctx of hctxsOf(blk, cpu)) notifyDead(hctx, cpu);
    },
  });
  cpus.register({
    name: 'block/softirq:dead',
    state: CPUHP_BLOCK_SOFTIRQ_DEAD,
    teardown: (cpu) => softirqCpuDead(blk, cpu),
  });
}

function eachQueue(blk: Blk, fn: (q: Queue) => void): void {
  for (const set of blk.tagSets) for (const q of set.queues) fn(q);
}

/** The hardware queues a CPU leads to, as they are now. */
function hctxsOf(blk: Blk, cpu: number): HwCtx[] {
  const found: HwCtx[] = [];
  eachQueue(blk, ({ hctxs }) => found.push(...hctxs.filter((hctx) => hctx.cpus.includes(cpu))));
  return found;
}

/** @kernel block/blk-mq.c blk_mq_hctx_has_online_cpu */
function isLastCpu({ cpus, kernel }: HwCtx, cpu: number): boolean {
  return cpus.every((other) => other === cpu || !kernel.cpus.isOnline(other));
}

/** @kernel block/blk-mq.c blk_mq_hctx_notify_offline */
const notifyOffline = traced('blk_mq_hctx_notify_offline', async (hctx: HwCtx, cpu: number): Promise<void> => {
  const { queue } = hctx;
  const standIn = queue.ctxs[hctx.kernel.cpus.onlineCpus().find((other) => other !== cpu) as number];
  hctx.inactive = true;
  // Whoever still comes from its CPUs is led past it: no submission has to ask whether its queue is active.
  for (const { hctxs } of queue.ctxs) {
    for (let type = 0; type < HCTX_MAX_TYPES; type++) if (hctxs[type] === hctx) hctxs[type] = standIn.hctxs[type];
  }
  releaseWaiters(hctx, standIn);
  while (!hctx.exited && hasRequests(hctx)) await msleep(hctx, 5);
});

/** Those that wait for a tag of it wait for one of another queue. */
function releaseWaiters({ tags, schedTags, queue: { blk } }: HwCtx, standIn: SwCtx): void {
  releaseWaitersOf(blk, tags, standIn);
  if (schedTags !== null) releaseWaitersOf(blk, schedTags, standIn);
}

function releaseWaitersOf(blk: Blk, tags: Tags, standIn: SwCtx): void {
  // Tasks look again for a queue; those of other queues of the set may find this one once more.
  for (const waiter of tags.waitingTasks.splice(0)) complete(waiter.granted);
  const others = new Set<Tags>();
  for (let left = countWaiting(tags); left > 0; left--) {
    const bio = unparkFirst(tags);
    if (bio === null) break;
    if (bio.waitHctx?.inactive === true) {
      bio.waitHctx = bio.waitHctx.queue.ctxs[standIn.cpu].hctxs[hctxType(bio.opf)];
      const other = tagsFor(bio.waitHctx, bio);
      others.add(other);
      parkForTag(other, bio);
    } else {
      parkForTag(tags, bio);
    }
  }
  for (const other of others) giveTags(blk, other);
}

function countWaiting(tags: Tags): number {
  let count = 0;
  for (let bio = tags.waitHead; bio !== null; bio = bio.next) count++;
  return count;
}

/** @kernel block/blk-mq.c blk_mq_hctx_has_requests */
function hasRequests(hctx: HwCtx): boolean {
  const { tags, schedTags } = hctx;
  if (schedTags !== null && tagsBusy(schedTags) > 0) return true;
  for (let tag = 0; tag < tags.nrTags; tag++) {
    if (tagInUse(tags, tag) && tags.rqs[tag].mqHctx === hctx) return true;
  }
  return false;
}

/** @kernel block/blk-mq.c blk_mq_hctx_notify_online */
function notifyOnline(q: Queue, cpu: number): void {
  const ctx = q.ctxs[cpu];
  for (let type = 0; type < HCTX_MAX_TYPES; type++) {
    const hctx = mappedHctx(q, cpu, type);
    hctx.inactive = false;
    ctx.hctxs[type] = hctx;
  }
}

/** What a CPU put into its software queues goes to the driver from elsewhere. @kernel block/blk-mq.c blk_mq_hctx_notify_dead */
const notifyDead = traced('blk_mq_hctx_notify_dead', (hctx: HwCtx, cpu: number): void => {
  const list = hctx.queue.none.takeFrom(hctx, cpu);
  if (list.count === 0) return;
  hctx.dispatch.append(list);
  runHwQueue(hctx, true);
});

/** Completions on their way to the CPU end on this one. @kernel block/blk-mq.c blk_softirq_cpu_dead */
function softirqCpuDead({ ex, done }: Blk, cpu: number): void {
  const dead = done[cpu];
  ex.disarm(dead.ipi);
  ex.disarm(dead.softirq);
  if (dead.list.count === 0) return;
  const here = done[ex.cpu];
  here.list.append(dead.list);
  ex.post(here.softirq);
}
