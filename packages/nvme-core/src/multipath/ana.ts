/**
 * Asymmetric Namespace Access: what the controller says of its groups, and what follows for the paths.
 * Kernel counterpart: drivers/nvme/host/multipath.c nvme_read_ana_log, nvme_parse_ana_log, nvme_update_ana_state.
 * [NVMe] 8.1.1.
 */
import type { Attribute } from '@nvme-stack/device-core/ports';
import {
  delTimerSync,
  Errno,
  KernelError,
  Mutex,
  modTimer,
  type Timer,
  timerSetup,
  traced,
  withMutex,
} from '@nvme-stack/kernel';
import {
  NVME_ANA_CHANGE,
  NVME_ANA_INACCESSIBLE,
  NVME_ANA_NONOPTIMIZED,
  NVME_ANA_OPTIMIZED,
  NVME_ANA_PERSISTENT_LOSS,
  NVME_CSI_NVM,
  NVME_CTRL_CMIC_ANA,
  NVME_LOG_ANA,
  NVME_NSID_ALL,
  NvmeAnaGroupDesc,
  NvmeAnaRspHdr,
} from '@nvme-stack/nvme-protocol';
import type { WorkStruct } from '@nvme-stack/workqueue/ports';
import { nvmeWq } from '../core.js';
import type { Ctrl } from '../ctrl.js';
import { ctrlLog } from '../log.js';
import type { Ns } from '../namespace.js';
import { NVME_CTRL_LIVE } from '../ports.js';
import { nvmeResetCtrl } from '../state.js';
import { getLog } from '../sync-command.js';
import { nvmeMpathSetLive } from './head-live.js';
import { usesMultipath } from './io-policy.js';

export const ANA_HEADER_BYTES = 16;
export const ANA_GROUP_BYTES = 32;
export const ANA_NSID_BYTES = 4;
const NS_PER_SECOND = 1e9;

const STATE_NAMES: { readonly [state: number]: string | undefined } = {
  0: 'invalid state',
  [NVME_ANA_OPTIMIZED]: 'optimized',
  [NVME_ANA_NONOPTIMIZED]: 'non-optimized',
  [NVME_ANA_INACCESSIBLE]: 'inaccessible',
  [NVME_ANA_PERSISTENT_LOSS]: 'persistent-loss',
  [NVME_ANA_CHANGE]: 'change',
};

/** A controller's part in it. @kernel drivers/nvme/host/nvme.h nvme_ctrl (ana_*) */
export class AnaState {
  /** The log as it was read last; null: there is none. */
  log: Uint8Array | null = null;
  logBytes = 0;
  /** ANATT, seconds; NANAGRPID and ANAGRPMAX. */
  transitionSeconds = 0;
  groups = 0;
  largestGroup = 0;
  readonly lock: Mutex;
  readonly timer: Timer;
  readonly work: WorkStruct;

  constructor(ctrl: Ctrl) {
    this.lock = new Mutex(ctrl.kernel, `${ctrl.name} ana_lock`);
    this.timer = timerSetup(ctrl.kernel, 'anatt_timer', nvmeAnattTimeout, ctrl);
    this.work = ctrl.core.workqueues.initWork('nvme_ana_work', ctrl, nvmeAnaWork);
  }
}

/** @kernel drivers/nvme/host/nvme.h nvme_ctrl_use_ana */
export function nvmeCtrlUseAna(ctrl: Ctrl): boolean {
  return ctrl.ana.log !== null;
}

/** Whether the subsystem has it, and this kernel cares. */
export function isAnaWanted(ctrl: Ctrl): boolean {
  return usesMultipath(ctrl.core) && ctrl.subsys !== null && (ctrl.subsys.cmic & NVME_CTRL_CMIC_ANA) !== 0;
}

/** A group of the log. */
interface AnaGroup {
  readonly grpid: number;
  readonly state: number;
  readonly nsids: readonly number[];
}

/** The groups up to the first that cannot be; EINVAL as a negative errno beside them then. Under ana_lock. @kernel drivers/nvme/host/multipath.c nvme_parse_ana_log */
function nvmeParseAnaLog({ ana, kernel }: Ctrl): { readonly groups: AnaGroup[]; readonly error: number } {
  const groups: AnaGroup[] = [];
  const { log } = ana;
  if (log === null) return { groups, error: 0 };
  const view = new DataView(log.buffer, log.byteOffset, log.byteLength);
  const count = NvmeAnaRspHdr.decode(log.subarray(0, ANA_HEADER_BYTES)).ngrps;
  let at = ANA_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const fits = at + ANA_GROUP_BYTES <= log.length;
    const desc = NvmeAnaGroupDesc.decode(
      fits ? log.subarray(at, at + ANA_GROUP_BYTES) : new Uint8Array(ANA_GROUP_BYTES),
    );
    at += ANA_GROUP_BYTES;
    const isSane = desc.grpid !== 0 && desc.grpid <= ana.largestGroup && desc.state !== 0;
    if (!isSane || desc.state > NVME_ANA_CHANGE || at + desc.nnsids * ANA_NSID_BYTES > log.length) {
      kernel.printk.print('warn', 'WARNING: nvme_parse_ana_log of a log that cannot be');
      return { groups, error: -Errno.EINVAL };
    }
    const nsids: number[] = [];
    for (let n = 0; n < desc.nnsids; n++, at += ANA_NSID_BYTES) nsids.push(view.getUint32(at, true));
    groups.push({ grpid: desc.grpid, state: desc.state, nsids });
  }
  return { groups, error: 0 };
}

