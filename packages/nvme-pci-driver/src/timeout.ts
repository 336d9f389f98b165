/**
 * A command takes too long: look whether it is done, then abort it, then reset the controller.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_timeout, abort_endio.
 */
import {
  BLK_EH_DONE,
  BLK_EH_RESET_TIMER,
  MQ_RQ_IN_FLIGHT,
  type Request,
  REQ_OP_DRV_OUT,
  RQ_END_IO_FREE,
  type RequestQueue,
} from '@nvme-stack/blk-mq/ports';
import { KernelError, traced } from '@nvme-stack/kernel';
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
  NVME_CSTS_RDY,
  NVME_REG_CSTS,
  nvmeOpcodeName,
  NvmeAbortCmd,
  NvmeAdminOpcode,
} from '@nvme-stack/nvme-protocol';
import { type NvmeCompletion, nvmePollIrqdisable } from './complete.js';
import { type NvmeDev, type NvmeQueue, nvmeIod } from './dev.js';
import { nvmeDevDisable } from './disable.js';
import { commandWords } from './queue-commands.js';
import { nvmeBar } from './registers.js';

/** @kernel drivers/nvme/host/pci.c nvme_timeout */
export const nvmeTimeout = traced(
  'nvme_timeout',
  async (dev: NvmeDev, rq: Request, completion: NvmeCompletion): Promise<number> => {
    const nvmeq = rq.mqHctx.driverData as NvmeQueue;
    const { ctrl } = dev;
    const csts = dev.bar === null ? 0xffffffff : nvmeBar(dev).readl(NVME_REG_CSTS);
    if (isTerminal(dev)) return disableAndReset(dev, completion);
    if (dev.pdev.errorState !== 'normal') return BLK_EH_RESET_TIMER;
    if (shouldReset(dev, csts)) {
      warnReset(dev, csts);
      return disableAndReset(dev, completion);
    }
    if (nvmeq.polled) completion.pollCq(nvmeq, null);
    else await nvmePollIrqdisable(nvmeq, completion);
    if (rq.state !== MQ_RQ_IN_FLIGHT) {
      warn(dev, rq, nvmeq, 'completion polled');
      return BLK_EH_DONE;
    }
    const request = nvmeIod(rq).nvme;
    if (ctrl.state === NVME_CTRL_CONNECTING || ctrl.state === NVME_CTRL_DELETING) {
      if (ctrl.state === NVME_CTRL_CONNECTING) dev.deps.nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DELETING);
      warn(dev, rq, nvmeq, 'disable controller');
      request.flags |= NVME_REQ_CANCELLED;
      await nvmeDevDisable(dev, true, completion);
      return BLK_EH_DONE;
    }
    if (ctrl.state === NVME_CTRL_RESETTING) return BLK_EH_RESET_TIMER;
    if (nvmeq.qid === 0 || nvmeIod(rq).aborted) {
      warn(dev, rq, nvmeq, 'reset controller');
      request.flags |= NVME_REQ_CANCELLED;
      return disableAndReset(dev, completion);
    }
    return abort(dev, rq, nvmeq);
  },
);

function isTerminal(dev: NvmeDev): boolean {
  const { state } = dev.ctrl;
  return state === NVME_CTRL_DELETING || state === NVME_CTRL_DELETING_NOIO || state === NVME_CTRL_DEAD;
}

/** @kernel drivers/nvme/host/pci.c nvme_should_reset */
function shouldReset(dev: NvmeDev, csts: number): boolean {
  const { state } = dev.ctrl;
  if (state === NVME_CTRL_RESETTING || state === NVME_CTRL_CONNECTING) return false;
  return (csts & NVME_CSTS_CFS) !== 0 || (csts & NVME_CSTS_RDY) === 0;
}

function warnReset(dev: NvmeDev, csts: number): void {
  dev.kernel.printk.print(
    'warn',
    `nvme ${dev.ctrl.name}: controller is down; will reset: CSTS=0x${csts.toString(16)}, PCI_STATUS=0x${dev.deps.pciBus
      .pciReadConfigWord(dev.pdev, 6)
      .toString(16)}`,
  );
}

function describe(rq: Request, nvmeq: NvmeQueue): string {
  const cmd = nvmeIod(rq).nvme.cmd;
  const opcode = (cmd[0] as number) & 0xff;
  const cid = (cmd[0] as number) >>> 16;
  const name = nvmeOpcodeName(nvmeq.qid, opcode);
  return `I/O tag ${rq.tag} (${cid.toString(16).padStart(4, '0')}) opcode 0x${opcode.toString(16)} (${name}) QID ${nvmeq.qid}`;
}

function warn(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue, what: string): void {
  dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: ${describe(rq, nvmeq)} timeout, ${what}`);
}

/** Sends Abort; the command gets another time-out to end in. Not beyond the controller's abort limit. */
function abort(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue): number {
  const { blkMq, nvmeCore } = dev.deps;
  const { ctrl } = dev;
  if (ctrl.abortLimit === 0) return BLK_EH_RESET_TIMER;
  ctrl.abortLimit--;
  nvmeIod(rq).aborted = true;
  warn(dev, rq, nvmeq, 'aborting');
  const abortRq = blkMq.blkMqTryAllocRequest(ctrl.adminQ as RequestQueue, REQ_OP_DRV_OUT, {});
  if (abortRq === null) {
    ctrl.abortLimit++;
    return BLK_EH_RESET_TIMER;
  }
  const cid = (nvmeIod(rq).nvme.cmd[0] as number) >>> 16;
  nvmeCore.nvmeInitRequest(
    abortRq,
    commandWords(NvmeAbortCmd.encode({ opcode: NvmeAdminOpcode.abortCmd, sqid: nvmeq.qid, cid })),
  );
  abortRq.endIo = (ended) => abortEndio(dev, ended);
  blkMq.blkExecuteRqNowait(abortRq, false);
  return BLK_EH_RESET_TIMER;
}

/** @kernel drivers/nvme/host/pci.c abort_endio */
function abortEndio(dev: NvmeDev, rq: Request): 0 | 1 {
  dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: Abort status: 0x${nvmeIod(rq).nvme.status.toString(16)}`);
  dev.ctrl.abortLimit++;
  return RQ_END_IO_FREE;
}

/** Takes the controller down and queues its reset, unless it is going away already. */
async function disableAndReset(dev: NvmeDev, completion: NvmeCompletion): Promise<number> {
  const { nvmeCore, workqueues } = dev.deps;
  const { ctrl } = dev;
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING)) {
    if (isTerminal(dev)) await nvmeDevDisable(dev, true, completion);
    return BLK_EH_DONE;
  }
  await nvmeDevDisable(dev, false, completion);
  if (dev.resetWork === null) throw new KernelError('ENODEV', 'reset work');
  if (!workqueues.queueWork(nvmeCore.nvmeResetWq, dev.resetWork)) nvmeCore.nvmeUnquiesceIoQueues(ctrl);
  return BLK_EH_DONE;
}
