/**
 * Identifying a controller and taking over what it says.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_identify_ctrl, nvme_init_identify, nvme_init_non_mdts_limits.
 * [NVMe] 5.1.13.
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import {
  CAP,
  NVME_CSI_NVM,
  NVME_CTRL_ONCS_WRITE_ZEROES,
  NVME_ID_CNS_CS_CTRL,
  NVME_ID_CNS_CTRL,
  NVME_VS,
  NvmeIdCtrl,
  NvmeIdCtrlNvm,
} from '@nvme-stack/nvme-protocol';
import { addCoreQuirks } from './core-quirks.js';
import type { Ctrl } from './ctrl.js';
import { nvmeInitEffects } from './effects.js';
import { nvmeSetQueueLimits } from './limits.js';
import { ctrlLog } from './log.js';
import { nvmeMpathInitIdentify } from './multipath/init-ctrl.js';
import { NVME_QUIRK_IDENTIFY_CNS, NVME_QUIRK_NO_APST, NVME_QUIRK_NO_DEEPEST_PS } from './ports.js';
import { type IdCtrl, nvmeInitSubsystem } from './subsystem.js';
import { identify } from './sync-command.js';

const NS_PER_SECOND = 1e9;
const US_PER_SECOND = 1e6;
/** A device may ask for at most so long a shutdown, seconds. */
const MAX_SHUTDOWN_TIMEOUT = 60;
const SECTOR_SHIFT = 9;
const MPS_BASE_SHIFT = 12;
/** "No limit" of 32-bit limits. */
export const UINT_MAX = 0xffffffff;

/** Identify Controller; logs and returns null when it fails. @kernel drivers/nvme/host/core.c nvme_identify_ctrl */
export const nvmeIdentifyCtrl = traced('nvme_identify_ctrl', async (ctrl: Ctrl): Promise<IdCtrl | null> => {
  const { status, data } = await identify(ctrl, NVME_ID_CNS_CTRL);
  if (status === 0) return NvmeIdCtrl.decode(data);
  ctrlLog(ctrl, 'err', `Identify Controller failed (${status})`);
  return null;
});

/** Whether this version of controller knows a CNS value. [NVMe] 1.0, 1.1, 1.2 5.x Identify. @kernel drivers/nvme/host/core.c nvme_id_cns_ok */
export function nvmeIdCnsOk(ctrl: Ctrl, cns: number): boolean {
  const isExempt = ctrl.core.era.identifyCnsQuirkBelow12;
  if (ctrl.vs >= NVME_VS(1, 2, 0) && (isExempt || (ctrl.quirks & NVME_QUIRK_IDENTIFY_CNS) === 0)) return true;
  if (ctrl.vs >= NVME_VS(1, 1, 0) && (ctrl.quirks & NVME_QUIRK_IDENTIFY_CNS) === 0) return cns <= 3;
  return cns <= 1;
}

/** A power of two of minimum-sized pages, in 512-byte sectors; never overflows 32 bits. @kernel drivers/nvme/host/core.c nvme_mps_to_sectors */
export function nvmeMpsToSectors(ctrl: Ctrl, units: number): number {
  const pageShift = CAP.MPSMIN.get(ctrl.cap.lo, ctrl.cap.hi) + MPS_BASE_SHIFT;
  return Math.min(2 ** (units + pageShift - SECTOR_SHIFT), UINT_MAX);
}

/** Identifies the controller, and on the first time its subsystem and effects. Throws EIO. @kernel drivers/nvme/host/core.c nvme_init_identify */
export const nvmeInitIdentify = traced('nvme_init_identify', async (ctrl: Ctrl): Promise<void> => {
  const id = await nvmeIdentifyCtrl(ctrl);
  if (id === null) throw new KernelError('EIO', `${ctrl.name}: Identify Controller`);
  ctrl.cntlid = id.cntlid;
  const { effectsLog } = ctrl.core.era;
  const isFirst = !ctrl.identified;
  if (effectsLog === 'every-start') await nvmeInitEffects(ctrl, id);
  if (isFirst) {
    addCoreQuirks(ctrl, id);
    await nvmeInitSubsystem(ctrl, id);
    if (effectsLog === 'first-start') await nvmeInitEffects(ctrl, id);
  }
  takeIdentity(ctrl, id);
  allowAllPowerStates(ctrl);
  takeCapabilities(ctrl, id);
  takeShutdownTimeout(ctrl, id);
  takePowerStates(ctrl, id);
  nvmeSetQueueLimits(ctrl, ctrl.adminQ as NonNullable<Ctrl['adminQ']>);
  if (ctrl.core.era.multipath !== null) await nvmeMpathInitIdentify(ctrl, id);
});

