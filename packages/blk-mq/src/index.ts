/**
 * The block layer: bios, requests, tags, schedulers, disks and partitions.
 *
 * @packageDocumentation
 */

import { bdevEndIoAcct, bdevStartIoAcct } from './account.js';
import { allocPassthrough, rqMapKern, rqMapPages, tryAllocPassthrough } from './alloc-request.js';
import { BioImpl, bioIoError } from './bio.js';
import { bioSplitToLimits } from './bio-based.js';
import { Blk, type BlkMqDeps } from './blk.js';
import { tagsetBusyIter, tagsetWaitCompletedRequest } from './busy-iter.js';
import {
  addToBatch,
  CompBatch,
  completeRequestAnywhere,
  completeRequestRemote,
  completeToBatch,
} from './complete-remote.js';
import { followCpus } from './cpu-hotplug.js';
import { bdevDiskChanged, deviceAddDisk, diskUevent, scanSuppressed } from './disk-add.js';
import { blkMarkDiskDead, delGendisk } from './disk-del.js';
import { runHwQueues } from './dispatch.js';
import { elevatorSwitch, registerScheduler } from './elevator.js';
import { endRequest, endRequestBatch, freeRequest, updateRequest } from './end-request.js';
import { executeRq, executeRqNowait } from './execute.js';
import * as freeze from './freeze.js';
import {
  allocBioDisk,
  allocDisk,
  BLOCK_EXT_MAJOR,
  commitLimits,
  type Disk,
  putDisk,
  setCapacityAndNotify,
  setDiskFlags,
  setDiskName,
  setDiskRo,
} from './gendisk.js';
import { bioIntegrityAttach } from './integrity/bio-integrity.js';
import { rqIntegrityMapKern, rqIntegrityVec } from './integrity/profile.js';
import { blkIntegrityPrepare } from './integrity/t10-pi.js';
import { stackingLimits, stackLimits } from './limits.js';
import { lookupNode } from './lookup.js';
import { rqMapSg } from './map-sg.js';
import { blkFinishPlug, blkStartPlug, type Plug } from './plug.js';
import { bioPoll } from './poll.js';
import type { BlkMq, BlkMqTagSet, Gendisk, Request, RequestQueue } from './ports.js';
import { showDiskstats, showPartitions } from './procfs.js';
import { blkSyncQueue, destroyQueue, initQueue, type Queue } from './queue.js';
import { blkMqHctxMapQueues, blkMqMapQueues } from './queue-map.js';
import type { RequestImpl } from './request.js';
import { delayKickRequeueList, kickRequeueList, requeueRequest, stealBios } from './requeue.js';
import { mqDeadlineType } from './schedulers/mq-deadline.js';
import { submitBio, submitBioNoacct, submitBioWait } from './submit.js';
import { allocTagSet, freeTagSet, type TagSet, updateNrHwQueues } from './tag-set.js';
import { setQueueTimeout, startRequest, startRequests } from './timeout.js';
import { traceRemap } from './trace-events.js';

export type { BlkMqDeps } from './blk.js';
export * from './ports.js';

const rqOf = (rq: Request): RequestImpl => rq as RequestImpl;
const qOf = (q: RequestQueue): Queue => q as Queue;
const setOf = (set: BlkMqTagSet): TagSet => set as TagSet;
const diskOf = (disk: Gendisk): Disk => disk as Disk;

type Part<K extends keyof BlkMq> = Pick<BlkMq, K>;

function tagSetsAndQueues(
  blk: Blk,
): Part<
  | 'blkMqAllocTagSet'
  | 'blkMqFreeTagSet'
  | 'blkMqUpdateNrHwQueues'
  | 'blkMqMapQueues'
  | 'blkMqHctxMapQueues'
  | 'blkMqAllocQueue'
  | 'blkMqDestroyQueue'
  | 'queueLimitsCommitUpdate'
  | 'setQueueTimeout'
  | 'blkSyncQueue'
  | 'blkMqTagsetBusyIter'
  | 'blkMqTagsetWaitCompletedRequest'
  | 'registerScheduler'
  | 'elevatorSwitch'
