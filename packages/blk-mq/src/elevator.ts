/**
 * I/O schedulers: which there are, which one a queue uses, and changing it.
 * Kernel counterpart: block/elevator.c.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import type { Blk } from './blk.js';
import { blkMqFreezeQueue, blkMqUnfreezeQueue } from './freeze.js';
import { setNrRequests } from './nr-requests.js';
import { BLK_MQ_F_NO_SCHED, type IoSchedulerType } from './ports.js';
import type { Queue } from './queue.js';
import { defaultSchedDepth, freeSchedTags } from './sched-tags.js';

/** Makes a scheduler known; a name that is taken is EBUSY. @kernel block/elevator.c elv_register */
export function registerScheduler(blk: Blk, type: IoSchedulerType): void {
  if (type.name === 'none') return;
  if (blk.schedulers.has(type.name)) throw new KernelError('EBUSY', `I/O scheduler ${type.name}`);
  blk.schedulers.set(type.name, type);
}

/** One hardware queue: mq-deadline, several: none. @kernel block/elevator.c elevator_get_default */
export const elevatorInitMq = traced('elevator_init_mq', async (q: Queue): Promise<void> => {
  if (
    !q.blk.era.schedulers ||
    q.elevator !== null ||
    (q.tagSet.flags & BLK_MQ_F_NO_SCHED) !== 0 ||
    q.tagSet.nrHwQueues !== 1
  )
    return;
  const type = q.blk.schedulers.get('mq-deadline');
  if (type === undefined) return;
  await blkMqFreezeQueue(q);
  setElevator(q, type);
  blkMqUnfreezeQueue(q);
});

/** Changes the scheduler while the queue stands still. Throws EINVAL for an unknown name. @kernel block/elevator.c elevator_switch */
export const elevatorSwitch = traced('elevator_switch', async (q: Queue, name: string): Promise<void> => {
  // Whatever is asked for, there is none to switch to.
  if (!q.blk.era.schedulers) return;
  const type = name === 'none' ? null : q.blk.schedulers.get(name);
  if (type === undefined || (type !== null && (q.tagSet.flags & BLK_MQ_F_NO_SCHED) !== 0))
    throw new KernelError('EINVAL', `I/O scheduler ${name}`);
  if (q.scheduler === name) return;
  // Without a scheduler the driver's tags, which belong to every queue of the set, are as many as they can be.
  const queues = type === null ? [...q.tagSet.queues] : [q];
  for (const one of queues) await blkMqFreezeQueue(one);
  setElevator(q, type);
  for (const one of queues) blkMqUnfreezeQueue(one);
});

/** With the queue standing still. @kernel block/blk-mq-sched.c blk_mq_init_sched */
function setElevator(q: Queue, type: IoSchedulerType | null): void {
  freeSchedTags(q);
  q.elevator = type === null ? null : type.create(q);
  setNrRequests(q, type === null ? q.tagSet.queueDepth : defaultSchedDepth(q));
}

/** `[none] mq-deadline `: Linux ends the list with a space; without schedulers it is a word. @kernel block/elevator.c elv_iosched_show */
export function elevatorList(q: Queue): string {
  if (!q.blk.era.schedulers) return 'none';
  const names = ['none'];
  if ((q.tagSet.flags & BLK_MQ_F_NO_SCHED) === 0) names.push(...q.blk.schedulers.keys());
  return names.map((name) => (name === q.scheduler ? `[${name}] ` : `${name} `)).join('');
}
