/**
 * Enabling, disabling and shutting down a controller by its registers.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_enable_ctrl, nvme_disable_ctrl, nvme_wait_ready. [NVMe] 3.5.1, 3.6.
 */
import { KernelError, msleep, traced, usleepRange } from '@nvme-stack/kernel';
import {
  CAP,
  CRTO,
  NVME_CAP_CSS_CSI,
  NVME_CC_AMS_RR,
  NVME_CC_CRIME,
  NVME_CC_CSS_CSI,
  NVME_CC_CSS_NVM,
  NVME_CC_ENABLE,
  NVME_CC_IOCQES,
  NVME_CC_IOSQES,
  NVME_CC_MPS_SHIFT,
  NVME_CC_SHN_MASK,
  NVME_CC_SHN_NONE,
  NVME_CC_SHN_NORMAL,
  NVME_CSTS_RDY,
  NVME_CSTS_SHST_CMPLT,
  NVME_CSTS_SHST_MASK,
  NVME_CTRL_PAGE_SHIFT,
  NVME_CTRL_PAGE_SIZE,
  NVME_REG_CAP,
  NVME_REG_CC,
  NVME_REG_CRTO,
  NVME_REG_CSTS,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { ctrlLog, ctrlWarnOnce, hex } from './log.js';
import { NVME_QUIRK_DELAY_BEFORE_CHK_RDY } from './ports.js';

/** What a read of a device that is gone gives. */
const ALL_ONES = 0xffffffff;
/** @kernel drivers/nvme/host/nvme.h NVME_QUIRK_DELAY_AMOUNT */
const DELAY_BEFORE_CHK_RDY_MS = 2300;
const NS_PER_SECOND = 1e9;
/** CC.MPS 0 stands for pages of 4 KiB. */
const MPS_BASE_SHIFT = 12;

interface ReadyTarget {
  readonly mask: number;
  readonly value: number;
  readonly timeoutNs: number;
  /** How the log line names what was waited for. */
  readonly what: string;
}

/** Throws ENODEV when the controller is gone or late. @kernel drivers/nvme/host/core.c nvme_wait_ready */
const nvmeWaitReady = traced('nvme_wait_ready', async (ctrl: Ctrl, target: ReadyTarget): Promise<void> => {
  const shows = ctrl.core.era.notReadyShowsCsts;
  await pollCsts(ctrl, target, ctrl.core.era.readyPollUs, (csts) => {
    return `Device not ready; aborting ${target.what}${shows ? `, CSTS=0x${hex(csts)}` : ''}`;
  });
});

/** Looks at CSTS until it is as wanted. Throws ENODEV when it is gone, or late: then with a line in the log. */
async function pollCsts(
  ctrl: Ctrl,
  target: ReadyTarget,
  [fromUs, toUs]: readonly [number, number],
  late: (csts: number) => string,
): Promise<void> {
  const deadlineNs = ctrl.kernel.ex.now() + target.timeoutNs;
  for (;;) {
    const csts = ctrl.ops.regRead32(ctrl, NVME_REG_CSTS) >>> 0;
    if (csts === ALL_ONES) throw new KernelError('ENODEV', `${ctrl.name}: the device is gone`);
    if ((csts & target.mask) === target.value) return;
    await usleepRange(ctrl, fromUs, toUs);
    if (ctrl.kernel.ex.now() > deadlineNs) {
      ctrlLog(ctrl, 'err', late(csts));
      throw new KernelError('ENODEV', `${ctrl.name}: ${target.what}`);
    }
  }
}

/** CAP.TO or CRTO counts units of 500 ms; Linux waits whole seconds. */
function readyTimeoutNs(units: number): number {
  return Math.floor((units + 1) / 2) * NS_PER_SECOND;
}

/** How often CSTS is looked at while the controller shuts down, in kernels where that is a function of its own. */
const SHUTDOWN_POLL_US = [100_000, 100_000] as const;

/** Asks for a normal shutdown and waits for it (until 6.1). Throws ENODEV. @kernel drivers/nvme/host/core.c nvme_shutdown_ctrl */
const nvmeShutdownCtrl = traced('nvme_shutdown_ctrl', async (ctrl: Ctrl): Promise<void> => {
  ctrl.ctrlConfig = ((ctrl.ctrlConfig & ~NVME_CC_SHN_MASK) | NVME_CC_SHN_NORMAL) >>> 0;
  ctrl.ops.regWrite32(ctrl, NVME_REG_CC, ctrl.ctrlConfig);
  ctrl.asyncEventsOutstanding = 0;
  await pollCsts(ctrl, shutdownTarget(ctrl), SHUTDOWN_POLL_US, () => 'Device shutdown incomplete; abort shutdown');
});

function shutdownTarget(ctrl: Ctrl): ReadyTarget {
  const timeoutNs = ctrl.shutdownTimeoutNs;
  return { mask: NVME_CSTS_SHST_MASK, value: NVME_CSTS_SHST_CMPLT, timeoutNs, what: 'shutdown' };
}

/** Clears CC.EN, or asks for a shutdown, and waits. Throws ENODEV. Task context. */
export function nvmeDisableCtrl(ctrl: Ctrl, shutdown: boolean): Promise<void> {
  return shutdown && ctrl.core.era.shutdownByItself ? nvmeShutdownCtrl(ctrl) : nvmeDisableCtrlOf(ctrl, shutdown);
}

/** @kernel drivers/nvme/host/core.c nvme_disable_ctrl */
const nvmeDisableCtrlOf = traced('nvme_disable_ctrl', async (ctrl: Ctrl, shutdown: boolean): Promise<void> => {
  ctrl.ctrlConfig = (ctrl.ctrlConfig & ~NVME_CC_SHN_MASK) >>> 0;
  if (shutdown) ctrl.ctrlConfig |= NVME_CC_SHN_NORMAL;
  else ctrl.ctrlConfig &= ~NVME_CC_ENABLE;
  ctrl.ops.regWrite32(ctrl, NVME_REG_CC, ctrl.ctrlConfig);
  ctrl.asyncEventsOutstanding = 0;
  if (shutdown) {
    await nvmeWaitReady(ctrl, shutdownTarget(ctrl));
    return;
  }
  if (ctrl.quirks & NVME_QUIRK_DELAY_BEFORE_CHK_RDY) await msleep(ctrl, DELAY_BEFORE_CHK_RDY_MS);
  const timeoutNs = readyTimeoutNs(CAP.TO.get(ctrl.cap.lo, ctrl.cap.hi));
  await nvmeWaitReady(ctrl, { mask: NVME_CSTS_RDY, value: 0, timeoutNs, what: 'reset' });
});

/** Configures and enables; throws ENODEV when pages do not fit or it does not become ready. Task context. @kernel drivers/nvme/host/core.c nvme_enable_ctrl */
export const nvmeEnableCtrl = traced('nvme_enable_ctrl', async (ctrl: Ctrl): Promise<void> => {
  const { ops, core } = ctrl;
  if (core.era.enableReadsCap) ctrl.cap = ops.regRead64(ctrl, NVME_REG_CAP);
  const minPageShift = CAP.MPSMIN.get(ctrl.cap.lo, ctrl.cap.hi) + MPS_BASE_SHIFT;
  if (minPageShift > NVME_CTRL_PAGE_SHIFT) {
    ctrlLog(ctrl, 'err', `Minimum device page size ${2 ** minPageShift} too large for host (${NVME_CTRL_PAGE_SIZE})`);
    throw new KernelError('ENODEV', `${ctrl.name}: page size`);
  }
  ctrl.pageSizeBytes = NVME_CTRL_PAGE_SIZE;
  ctrl.ctrlConfig = configuration(ctrl);
  let timeout = CAP.TO.get(ctrl.cap.lo, ctrl.cap.hi);
  if (core.era.enableWrites === 'twice') {
    ops.regWrite32(ctrl, NVME_REG_CC, ctrl.ctrlConfig);
    if (core.era.readsCcBack) ops.regRead32(ctrl, NVME_REG_CC);
    ctrl.cap = ops.regRead64(ctrl, NVME_REG_CAP);
    timeout = startTimeout(ctrl);
  }
  ctrl.ctrlConfig |= NVME_CC_ENABLE;
  ops.regWrite32(ctrl, NVME_REG_CC, ctrl.ctrlConfig);
  const what = 'initialisation';
  await nvmeWaitReady(ctrl, { mask: NVME_CSTS_RDY, value: NVME_CSTS_RDY, timeoutNs: readyTimeoutNs(timeout), what });
});

/** CC without EN. [NVMe] 3.1.4.5. */
function configuration({ cap, core }: Ctrl): number {
  const all = core.era.commandSets && (CAP.CSS.get(cap.lo, cap.hi) & NVME_CAP_CSS_CSI) !== 0;
  const commandSets = all ? NVME_CC_CSS_CSI : NVME_CC_CSS_NVM;
  const mediaLater = CAP.CRWMS.get(cap.lo, cap.hi) === 1 && CAP.CRIMS.get(cap.lo, cap.hi) === 1 ? NVME_CC_CRIME : 0;
  const pages = (NVME_CTRL_PAGE_SHIFT - MPS_BASE_SHIFT) << NVME_CC_MPS_SHIFT;
  return commandSets | mediaLater | pages | NVME_CC_AMS_RR | NVME_CC_SHN_NONE | NVME_CC_IOSQES | NVME_CC_IOCQES;
}

/** CAP.TO, or what CRTO says where it is valid and longer; units of 500 ms. [NVMe] 3.1.4.21. */
function startTimeout(ctrl: Ctrl): number {
  const { cap } = ctrl;
  const timeout = CAP.TO.get(cap.lo, cap.hi);
  if (CAP.CRWMS.get(cap.lo, cap.hi) === 0) return timeout;
  const crto = ctrl.ops.regRead32(ctrl, NVME_REG_CRTO) >>> 0;
  const ready = ctrl.ctrlConfig & NVME_CC_CRIME ? CRTO.CRIMT.get(crto) : CRTO.CRWMT.get(crto);
  if (ready < timeout) {
    ctrlWarnOnce(ctrl, 'crto', `bad crto:${hex(crto)} cap:${hex(cap.hi, 8)}${hex(cap.lo, 8)}`);
  }
  return Math.max(timeout, ready);
}
