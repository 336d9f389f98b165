/**
 * What identifies a namespace within its subsystem, and the checks that no two are confused.
 * Kernel counterpart: drivers/nvme/host/nvme.h nvme_ns_head, nvme_ns_ids; core.c nvme_subsys_check_duplicate_ids.
 */
import type { BioList, Gendisk } from '@nvme-stack/blk-mq/ports';
import type { Cdev, Device } from '@nvme-stack/device-core/ports';
import {
  type HasKernel,
  type Kernel,
  KernelError,
  Mutex,
  RateLimit,
  type Trace,
  traced,
  withMutex,
} from '@nvme-stack/kernel';
import { NVME_CTRL_CMIC_MULTI_CTRL } from '@nvme-stack/nvme-protocol';
import type { WorkStruct } from '@nvme-stack/workqueue/ports';
import type { CoreState } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog, ctrlWarnOnce } from './log.js';
import { nvmeRequeueWork } from './multipath/failover.js';
import { nvmeIsUniqueNsid, nvmeMpathAllocDisk } from './multipath/head-disk.js';
import { nvmeMpathRemoveDisk, nvmePartitionScanWork } from './multipath/head-live.js';
import { usesMultipath } from './multipath/io-policy.js';
import type { Ns } from './namespace.js';
import type { IdNs } from './namespace-update.js';
import { NVME_QUIRK_BOGUS_NID } from './ports.js';
import type { Subsystem } from './subsystem.js';

/** @kernel drivers/nvme/host/nvme.h nvme_ns_ids */
export interface NsIds {
  readonly eui64: Uint8Array;
  readonly nguid: Uint8Array;
  readonly uuid: Uint8Array;
  readonly csi: number;
}

/** What a scan found out about a namespace. @kernel drivers/nvme/host/core.c nvme_ns_info */
export interface NsInfo {
  readonly nsid: number;
  ids: NsIds;
  shared: boolean;
  readOnly: boolean;
  ready: boolean;
  removed: boolean;
  /** The group that says how well a controller reaches it. */
  anagrpid: number;
  /** What Identify Namespace said, where the kernel asks once only. */
  identified: IdNs | null;
}

/** @kernel drivers/nvme/host/nvme.h nvme_ns_head */
export class NsHead implements HasKernel {
  readonly kernel: Kernel;
  readonly core: CoreState;
  readonly subsys: Subsystem;
  readonly nsid: number;
  /** The number in its disk's name. */
  readonly instance: number;
  readonly ids: NsIds;
  readonly shared: boolean;
  /** Failed passthrough commands are logged. */
  passthruErrLogEnabled: boolean;
  /** When NUSE was last asked for; -1: never. */
  nuseAtNs: number;
  /** Namespaces and open files that use it. */
  refs: number;
  /** Its namespaces, one for each controller that has it: the paths. */
  readonly siblings: Ns[];
  /** The disk over all paths; null: each path's own is what the user sees. */
  disk: Gendisk | null;
  /** @kernel drivers/nvme/host/nvme.h NVME_NSHEAD_DISK_LIVE */
  diskLive: boolean;
  cdev: Cdev | null;
  cdevDevice: Device | null;
  readonly lock: Mutex;
  /** The path that was taken last, by NUMA node. */
  readonly currentPath: (Ns | null)[];
  /** Bios that wait for a path. */
  readonly requeueList: BioList;
  readonly requeueWork: WorkStruct;
  readonly partitionScanWork: WorkStruct;
  readonly requeueLimit: RateLimit;
  readonly failLimit: RateLimit;

  constructor(subsys: Subsystem, info: NsInfo) {
    const { core, kernel } = subsys;
    this.kernel = kernel;
    this.core = core;
    this.subsys = subsys;
    this.nsid = info.nsid;
    this.instance = subsys.nsInstances.alloc(1);
    this.ids = info.ids;
    this.shared = info.shared;
    this.passthruErrLogEnabled = false;
    this.nuseAtNs = -1;
    this.refs = 1;
    this.siblings = [];
    this.disk = null;
    this.diskLive = false;
    this.cdev = null;
    this.cdevDevice = null;
    this.lock = new Mutex(kernel, 'nvme_ns_head lock');
    this.currentPath = Array.from({ length: kernel.nrNodes }, () => null);
    this.requeueList = { head: null, tail: null };
    this.requeueWork = core.workqueues.initWork('nvme_requeue_work', this as NsHead, nvmeRequeueWork);
    this.partitionScanWork = core.workqueues.initWork(
      'nvme_partition_scan_work',
      this as NsHead,
      nvmePartitionScanWork,
    );
    this.requeueLimit = new RateLimit(kernel, 'nvme_ns_head_submit_bio');
    this.failLimit = new RateLimit(kernel, 'nvme_ns_head_submit_bio');
  }
}

/** No identifiers. */
export function emptyIds(): NsIds {
  return { eui64: new Uint8Array(8), nguid: new Uint8Array(16), uuid: new Uint8Array(16), csi: 0 };
}