function isLiveState(state: number): boolean {
  return state === NVME_ANA_OPTIMIZED || state === NVME_ANA_NONOPTIMIZED;
}

/** A path is what its group is. Until the controller is live nothing is sent: nvme_mpath_update comes back then. Task context. @kernel drivers/nvme/host/multipath.c nvme_update_ns_ana_state */
async function nvmeUpdateNsAnaState(ns: Ns, { grpid, state }: AnaGroup): Promise<void> {
  ns.anaGrpid = grpid;
  ns.anaState = state;
  ns.anaPending = false;
  if (isLiveState(state) && ns.ctrl.state === NVME_CTRL_LIVE) await nvmeMpathSetLive(ns);
}

/** Takes over every group of the log as it is; returns how many are changing, or a negative errno. Under ana_lock. @kernel drivers/nvme/host/multipath.c nvme_update_ana_state */
async function updateAnaState(ctrl: Ctrl): Promise<number> {
  const { groups, error } = nvmeParseAnaLog(ctrl);
  let changing = 0;
  for (const group of groups) {
    if (group.state === NVME_ANA_CHANGE) changing++;
    for (const ns of [...ctrl.namespaces] as Ns[]) {
      if (group.nsids.includes(ns.nsid)) await nvmeUpdateNsAnaState(ns, group);
    }
  }
  return error < 0 ? error : changing;
}

/** Reads the log and does what it says; NVMe status, or a negative errno. Task context. @kernel drivers/nvme/host/multipath.c nvme_read_ana_log */
export const nvmeReadAnaLog = traced('nvme_read_ana_log', async (ctrl: Ctrl): Promise<number> => {
  const { ana } = ctrl;
  return await withMutex(ana.lock, async () => {
    const { status, data } = await getLog(ctrl, NVME_NSID_ALL, NVME_LOG_ANA, NVME_CSI_NVM, ana.logBytes);
    if (status !== 0) {
      ctrlLog(ctrl, 'warn', `Failed to get ANA log: ${status}`);
      return status;
    }
    ana.log = data;
    const changing = await updateAnaState(ctrl);
    if (changing < 0) return changing;
    // Twice as long as the controller promised, for what lies between.
    if (changing > 0) modTimer(ana.timer, ctrl.kernel.ex.now() + ana.transitionSeconds * 2 * NS_PER_SECOND);
    else delTimerSync(ana.timer);
    return 0;
  });
});

/** The work. @kernel drivers/nvme/host/multipath.c nvme_ana_work */
const nvmeAnaWork = traced('nvme_ana_work', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.state === NVME_CTRL_LIVE) await nvmeReadAnaLog(ctrl);
});

/** What the log said already, now that the controller is live. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_update */
export const nvmeMpathUpdate = traced('nvme_mpath_update', async (ctrl: Ctrl): Promise<void> => {
  if (ctrl.ana.log === null) return;
  await withMutex(ctrl.ana.lock, async () => await updateAnaState(ctrl));
});

/** A group changes for longer than it may. @kernel drivers/nvme/host/multipath.c nvme_anatt_timeout */
function nvmeAnattTimeout(ctrl: Ctrl): void {
  ctrlLog(ctrl, 'info', 'ANATT timeout, resetting controller.');
  try {
    nvmeResetCtrl(ctrl);
  } catch (error) {
    if (!KernelError.is(error)) throw error;
  }
}

/** The namespace's state as the log that was read has it; read again when its group is not in it. Task context. @kernel drivers/nvme/host/multipath.c nvme_mpath_add_disk */
export async function setNsAnaState(ns: Ns, grpid: number): Promise<void> {
  const { ctrl } = ns;
  ns.anaGrpid = grpid;
  const group = await withMutex(ctrl.ana.lock, async () =>
    nvmeParseAnaLog(ctrl).groups.find((candidate) => candidate.grpid === grpid),
  );
  if (group !== undefined) {
    await nvmeUpdateNsAnaState(ns, group);
    return;
  }
  ns.anaPending = true;
  ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.ana.work);
}

/** Attributes of a path; not of a head. @kernel drivers/nvme/host/multipath.c ana_grpid_show, ana_state_show */
export function anaFiles(ns: Ns): Attribute[] {
  const file = (name: string, text: () => string | number): Attribute => ({
    name,
    mode: 0o444,
    show: () => `${text()}\n`,
  });
  return [file('ana_grpid', () => ns.anaGrpid), file('ana_state', () => STATE_NAMES[ns.anaState] ?? 'reserved')];
}
