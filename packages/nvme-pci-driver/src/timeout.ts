/**
 * A command takes too long: look whether it is done, then abort it, then reset the controller.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_timeout, abort_endio.
 *
 * Each step answers or leaves it to the next; the era says which there are.
 */
import {
  BLK_EH_DONE,
  BLK_EH_RESET_TIMER,
  MQ_RQ_IN_FLIGHT,
  REQ_OP_DRV_OUT,
  type Request,
  type RequestQueue,
  RQ_END_IO_FREE,
} from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import {
  NVME_CTRL_CONNECTING,
  NVME_CTRL_DEAD,
  NVME_CTRL_DELETING,
  NVME_CTRL_DELETING_NOIO,
  NVME_CTRL_RESETTING,
  NVME_REQ_CANCELLED,
} from '@nvme-stack/nvme-core/ports';
import {
  NVME_CSTS_CFS,
  NVME_CSTS_NSSRO,
  NVME_REG_CSTS,
  NvmeAbortCmd,
  NvmeAdminOpcode,
} from '@nvme-stack/nvme-protocol';
import { type NvmeCompletion, nvmePollIrqdisable } from './complete.js';
import { type NvmeDev, type NvmeQueue, nvmeIod } from './dev.js';
import { nvmeDevDisable, nvmeReset, nvmeTrySchedReset } from './disable.js';
import type { TimeoutStep } from './eras.js';
import { commandWords } from './queue-commands.js';
import { nvmeBar } from './registers.js';
import { ALL_ONES, commandId, nameAborting, nameReset, nameTimeout, warn, warnReset } from './timeout-lines.js';

/** A command that takes too long, and what CSTS read as. */
interface Late {
  readonly dev: NvmeDev;
  readonly rq: Request;
  readonly nvmeq: NvmeQueue;
  readonly csts: number;
  readonly completion: NvmeCompletion;
}

/** What blk-mq is told, or null: the next step. */
type Step = (late: Late) => Promise<number | null> | number | null;

const STEPS: Readonly<Record<TimeoutStep, Step>> = {
  // Whoever waits for a reset of what is not there any more would wait for ever, and its removal for him.
  disconnected: ({ dev }) => {
    if (dev.pdev.errorState === 'perm-failure') dev.deps.nvmeCore.nvmeChangeCtrlState(dev.ctrl, NVME_CTRL_DELETING);
    return null;
  },
  terminal: (late) => (isTerminal(late.dev) ? disableAndReset(late) : null),
  // While the bus recovers from an error, a reset would spoil it.
  'bus-recovers': ({ dev }) => (dev.pdev.errorState === 'normal' ? null : BLK_EH_RESET_TIMER),
  failed: (late) => {
    if (!shouldReset(late.dev, late.csts)) return null;
    warnReset(late.dev, late.csts);
    return disableAndReset(late);
  },
  poll: pollOnce,
  starting: whileStarting,
  reset: (late) => {
    const { dev, rq, nvmeq } = late;
    if (nvmeq.qid !== 0 && !nvmeIod(rq).aborted) return null;
    warn(dev, `${nameReset(dev, rq, nvmeq)} timeout, reset controller`);
    nvmeIod(rq).nvme.flags |= NVME_REQ_CANCELLED;
    return disableAndReset(late);
  },
  abort: ({ dev, rq, nvmeq }) => abort(dev, rq, nvmeq),
};

/** Task context; BLK_EH_*. @kernel drivers/nvme/host/pci.c nvme_timeout */
export const nvmeTimeout = traced(
  'nvme_timeout',
  async (dev: NvmeDev, rq: Request, completion: NvmeCompletion): Promise<number> => {
    const nvmeq = rq.mqHctx.driverData as NvmeQueue;
    const csts = dev.bar === null ? ALL_ONES : nvmeBar(dev).readl(NVME_REG_CSTS);
    const late: Late = { dev, rq, nvmeq, csts, completion };
    for (const step of dev.driver.era.timeoutSteps) {
      const answer = await STEPS[step](late);
      if (answer !== null) return answer;
    }
    return BLK_EH_RESET_TIMER;
  },
);

function isTerminal(dev: NvmeDev): boolean {
  const { state } = dev.ctrl;
  return state === NVME_CTRL_DELETING || state === NVME_CTRL_DELETING_NOIO || state === NVME_CTRL_DEAD;
}

