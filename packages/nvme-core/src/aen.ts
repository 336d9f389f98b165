/**
 * Asynchronous events: asking for them, and what they lead to.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_complete_async_event, nvme_async_event_work, nvme_fw_act_work.
 * [NVMe] 5.1.2.
 */
import { msleep, traced } from '@nvme-stack/kernel';
import {
  AsyncEventResult,
  NVME_AER_CSS,
  NVME_AER_ERROR,
  NVME_AER_ERROR_PERSIST_INT_ERR,
  NVME_AER_NOTICE,
  NVME_AER_NOTICE_ANA,
  NVME_AER_NOTICE_DISC_CHANGED,
  NVME_AER_NOTICE_FW_ACT_STARTING,
  NVME_AER_NOTICE_NS_CHANGED,
  NVME_AER_SMART,
  NVME_AER_VS,
  NVME_CC_ENABLE,
  NVME_CSI_NVM,
  NVME_CSTS_PP,
  NVME_LOG_FW_SLOT,
  NVME_NSID_ALL,
  NVME_REG_CSTS,
  NVME_SC_ABORT_REQ,
  NvmeFwSlotInfoLog,
} from '@nvme-stack/nvme-protocol';
import { nvmeWq } from './core.js';
import type { Ctrl } from './ctrl.js';
import { ctrlLog, hex } from './log.js';
import { NVME_CTRL_CONNECTING, NVME_CTRL_LIVE, NVME_CTRL_RESETTING } from './ports.js';
import { nvmeQuiesceIoQueues, nvmeUnquiesceIoQueues } from './queues.js';
import { nvmeQueueScan } from './scan.js';
import { nvmeChangeCtrlState, nvmeResetCtrl, nvmeTrySchedReset } from './state.js';
import { getLog } from './sync-command.js';
import { aenText, traceNvmeAsyncEvent } from './trace-events.js';

const ALL_ONES = 0xffffffff;
const MTFA_UNIT_NS = 100_000_000;
const NS_PER_SECOND = 1e9;
const FW_SLOT_LOG_BYTES = 512;

/** Tells userland and asks for the next event. @kernel drivers/nvme/host/core.c nvme_async_event_work */
export const nvmeAsyncEventWork = traced('nvme_async_event_work', async (ctrl: Ctrl): Promise<void> => {
  const result = ctrl.aenResult;
  ctrl.aenResult = 0;
  if (result !== 0) ctrl.core.deviceCore.deviceUevent(ctrl.device, 'change', { NVME_AEN: aenText(result) });
  if (ctrl.state !== NVME_CTRL_LIVE) return;
  ctrl.asyncEventsOutstanding++;
  ctrl.ops.submitAsyncEvent(ctrl);
});

/** Any context. @kernel drivers/nvme/host/core.c nvme_complete_async_event */
export function nvmeCompleteAsyncEvent(ctrl: Ctrl, status: number, result: number): void {
  const { trace } = ctrl.kernel;
  if (trace.functions) trace.enter('nvme_complete_async_event');
  if (ctrl.asyncEventsOutstanding > 0) ctrl.asyncEventsOutstanding--;
  if (status === 0 && trace.events) traceNvmeAsyncEvent(ctrl, result);
  if (EVENT_HANDLERS[ctrl.core.era.events](ctrl, status, result))
    ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.asyncEventWork);
  if (trace.functions) trace.exit();
}

/** By era; whether the next event may be asked for now. */
const EVENT_HANDLERS: Readonly<
  Record<'all' | 'changed-namespaces', (ctrl: Ctrl, status: number, result: number) => boolean>
> = {
  all: (ctrl, status, result) => status === 0 && handleEvent(ctrl, result),
  'changed-namespaces': (ctrl, status, result) => {
    if (status === 0) noteEvent(ctrl, result);
    return status === 0 || status === NVME_SC_ABORT_REQ;
  },
};

/** Up to 4.14 all that an event can lead to is a scan. */
function noteEvent(ctrl: Ctrl, result: number): void {
  const isChange =
    AsyncEventResult.AET.get(result) === NVME_AER_NOTICE &&
    AsyncEventResult.AEI.get(result) === NVME_AER_NOTICE_NS_CHANGED;
  if (!isChange) {
    ctrlLog(ctrl, 'warn', `async event result ${hex(result >>> 0, 8)}`);
    return;
  }
  ctrlLog(ctrl, 'info', 'rescanning');
  nvmeQueueScan(ctrl);
}

