/**
 * The NVMe core of one machine: what drivers/nvme/host/core.c, ioctl.c and sysfs.c are to Linux.
 *
 * @packageDocumentation
 */
import { nvmeCompleteAsyncEvent } from './aen.js';
import {
  nvmeCancelRequest,
  nvmeCheckReady,
  nvmeCompleteBatch,
  nvmeCompleteRq,
  nvmeFailNonreadyCommand,
  nvmeTryCompleteReq,
} from './complete.js';
import { CoreState, type NvmeCoreDeps, nvmeCoreExit, nvmeCoreInit, nvmeDeleteWq, nvmeResetWq, nvmeWq } from './core.js';
import { type Ctrl, nvmeGetCtrl, nvmePutCtrl } from './ctrl.js';
import { nvmeDisableCtrl, nvmeEnableCtrl } from './enable.js';
import { nvmeQueueAsyncEvents, nvmeSetQueueCount } from './features.js';
import * as lifecycle from './lifecycle.js';
import { NVME_CORE_PARAM_LISTS } from './module-params.js';
import { nvmeStartRequest } from './multipath/accounting.js';
import type { NvmeCore, NvmeCtrl } from './ports.js';
import * as queues from './queues.js';
import { NvmeRequestData, nvmeFindRq, nvmeInitRequest, nvmeReq, nvmeTakeSuccess } from './request.js';
import { nvmeQueueScan } from './scan.js';
import { nvmeSetupCmds } from './setup-batch.js';
import { nvmeCleanupCmd, nvmeSetupCmd } from './setup-command.js';
import { nvmeChangeCtrlState, nvmeResetCtrl, nvmeResetCtrlSync, nvmeWaitReset } from './state.js';
import { nvmeSubmitSyncCmd } from './sync-command.js';
import { traceNvmeSq } from './trace-events.js';

export type { NvmeCoreDeps } from './core.js';

/** Every controller of this core was made by it. */
const own = (ctrl: NvmeCtrl): Ctrl => ctrl as Ctrl;

/** The port's view of a core. Workqueues are made by nvmeCoreInit, so they are looked up when asked for. */
class NvmeCoreView implements NvmeCore {
  readonly kernel: NvmeCore['kernel'];
  readonly params: NvmeCore['params'];
  private readonly core: CoreState;

  constructor(core: CoreState) {
    this.kernel = core.kernel;
    this.params = NVME_CORE_PARAM_LISTS[core.kernel.profile];
    this.core = core;
  }

  get nvmeWq(): NvmeCore['nvmeWq'] {
    return nvmeWq(this.core);
  }
  get nvmeResetWq(): NvmeCore['nvmeResetWq'] {
    return nvmeResetWq(this.core);
  }
  get nvmeDeleteWq(): NvmeCore['nvmeDeleteWq'] {
    return nvmeDeleteWq(this.core);
  }
  get nvmeClass(): NvmeCore['nvmeClass'] {
    return this.core.nvmeClass;
  }
  get controllers(): readonly NvmeCtrl[] {
    return this.core.controllers;
  }

  readonly param: NvmeCore['param'] = (name) => this.core.params[name];
  readonly nvmeCoreInit: NvmeCore['nvmeCoreInit'] = (params) => nvmeCoreInit(this.core, params);
  readonly nvmeCoreExit: NvmeCore['nvmeCoreExit'] = () => nvmeCoreExit(this.core);