> {
  return {
    blkMqAllocTagSet: (init) => allocTagSet(blk, init),
    blkMqFreeTagSet: (set) => freeTagSet(setOf(set)),
    blkMqUpdateNrHwQueues: (set, count) => updateNrHwQueues(setOf(set), count),
    blkMqMapQueues: (map) => blkMqMapQueues(blk, map),
    blkMqHctxMapQueues: (map, dev, offset) => blkMqHctxMapQueues(blk, map, dev, offset),
    blkMqAllocQueue: (set, limits, queuedata) => initQueue(setOf(set), limits, queuedata),
    blkMqDestroyQueue: (q) => destroyQueue(qOf(q)),
    queueLimitsCommitUpdate: (q, limits) => commitLimits(qOf(q), limits),
    setQueueTimeout: (q, timeoutNs) => setQueueTimeout(qOf(q), timeoutNs),
    blkSyncQueue: (q) => blkSyncQueue(qOf(q)),
    blkMqTagsetBusyIter: (set, fn) => tagsetBusyIter(setOf(set), fn),
    blkMqTagsetWaitCompletedRequest: (set) => tagsetWaitCompletedRequest(setOf(set)),
    registerScheduler: (type) => registerScheduler(blk, type),
    elevatorSwitch: (q, name) => elevatorSwitch(qOf(q), name),
  };
}

function diskPart(
  blk: Blk,
): Part<
  | 'blkMqAllocDisk'
  | 'setDiskName'
  | 'setCapacityAndNotify'
  | 'setDiskRo'
  | 'deviceAddDisk'
  | 'delGendisk'
  | 'blkMarkDiskDead'
  | 'putDisk'
  | 'lookup'
  | 'bdevDiskChanged'
  | 'scanSuppressed'
  | 'blkAllocDisk'
  | 'setDiskFlags'
  | 'setQueuePoll'
  | 'diskUevent'
  | 'blkSetStackingLimits'
  | 'blkStackLimits'
> {
  return {
    blkMqAllocDisk: (set, limits, queuedata) => allocDisk(setOf(set), limits, queuedata),
    setDiskName: (disk, name, ops, priv) => setDiskName(diskOf(disk), name, ops, priv),
    setCapacityAndNotify: (disk, sectors) => setCapacityAndNotify(diskOf(disk), sectors),
    setDiskRo: (disk, readOnly) => setDiskRo(diskOf(disk), readOnly),
    deviceAddDisk: (parent, disk, groups) => deviceAddDisk(diskOf(disk), parent, groups),
    delGendisk: (disk) => delGendisk(diskOf(disk)),
    blkMarkDiskDead: (disk) => blkMarkDiskDead(diskOf(disk)),
    putDisk: (disk) => putDisk(diskOf(disk)),
    lookup: (name) => lookupNode(blk, name),
    bdevDiskChanged: (disk) => bdevDiskChanged(diskOf(disk)),
    scanSuppressed: (disk) => scanSuppressed(diskOf(disk)),
    blkAllocDisk: (limits, numaNode) => allocBioDisk(blk, limits, numaNode),
    setDiskFlags: (disk, flags) => setDiskFlags(diskOf(disk), flags),
    setQueuePoll: (q, canPoll) => {
      qOf(q).pollsBelow = canPoll;
    },
    diskUevent: (disk, action) => diskUevent(diskOf(disk), action),
    blkSetStackingLimits: stackingLimits,
    blkStackLimits: stackLimits,
  };
}

function biosAndPlugs(
  blk: Blk,
): Part<
  | 'allocBio'
  | 'submitBio'
  | 'submitBioWait'
  | 'bioPoll'
  | 'writesArePlugged'
  | 'writeHints'
  | 'blkStartPlug'
  | 'blkFinishPlug'