function handleEvent(ctrl: Ctrl, result: number): boolean {
  switch (AsyncEventResult.AET.get(result)) {
    case NVME_AER_NOTICE:
      return handleNotice(ctrl, result);
    case NVME_AER_ERROR:
      // The reset asks for events again.
      if (AsyncEventResult.AEI.get(result) === NVME_AER_ERROR_PERSIST_INT_ERR) {
        ctrlLog(ctrl, 'warn', `resetting controller due to ${ctrl.core.era.persistentErrorName}`);
        if (ctrl.state === NVME_CTRL_LIVE) nvmeResetCtrl(ctrl);
        return false;
      }
      ctrl.aenResult = result;
      return true;
    case NVME_AER_SMART:
    case NVME_AER_CSS:
    case NVME_AER_VS:
      ctrl.aenResult = result;
      return true;
    default:
      return true;
  }
}

/** @kernel drivers/nvme/host/core.c nvme_handle_aen_notice */
function handleNotice(ctrl: Ctrl, result: number): boolean {
  switch (AsyncEventResult.AEI.get(result)) {
    case NVME_AER_NOTICE_NS_CHANGED:
      ctrl.nsChanged = true;
      nvmeQueueScan(ctrl);
      return true;
    case NVME_AER_NOTICE_FW_ACT_STARTING:
      // RESETTING keeps resets away while the firmware changes.
      if (!nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING)) return true;
      ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.fwActWork);
      return false;
    case NVME_AER_NOTICE_ANA:
      if (ctrl.ana.log !== null) ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.ana.work);
      return true;
    case NVME_AER_NOTICE_DISC_CHANGED:
      ctrl.aenResult = result;
      return true;
    default:
      ctrlLog(ctrl, 'warn', `async event result ${hex(result, 8)}`);
      return true;
  }
}

/** The controller has paused for its firmware. @kernel drivers/nvme/host/core.c nvme_ctrl_pp_status */
function processingPaused(ctrl: Ctrl): boolean {
  const csts = ctrl.ops.regRead32(ctrl, NVME_REG_CSTS) >>> 0;
  return csts !== ALL_ONES && (ctrl.ctrlConfig & NVME_CC_ENABLE) !== 0 && (csts & NVME_CSTS_PP) !== 0;
}

/** Waits until new firmware runs. @kernel drivers/nvme/host/core.c nvme_fw_act_work */
export const nvmeFwActWork = traced('nvme_fw_act_work', async (ctrl: Ctrl): Promise<void> => {
  const { ex } = ctrl.kernel;
  const limitNs = ctrl.mtfa > 0 ? ctrl.mtfa * MTFA_UNIT_NS : ctrl.core.number('admin_timeout') * NS_PER_SECOND;
  const deadlineNs = ex.now() + limitNs;
  await nvmeQuiesceIoQueues(ctrl);
  while (processingPaused(ctrl)) {
    if (ex.now() > deadlineNs) {
      ctrlLog(ctrl, 'warn', 'Fw activation timeout, reset controller');
      nvmeTrySchedReset(ctrl);
      return;
    }
    await msleep(ctrl, 100);
  }
  if (!nvmeChangeCtrlState(ctrl, NVME_CTRL_CONNECTING) || !nvmeChangeCtrlState(ctrl, NVME_CTRL_LIVE)) return;
  nvmeUnquiesceIoQueues(ctrl);
  await nvmeGetFwSlotInfo(ctrl);
  ctrl.core.workqueues.queueWork(nvmeWq(ctrl.core), ctrl.asyncEventWork);
});

/** Reading the log clears the event. @kernel drivers/nvme/host/core.c nvme_get_fw_slot_info */
async function nvmeGetFwSlotInfo(ctrl: Ctrl): Promise<void> {
  const { status, data } = await getLog(ctrl, NVME_NSID_ALL, NVME_LOG_FW_SLOT, NVME_CSI_NVM, FW_SLOT_LOG_BYTES);
  if (status !== 0) {
    ctrlLog(ctrl, 'warn', 'Get FW SLOT INFO log error');
    return;
  }
  const log = NvmeFwSlotInfoLog.decode(data);
  const active = log.afi & 7;
  const next = (log.afi >>> 4) & 7;
  if (active === 0 || (next !== 0 && next !== active)) {
    ctrlLog(ctrl, 'info', 'Firmware is activated after next Controller Level Reset');
    return;
  }
  const revision = [log.frs1, log.frs2, log.frs3, log.frs4, log.frs5, log.frs6, log.frs7][active - 1];
  ctrl.firmwareRev = revision;
  if (ctrl.subsys !== null) ctrl.subsys.firmwareRev = revision;
}