/** @kernel drivers/nvme/host/pci.c nvme_should_reset */
function shouldReset(dev: NvmeDev, csts: number): boolean {
  const { state } = dev.ctrl;
  if (state === NVME_CTRL_RESETTING || state === NVME_CTRL_CONNECTING || dev.pdev.errorState !== 'normal') return false;
  return (csts & NVME_CSTS_CFS) !== 0 || (dev.subsystem && (csts & NVME_CSTS_NSSRO) !== 0);
}

/** Was only its interrupt lost? */
async function pollOnce({ dev, rq, nvmeq, completion }: Late): Promise<number | null> {
  // A request that ends has no tag any more.
  const name = nameTimeout(dev, rq, nvmeq);
  if (nvmeq.polled) completion.pollCq(nvmeq, null);
  else await nvmePollIrqdisable(nvmeq, completion);
  if (rq.state === MQ_RQ_IN_FLIGHT) return null;
  warn(dev, `${name} timeout, completion polled`);
  return BLK_EH_DONE;
}

/** A controller that hangs while it starts or goes is stopped; whoever waits for the command goes on then. */
async function whileStarting({ dev, rq, nvmeq, completion }: Late): Promise<number | null> {
  const { ctrl } = dev;
  const { nvmeCore } = dev.deps;
  const oneState = dev.driver.era.startingState === 'resetting';
  const isStarting = oneState
    ? ctrl.state === NVME_CTRL_RESETTING
    : ctrl.state === NVME_CTRL_CONNECTING || ctrl.state === NVME_CTRL_DELETING;
  if (!isStarting) return !oneState && ctrl.state === NVME_CTRL_RESETTING ? BLK_EH_RESET_TIMER : null;
  if (ctrl.state === NVME_CTRL_CONNECTING) nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DELETING);
  warn(dev, `${nameTimeout(dev, rq, nvmeq)} timeout, disable controller`);
  nvmeIod(rq).nvme.flags |= NVME_REQ_CANCELLED;
  await nvmeDevDisable(dev, !oneState, completion);
  return BLK_EH_DONE;
}

/** Sends Abort; the command gets another time-out to end in. Not beyond the controller's abort limit. */
function abort(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue): number {
  const { blkMq, nvmeCore } = dev.deps;
  const { ctrl } = dev;
  if (ctrl.abortLimit === 0) return BLK_EH_RESET_TIMER;
  ctrl.abortLimit--;
  nvmeIod(rq).aborted = true;
  warn(dev, nameAborting(dev, rq, nvmeq));
  const abortRq = blkMq.blkMqTryAllocRequest(ctrl.adminQ as RequestQueue, REQ_OP_DRV_OUT, {});
  if (abortRq === null) {
    ctrl.abortLimit++;
    return BLK_EH_RESET_TIMER;
  }
  nvmeCore.nvmeInitRequest(
    abortRq,
    commandWords(NvmeAbortCmd.encode({ opcode: NvmeAdminOpcode.abortCmd, sqid: nvmeq.qid, cid: commandId(rq) })),
  );
  abortRq.endIo = (ended) => abortEndio(dev, ended);
  blkMq.blkExecuteRqNowait(abortRq, false);
  return BLK_EH_RESET_TIMER;
}

/** @kernel drivers/nvme/host/pci.c abort_endio */
function abortEndio(dev: NvmeDev, rq: Request): 0 | 1 {
  warn(dev, `Abort status: 0x${nvmeIod(rq).nvme.status.toString(16)}`);
  dev.ctrl.abortLimit++;
  return RQ_END_IO_FREE;
}

/** Takes the controller down and queues its reset, unless it is going away already. */
async function disableAndReset({ dev, completion }: Late): Promise<number> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  if (dev.driver.era.recoversFirst === 'stop') {
    await nvmeDevDisable(dev, false, completion);
    nvmeReset(dev);
    return BLK_EH_DONE;
  }
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING)) {
    if (isTerminal(dev)) await nvmeDevDisable(dev, true, completion);
    return BLK_EH_DONE;
  }
  await nvmeDevDisable(dev, false, completion);
  if (!nvmeTrySchedReset(dev)) nvmeCore.nvmeUnquiesceIoQueues(ctrl);
  return BLK_EH_DONE;
}