  readonly nvmeInitCtrl: NvmeCore['nvmeInitCtrl'] = (dev, ops, quirks, transport) =>
    lifecycle.nvmeInitCtrl({ kernel: this.kernel, core: this.core, dev, ops, quirks, transport });
  readonly nvmeAddCtrl: NvmeCore['nvmeAddCtrl'] = (ctrl) => lifecycle.nvmeAddCtrl(own(ctrl));
  readonly nvmeUninitCtrl: NvmeCore['nvmeUninitCtrl'] = (ctrl) => lifecycle.nvmeUninitCtrl(own(ctrl));
  readonly nvmeGetCtrl: NvmeCore['nvmeGetCtrl'] = (ctrl) => nvmeGetCtrl(own(ctrl));
  readonly nvmePutCtrl: NvmeCore['nvmePutCtrl'] = (ctrl) => nvmePutCtrl(own(ctrl));
  readonly nvmeChangeCtrlState: NvmeCore['nvmeChangeCtrlState'] = (ctrl, state) =>
    nvmeChangeCtrlState(own(ctrl), state);
  readonly nvmeWaitReset: NvmeCore['nvmeWaitReset'] = (ctrl) => nvmeWaitReset(own(ctrl));
  readonly nvmeResetCtrl: NvmeCore['nvmeResetCtrl'] = (ctrl) => nvmeResetCtrl(own(ctrl));
  readonly nvmeResetCtrlSync: NvmeCore['nvmeResetCtrlSync'] = (ctrl) => nvmeResetCtrlSync(own(ctrl));
  readonly nvmeDisableCtrl: NvmeCore['nvmeDisableCtrl'] = (ctrl, shutdown) => nvmeDisableCtrl(own(ctrl), shutdown);
  readonly nvmeEnableCtrl: NvmeCore['nvmeEnableCtrl'] = (ctrl) => nvmeEnableCtrl(own(ctrl));
  readonly nvmeInitCtrlFinish: NvmeCore['nvmeInitCtrlFinish'] = (ctrl, wasSuspended) =>
    lifecycle.nvmeInitCtrlFinish(own(ctrl), wasSuspended);
  readonly nvmeStartCtrl: NvmeCore['nvmeStartCtrl'] = (ctrl) => lifecycle.nvmeStartCtrl(own(ctrl));
  readonly nvmeStopCtrl: NvmeCore['nvmeStopCtrl'] = (ctrl) => lifecycle.nvmeStopCtrl(own(ctrl));
  readonly nvmeRemoveNamespaces: NvmeCore['nvmeRemoveNamespaces'] = (ctrl) => lifecycle.nvmeRemoveNamespaces(own(ctrl));
  readonly nvmeMarkNamespacesDead: NvmeCore['nvmeMarkNamespacesDead'] = (ctrl) =>
    lifecycle.nvmeMarkNamespacesDead(own(ctrl));
  readonly nvmeKillQueues: NvmeCore['nvmeKillQueues'] = (ctrl) => lifecycle.nvmeKillQueues(own(ctrl));
  readonly nvmeQueueAsyncEvents: NvmeCore['nvmeQueueAsyncEvents'] = (ctrl) => nvmeQueueAsyncEvents(own(ctrl));
  readonly nvmeQueueScan: NvmeCore['nvmeQueueScan'] = (ctrl) => nvmeQueueScan(own(ctrl));
  readonly nvmeSetQueueCount: NvmeCore['nvmeSetQueueCount'] = (ctrl, count) => nvmeSetQueueCount(own(ctrl), count);
  readonly nvmeAllocAdminTagSet: NvmeCore['nvmeAllocAdminTagSet'] = (ctrl, init) =>
    queues.nvmeAllocAdminTagSet(own(ctrl), init);
  readonly nvmeRemoveAdminTagSet: NvmeCore['nvmeRemoveAdminTagSet'] = (ctrl) => queues.nvmeRemoveAdminTagSet(own(ctrl));
  readonly nvmeAllocIoTagSet: NvmeCore['nvmeAllocIoTagSet'] = (ctrl, init) => queues.nvmeAllocIoTagSet(own(ctrl), init);
  readonly nvmeRemoveIoTagSet: NvmeCore['nvmeRemoveIoTagSet'] = (ctrl) => queues.nvmeRemoveIoTagSet(own(ctrl));
  readonly nvmeSubmitSyncCmd: NvmeCore['nvmeSubmitSyncCmd'] = (q, cmd, buffer) =>
    nvmeSubmitSyncCmd(this.core, q, cmd, buffer);