> {
  return {
    allocBio: (maxVecs) => new BioImpl(maxVecs),
    submitBio: (bio) => submitBio(blk, bio as BioImpl),
    submitBioWait: (bio) => submitBioWait(blk, bio as BioImpl),
    bioPoll: (bio) => bioPoll(blk, bio as BioImpl),
    writesArePlugged: blk.era.writesArePlugged,
    writeHints: blk.era.writeHints,
    blkStartPlug: () => blkStartPlug(blk),
    blkFinishPlug: (plug) => blkFinishPlug(blk, plug as Plug),
  };
}

function bioBased(
  blk: Blk,
): Part<
  | 'submitBioNoacct'
  | 'bioSplitToLimits'
  | 'bioIoError'
  | 'traceBlockBioRemap'
  | 'blkStealBios'
  | 'bdevStartIoAcct'
  | 'bdevEndIoAcct'
  | 'kblockdScheduleWork'
> {
  return {
    submitBioNoacct: (bio) => submitBioNoacct(blk, bio as BioImpl),
    bioSplitToLimits: (bio) => bioSplitToLimits(blk, bio as BioImpl),
    bioIoError: (bio) => bioIoError(blk, bio as BioImpl),
    traceBlockBioRemap: (bio, from) => traceRemap(blk, bio, from),
    blkStealBios: (list, rq) => stealBios(list, rqOf(rq)),
    bdevStartIoAcct: (disk, op) => bdevStartIoAcct(diskOf(disk), op),
    bdevEndIoAcct: (disk, op, sectors, startNs) => bdevEndIoAcct(diskOf(disk), op, sectors, startNs),
    kblockdScheduleWork: (work) => blk.workqueues.queueWork(blk.kblockd, work),
  };
}

function requests(
  blk: Blk,
): Part<
  | 'blkMqAllocRequest'
  | 'blkMqTryAllocRequest'
  | 'blkMqFreeRequest'
  | 'blkRqMapKern'
  | 'blkRqMapPages'
  | 'blkRqIntegrityMapKern'
  | 'rqIntegrityVec'
  | 'blkIntegrityPrepare'
  | 'bioIntegrityAttach'
  | 'blkExecuteRq'
  | 'blkExecuteRqNowait'
  | 'blkMqStartRequest'
  | 'blkMqStartRequests'
  | 'blkMqCompleteRequestRemote'
  | 'blkMqCompleteRequest'
  | 'blkMqAddToBatch'
  | 'blkMqCompleteToBatch'
  | 'blkMqEndRequest'
  | 'blkMqEndRequestBatch'
  | 'blkUpdateRequest'
  | 'blkMqRequeueRequest'
  | 'blkMqDelayKickRequeueList'
  | 'blkMqKickRequeueList'
  | 'blkMqRunHwQueues'
  | 'ioCompBatch'
  | 'blkRqMapSg'
> {
  return {
    blkMqAllocRequest: (q, opf, flags) => allocPassthrough(qOf(q), opf, flags),
    blkMqTryAllocRequest: (q, opf, flags) => tryAllocPassthrough(qOf(q), opf, flags),
    blkMqFreeRequest: (rq) => freeRequest(blk, rqOf(rq)),
    blkRqMapKern: (rq, addr, length) => rqMapKern(rqOf(rq), addr, length),
    blkRqMapPages: (rq, addrs, lengths) => rqMapPages(rqOf(rq), addrs, lengths),
    blkRqIntegrityMapKern: (rq, addr, length, seed) => rqIntegrityMapKern(rqOf(rq), addr, length, seed),
    rqIntegrityVec: (rq) => rqIntegrityVec(rqOf(rq)),
    blkIntegrityPrepare: (rq) => blkIntegrityPrepare(blk, rqOf(rq)),
    bioIntegrityAttach: (bio, payload) => bioIntegrityAttach(blk, bio, payload),
    blkExecuteRq: (rq, atHead) => executeRq(rqOf(rq), atHead),
    blkExecuteRqNowait: (rq, atHead) => executeRqNowait(rqOf(rq), atHead),
    blkMqStartRequest: (rq) => startRequest(blk, rqOf(rq)),
    blkMqStartRequests: (list) => startRequests(blk, rqOf(list)),
    blkMqCompleteRequestRemote: (rq) => completeRequestRemote(blk, rqOf(rq)),
    blkMqCompleteRequest: (rq) => completeRequestAnywhere(blk, rqOf(rq)),
    blkMqAddToBatch: addToBatch,
    blkMqCompleteToBatch: (list, iob, complete) => completeToBatch(blk, rqOf(list), iob, complete),
    blkMqEndRequest: (rq, status) => endRequest(blk, rqOf(rq), status),
    blkMqEndRequestBatch: (iob) => endRequestBatch(blk, iob),
    blkUpdateRequest: (rq, status, bytes) => updateRequest(blk, rqOf(rq), status, bytes),
    blkMqRequeueRequest: (rq, kick) => requeueRequest(blk, rqOf(rq), kick),
    blkMqDelayKickRequeueList: (q, delayNs) => delayKickRequeueList(qOf(q), delayNs),
    blkMqKickRequeueList: (q) => kickRequeueList(qOf(q)),
    blkMqRunHwQueues: (q) => runHwQueues(qOf(q), false),
    ioCompBatch: () => new CompBatch(),
    blkRqMapSg: (rq, sg) => rqMapSg(blk, rqOf(rq), sg),
  };
}