function takeIdentity(ctrl: Ctrl, id: IdCtrl): void {
  ctrl.serial = id.sn;
  ctrl.model = id.mn;
  ctrl.firmwareRev = id.fr;
  if (ctrl.subsys !== null) ctrl.subsys.firmwareRev = id.fr;
  ctrl.cntrltype = id.cntrltype;
  ctrl.dctype = id.dctype;
}

function takeCapabilities(ctrl: Ctrl, id: IdCtrl): void {
  if (ctrl.core.era.retriesLater) ctrl.crdt = [id.crdt1, id.crdt2, id.crdt3];
  ctrl.oacs = id.oacs;
  ctrl.oncs = id.oncs;
  ctrl.oaes = id.oaes;
  ctrl.ctratt = id.ctratt;
  ctrl.mtfa = id.mtfa;
  ctrl.wctemp = id.wctemp;
  ctrl.cctemp = id.cctemp;
  ctrl.aerl = id.aerl;
  ctrl.abortLimit = id.acl + 1;
  ctrl.vwc = id.vwc;
  ctrl.sgls = id.sgls;
  ctrl.kas = id.kas;
  const mdtsSectors = id.mdts === 0 ? UINT_MAX : nvmeMpsToSectors(ctrl, id.mdts);
  ctrl.maxHwSectors = ctrl.maxHwSectors === 0 ? mdtsSectors : Math.min(ctrl.maxHwSectors, mdtsSectors);
  ctrl.hmpre = id.hmpre;
  ctrl.hmmin = id.hmmin;
  ctrl.hmminds = id.hmminds;
  ctrl.hmmaxd = id.hmmaxd;
}

/** RTD3E says how long the controller may take to shut down. */
function takeShutdownTimeout(ctrl: Ctrl, id: IdCtrl): void {
  const parameter = ctrl.core.number('shutdown_timeout');
  const { rtd3eLine } = ctrl.core.era;
  if (id.rtd3e === 0 || rtd3eLine === null) {
    ctrl.shutdownTimeoutNs = parameter * NS_PER_SECOND;
    return;
  }
  const asked = Math.floor(id.rtd3e / US_PER_SECOND);
  const seconds = Math.max(parameter, Math.min(asked, MAX_SHUTDOWN_TIMEOUT));
  ctrl.shutdownTimeoutNs = seconds * NS_PER_SECOND;
  if (seconds !== parameter) ctrlLog(ctrl, 'info', `${rtd3eLine} set to ${seconds} seconds`);
}

/** The parameter force_apst counts more than a quirk. */
function allowAllPowerStates(ctrl: Ctrl): void {
  if (ctrl.core.params.force_apst !== true || (ctrl.quirks & NVME_QUIRK_NO_DEEPEST_PS) === 0) return;
  ctrlLog(ctrl, 'warn', 'forcibly allowing all power states due to nvme_core.force_apst -- use at your own risk');
  ctrl.quirks &= ~NVME_QUIRK_NO_DEEPEST_PS;
}

function takePowerStates(ctrl: Ctrl, id: IdCtrl): void {
  const forced = ctrl.core.params.force_apst === true;
  ctrl.npss = id.npss;
  ctrl.apsta = id.apsta;
  ctrl.psd = id.psd;
  ctrl.apstEnabled = id.apsta !== 0;
  if (ctrl.quirks & NVME_QUIRK_NO_APST) {
    ctrl.apstEnabled = forced && id.apsta !== 0;
    if (ctrl.apstEnabled)
      ctrlLog(ctrl, 'warn', 'forcibly allowing APST due to nvme_core.force_apst -- use at your own risk');
  }
}

/** Limits that MDTS does not give (CNS 06h); NVMe status or negative errno. @kernel drivers/nvme/host/core.c nvme_init_non_mdts_limits */
export async function nvmeInitNonMdtsLimits(ctrl: Ctrl): Promise<number> {
  ctrl.maxZeroesSectors = ctrl.oncs & NVME_CTRL_ONCS_WRITE_ZEROES ? ctrl.maxHwSectors : 0;
  if (ctrl.subsys?.type !== 'nvm' || !nvmeIdCnsOk(ctrl, NVME_ID_CNS_CS_CTRL) || ctrl.skipIdCnsCs) return 0;
  const { status, data } = await identify(ctrl, NVME_ID_CNS_CS_CTRL, 0, NVME_CSI_NVM);
  if (status > 0) ctrl.skipIdCnsCs = true;
  if (status !== 0) return status;
  const id = NvmeIdCtrlNvm.decode(data);
  ctrl.dmrl = id.dmrl;
  ctrl.dmrsl = id.dmrsl;
  if (id.wzsl !== 0) ctrl.maxZeroesSectors = nvmeMpsToSectors(ctrl, id.wzsl);
  return 0;
}