  readonly nvmeInitRequestData: NvmeCore['nvmeInitRequestData'] = (ctrl) => new NvmeRequestData(own(ctrl));
  readonly nvmeInitRequest: NvmeCore['nvmeInitRequest'] = (rq, cmd) => nvmeInitRequest(this.core, rq, cmd);
  readonly nvmeSetupCmd: NvmeCore['nvmeSetupCmd'] = nvmeSetupCmd;
  readonly nvmeSetupCmds: NvmeCore['nvmeSetupCmds'] = (ctrl, hctx, list) => nvmeSetupCmds(own(ctrl), hctx, list);
  readonly nvmeStartRequest: NvmeCore['nvmeStartRequest'] = nvmeStartRequest;
  readonly nvmeCleanupCmd: NvmeCore['nvmeCleanupCmd'] = nvmeCleanupCmd;
  readonly nvmeCheckReady: NvmeCore['nvmeCheckReady'] = (ctrl, rq, queueLive) =>
    nvmeCheckReady(own(ctrl), rq, queueLive);
  readonly nvmeFailNonreadyCommand: NvmeCore['nvmeFailNonreadyCommand'] = (ctrl, rq) =>
    nvmeFailNonreadyCommand(own(ctrl), rq);
  readonly nvmeFindRq: NvmeCore['nvmeFindRq'] = (ctrl, tags, hwQueue, cid) => nvmeFindRq(own(ctrl), tags, hwQueue, cid);
  readonly nvmeTryCompleteReq: NvmeCore['nvmeTryCompleteReq'] = nvmeTryCompleteReq;
  readonly nvmeTakeSuccess: NvmeCore['nvmeTakeSuccess'] = nvmeTakeSuccess as NvmeCore['nvmeTakeSuccess'];
  readonly nvmeCompleteRq: NvmeCore['nvmeCompleteRq'] = nvmeCompleteRq;
  readonly nvmeCompleteBatch: NvmeCore['nvmeCompleteBatch'] = nvmeCompleteBatch;
  readonly nvmeCompleteAsyncEvent: NvmeCore['nvmeCompleteAsyncEvent'] = (ctrl, status, result) =>
    nvmeCompleteAsyncEvent(own(ctrl), status, result);
  readonly nvmeCancelRequest: NvmeCore['nvmeCancelRequest'] = (rq) => nvmeCancelRequest(rq);
  readonly traceNvmeSq: NvmeCore['traceNvmeSq'] = (rq, sqHead, sqTail) => {
    if (this.kernel.trace.events) traceNvmeSq(rq, nvmeReq(rq), sqHead, sqTail);
  };

  readonly nvmeQuiesceIoQueues: NvmeCore['nvmeQuiesceIoQueues'] = (ctrl) => queues.nvmeQuiesceIoQueues(own(ctrl));
  readonly nvmeUnquiesceIoQueues: NvmeCore['nvmeUnquiesceIoQueues'] = (ctrl) => queues.nvmeUnquiesceIoQueues(own(ctrl));
  readonly nvmeQuiesceAdminQueue: NvmeCore['nvmeQuiesceAdminQueue'] = (ctrl) => queues.nvmeQuiesceAdminQueue(own(ctrl));
  readonly nvmeUnquiesceAdminQueue: NvmeCore['nvmeUnquiesceAdminQueue'] = (ctrl) =>
    queues.nvmeUnquiesceAdminQueue(own(ctrl));
  readonly nvmeStartFreeze: NvmeCore['nvmeStartFreeze'] = (ctrl) => queues.nvmeStartFreeze(own(ctrl));
  readonly nvmeWaitFreeze: NvmeCore['nvmeWaitFreeze'] = (ctrl) => queues.nvmeWaitFreeze(own(ctrl));
  readonly nvmeWaitFreezeTimeout: NvmeCore['nvmeWaitFreezeTimeout'] = (ctrl, timeoutNs) =>
    queues.nvmeWaitFreezeTimeout(own(ctrl), timeoutNs);
  readonly nvmeUnfreeze: NvmeCore['nvmeUnfreeze'] = (ctrl) => queues.nvmeUnfreeze(own(ctrl));
  readonly nvmeSyncQueues: NvmeCore['nvmeSyncQueues'] = (ctrl) => queues.nvmeSyncQueues(own(ctrl));
  readonly nvmeSyncIoQueues: NvmeCore['nvmeSyncIoQueues'] = (ctrl) => queues.nvmeSyncIoQueues(own(ctrl));
  readonly nvmeCancelTagset: NvmeCore['nvmeCancelTagset'] = (ctrl) => queues.nvmeCancelTagset(own(ctrl));
  readonly nvmeCancelAdminTagset: NvmeCore['nvmeCancelAdminTagset'] = (ctrl) => queues.nvmeCancelAdminTagset(own(ctrl));
}

/** Makes the core of a machine; it does nothing before `nvmeCoreInit`. */
export function createNvmeCore(deps: NvmeCoreDeps): NvmeCore {
  const core = new CoreState(deps);
  deps.kernel.trace.renameSymbols(core.era.symbols);
  return new NvmeCoreView(core);
}