/** Whether an identifier says nothing. */
export function isZero(id: Uint8Array): boolean {
  return id.every((byte) => byte === 0);
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function sameIds(a: NsIds, b: NsIds): boolean {
  return sameBytes(a.uuid, b.uuid) && sameBytes(a.nguid, b.nguid) && sameBytes(a.eui64, b.eui64) && a.csi === b.csi;
}

/** @kernel drivers/nvme/host/core.c nvme_ns_ids_equal */
export function nvmeNsIdsEqual(trace: Trace, a: NsIds, b: NsIds): boolean {
  if (trace.functions) trace.enter('nvme_ns_ids_equal');
  const same = sameIds(a, b);
  if (trace.functions) trace.exit();
  return same;
}

function clashes(subsys: Subsystem, ids: NsIds): boolean {
  const taken = (key: 'uuid' | 'nguid' | 'eui64') =>
    !isZero(ids[key]) && subsys.heads.some((head) => sameBytes(head.ids[key], ids[key]));
  return taken('uuid') || taken('nguid') || taken('eui64');
}

/** @kernel drivers/nvme/host/core.c nvme_subsys_check_duplicate_ids */
const nvmeSubsysCheckDuplicateIds = traced(
  'nvme_subsys_check_duplicate_ids',
  (subsys: Subsystem, ids: NsIds): boolean => clashes(subsys, ids),
);

/** @kernel drivers/nvme/host/core.c nvme_global_check_duplicate_ids */
async function nvmeGlobalCheckDuplicateIds(core: CoreState, mine: Subsystem, ids: NsIds): Promise<boolean> {
  return await withMutex(core.subsystemsLock, async () =>
    core.subsystems.some((subsys) => subsys !== mine && clashes(subsys, ids)),
  );
}

/** Finds or makes the head of a namespace, which is one of its paths then. Throws EINVAL for identifiers that clash. Task context. @kernel drivers/nvme/host/core.c nvme_init_ns_head */
export async function nvmeInitNsHead(ns: Ns, info: NsInfo): Promise<void> {
  const { ctrl } = ns;
  const subsys = ctrl.subsys as Subsystem;
  if (await nvmeGlobalCheckDuplicateIds(ctrl.core, subsys, info.ids)) duplicateElsewhere(ctrl, subsys, info);
  await withMutex(subsys.lock, async () => {
    const found = nvmeFindNsHead(ctrl, subsys, info);
    ns.head = found === null ? addHead(ctrl, subsys, info) : shareHead(ctrl, found, info);
    ns.head.siblings.push(ns);
  });
}

/** A shared namespace that is also elsewhere is refused; of another the identifiers are not believed. Throws EINVAL. */
function duplicateElsewhere(ctrl: Ctrl, subsys: Subsystem, info: NsInfo): void {
  ctrl.ops.printDeviceInfo(ctrl);
  if ((subsys.cmic & NVME_CTRL_CMIC_MULTI_CTRL) !== 0 && info.shared) {
    ctrlLog(ctrl, 'err', `ignoring nsid ${info.nsid} because of duplicate IDs`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  ctrlLog(ctrl, 'err', `clearing duplicate IDs for nsid ${info.nsid}`);
  ctrlLog(ctrl, 'err', 'use of /dev/disk/by-id/ may cause data corruption');
  info.ids = { ...emptyIds(), csi: info.ids.csi };
  ctrl.quirks |= NVME_QUIRK_BOGUS_NID;
}

/** An unshared namespace may have the identifier of another one, on another controller. @kernel drivers/nvme/host/core.c nvme_find_ns_head */
function nvmeFindNsHead(ctrl: Ctrl, subsys: Subsystem, info: NsInfo): NsHead | null {
  return subsys.heads.find((head) => head.nsid === info.nsid && nvmeIsUniqueNsid(ctrl, head)) ?? null;
}

/** @kernel drivers/nvme/host/core.c nvme_alloc_ns_head */
function addHead(ctrl: Ctrl, subsys: Subsystem, info: NsInfo): NsHead {
  if (nvmeSubsysCheckDuplicateIds(subsys, info.ids)) {
    ctrlLog(ctrl, 'err', `duplicate IDs in subsystem for nsid ${info.nsid}`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  const head = new NsHead(subsys, info);
  if (ctrl.core.era.multipath !== null) {
    try {
      nvmeMpathAllocDisk(ctrl, head);
    } catch (error) {
      subsys.nsInstances.free(head.instance);
      throw error;
    }
  }
  subsys.heads.push(head);
  return head;
}

function shareHead(ctrl: Ctrl, head: NsHead, info: NsInfo): NsHead {
  if (!info.shared || !head.shared) {
    ctrlLog(ctrl, 'err', `Duplicate unshared namespace ${info.nsid}`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  if (!nvmeNsIdsEqual(ctrl.kernel.trace, head.ids, info.ids)) {
    ctrlLog(ctrl, 'err', `IDs don't match for shared namespace ${info.nsid}`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  if (!usesMultipath(ctrl.core)) {
    ctrlLog(ctrl, 'warn', `Found shared namespace ${info.nsid}, but multipathing not supported.`);
    ctrlWarnOnce(
      ctrl,
      'shared',
      'Support for shared namespaces without CONFIG_NVME_MULTIPATH is deprecated and will be removed in Linux 6.0.',
    );
  }
  head.refs++;
  return head;
}

/** A namespace is no path any more; whether it was the last one, with which the head is forgotten. Task context. */
export async function leaveNsHead(ns: Ns): Promise<boolean> {
  const { head } = ns;
  const { subsys, siblings } = head;
  return await withMutex(subsys.lock, async () => {
    const at = siblings.indexOf(ns);
    if (at >= 0) siblings.splice(at, 1);
    if (siblings.length > 0) return false;
    const listed = subsys.heads.indexOf(head);
    if (listed >= 0) subsys.heads.splice(listed, 1);
    return true;
  });
}

/** Drops a reference; the last one frees the head and its disk. Task context. @kernel drivers/nvme/host/core.c nvme_put_ns_head */
export async function nvmePutNsHead(head: NsHead): Promise<void> {
  head.refs--;
  if (head.refs > 0) return;
  if (head.disk !== null) await nvmeMpathRemoveDisk(head);
  head.subsys.nsInstances.free(head.instance);
}
