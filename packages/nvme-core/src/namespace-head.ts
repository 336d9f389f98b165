/**
 * What identifies a namespace within its subsystem, and the checks that no two are confused.
 * Kernel counterpart: drivers/nvme/host/nvme.h nvme_ns_head, nvme_ns_ids; core.c nvme_subsys_check_duplicate_ids.
 */
import { KernelError, traced, withMutex } from '@nvme-stack/kernel';
import type { CoreState } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog, ctrlWarnOnce } from './log.js';
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
  /** What Identify Namespace said, where the kernel asks once only. */
  identified: IdNs | null;
}

/** @kernel drivers/nvme/host/nvme.h nvme_ns_head */
export class NsHead {
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
  /** Namespaces (paths) that use it. */
  paths: number;

  constructor(subsys: Subsystem, info: NsInfo) {
    this.subsys = subsys;
    this.nsid = info.nsid;
    this.instance = subsys.nsInstances.alloc(1);
    this.ids = info.ids;
    this.shared = info.shared;
    this.passthruErrLogEnabled = false;
    this.nuseAtNs = -1;
    this.paths = 1;
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

/** @kernel drivers/nvme/host/core.c nvme_ns_ids_equal */
export function nvmeNsIdsEqual(a: NsIds, b: NsIds): boolean {
  return sameBytes(a.uuid, b.uuid) && sameBytes(a.nguid, b.nguid) && sameBytes(a.eui64, b.eui64) && a.csi === b.csi;
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

/** Finds or makes the head of a namespace. Throws EINVAL for identifiers that clash. Task context. @kernel drivers/nvme/host/core.c nvme_init_ns_head */
export async function nvmeInitNsHead(ctrl: Ctrl, info: NsInfo): Promise<NsHead> {
  const subsys = ctrl.subsys as Subsystem;
  if (await nvmeGlobalCheckDuplicateIds(ctrl.core, subsys, info.ids)) {
    ctrl.ops.printDeviceInfo(ctrl);
    ctrlLog(ctrl, 'err', `clearing duplicate IDs for nsid ${info.nsid}`);
    ctrlLog(ctrl, 'err', 'use of /dev/disk/by-id/ may cause data corruption');
    info.ids = { ...emptyIds(), csi: info.ids.csi };
    ctrl.quirks |= NVME_QUIRK_BOGUS_NID;
  }
  return await withMutex(subsys.lock, async () => {
    const found = subsys.heads.find((head) => head.nsid === info.nsid);
    return found === undefined ? addHead(ctrl, subsys, info) : shareHead(ctrl, found, info);
  });
}

function addHead(ctrl: Ctrl, subsys: Subsystem, info: NsInfo): NsHead {
  if (nvmeSubsysCheckDuplicateIds(subsys, info.ids)) {
    ctrlLog(ctrl, 'err', `duplicate IDs in subsystem for nsid ${info.nsid}`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  const head = new NsHead(subsys, info);
  subsys.heads.push(head);
  return head;
}

function shareHead(ctrl: Ctrl, head: NsHead, info: NsInfo): NsHead {
  if (!info.shared || !head.shared) {
    ctrlLog(ctrl, 'err', `Duplicate unshared namespace ${info.nsid}`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  if (!nvmeNsIdsEqual(head.ids, info.ids)) {
    ctrlLog(ctrl, 'err', `IDs don't match for shared namespace ${info.nsid}`);
    throw new KernelError('EINVAL', `${ctrl.name}: nsid ${info.nsid}`);
  }
  ctrlLog(ctrl, 'warn', `Found shared namespace ${info.nsid}, but multipathing not supported.`);
  ctrlWarnOnce(ctrl, 'shared', 'Shared namespace support requires core_nvme.multipath=Y.');
  head.paths++;
  return head;
}

/** @kernel drivers/nvme/host/core.c nvme_put_ns_head */
export function nvmePutNsHead(head: NsHead): void {
  head.paths--;
  if (head.paths > 0) return;
  head.subsys.heads.splice(head.subsys.heads.indexOf(head), 1);
  head.subsys.nsInstances.free(head.instance);
}