function stopping(): Part<
  | 'blkMqQuiesceQueueNowait'
  | 'blkMqUnquiesceQueue'
  | 'blkMqQuiesceTagset'
  | 'blkMqUnquiesceTagset'
  | 'blkFreezeQueueStart'
  | 'blkMqFreezeQueue'
  | 'blkMqFreezeQueueWait'
  | 'blkMqFreezeQueueWaitTimeout'
  | 'blkMqUnfreezeQueue'
> {
  return {
    blkMqQuiesceQueueNowait: (q) => freeze.blkMqQuiesceQueueNowait(qOf(q)),
    blkMqUnquiesceQueue: (q) => freeze.blkMqUnquiesceQueue(qOf(q)),
    blkMqQuiesceTagset: (set) => freeze.blkMqQuiesceTagset(setOf(set)),
    blkMqUnquiesceTagset: (set) => freeze.blkMqUnquiesceTagset(setOf(set)),
    blkFreezeQueueStart: (q) => freeze.blkFreezeQueueStart(qOf(q)),
    blkMqFreezeQueue: (q) => freeze.blkMqFreezeQueue(qOf(q)),
    blkMqFreezeQueueWait: (q) => freeze.blkMqFreezeQueueWait(qOf(q)),
    blkMqFreezeQueueWaitTimeout: (q, timeoutNs) => freeze.blkMqFreezeQueueWaitTimeout(qOf(q), timeoutNs),
    blkMqUnfreezeQueue: (q) => freeze.blkMqUnfreezeQueue(qOf(q)),
  };
}

/** Makes the block layer of one machine; no task need run. @kernel block/genhd.c genhd_device_init */
export function createBlkMq(deps: BlkMqDeps): BlkMq {
  const blk = new Blk(deps);
  const { kernel, deviceCore } = deps;
  kernel.trace.renameSymbols(blk.era.symbols);
  deviceCore.classRegister(blk.blockClass);
  deviceCore.classRegister(blk.bdiClass);
  const major = deviceCore.registerBlkdev('blkext');
  if (major !== BLOCK_EXT_MAJOR) kernel.printk.print('warn', `blkext: block major ${BLOCK_EXT_MAJOR} was taken`);
  blk.blockDir = deviceCore.kobjectCreate('block', null, false);
  kernel.procfs.register('/proc/partitions', () => showPartitions(blk));
  kernel.procfs.register('/proc/diskstats', () => showDiskstats(blk));
  registerScheduler(blk, mqDeadlineType);
  followCpus(blk);
  return {
    kernel,
    disks: blk.disks,
    blkDevInit: () => {
      blk.initKblockd();
      blk.integrity.initWorkqueue(blk);
    },
    ...tagSetsAndQueues(blk),
    ...diskPart(blk),
    ...biosAndPlugs(blk),
    ...bioBased(blk),
    ...requests(blk),
    ...stopping(),
  };
}
