/**
 * A command takes too long: look whether it is done, then abort it, then reset the controller.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_timeout, abort_endio.
 */
import {
  BLK_EH_DONE,
  BLK_EH_RESET_TIMER,
  MQ_RQ_IN_FLIGHT,
  REQ_OP_DISCARD,
  REQ_OP_DRV_IN,
  REQ_OP_DRV_OUT,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
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
import { nvmeDevDisable, nvmeTrySchedReset } from './disable.js';
import { commandWords } from './queue-commands.js';
import { nvmeBar } from './registers.js';

/** What a read of a device that is gone gives. */
const ALL_ONES = 0xffffffff;
const PCI_STATUS = 6;

/** @kernel block/blk-core.c blk_op_str */
const REQ_OP_NAMES = new Map<number, string>([
  [REQ_OP_READ, 'READ'],
  [REQ_OP_WRITE, 'WRITE'],
  [REQ_OP_FLUSH, 'FLUSH'],
  [REQ_OP_DISCARD, 'DISCARD'],
  [REQ_OP_WRITE_ZEROES, 'WRITE_ZEROES'],
  [REQ_OP_DRV_IN, 'DRV_IN'],
  [REQ_OP_DRV_OUT, 'DRV_OUT'],
]);

/** @kernel drivers/nvme/host/pci.c nvme_timeout */
export const nvmeTimeout = traced(
  'nvme_timeout',
  async (dev: NvmeDev, rq: Request, completion: NvmeCompletion): Promise<number> => {
    const nvmeq = rq.mqHctx.driverData as NvmeQueue;
    const { ctrl } = dev;
    const csts = dev.bar === null ? ALL_ONES : nvmeBar(dev).readl(NVME_REG_CSTS);
    if (isTerminal(dev)) return disableAndReset(dev, completion);
    // While the bus recovers from an error, a reset would spoil it.
    if (dev.pdev.errorState !== 'normal') return BLK_EH_RESET_TIMER;
    if (shouldReset(dev, csts)) {
      warnReset(dev, csts);
      return disableAndReset(dev, completion);
    }
    if (nvmeq.polled) completion.pollCq(nvmeq, null);
    else await nvmePollIrqdisable(nvmeq, completion);
    if (rq.state !== MQ_RQ_IN_FLIGHT) {
      warn(dev, `${ioTag(rq)} QID ${nvmeq.qid} timeout, completion polled`);
      return BLK_EH_DONE;
    }
    const request = nvmeIod(rq).nvme;
    if (ctrl.state === NVME_CTRL_CONNECTING || ctrl.state === NVME_CTRL_DELETING) {
      if (ctrl.state === NVME_CTRL_CONNECTING) dev.deps.nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_DELETING);
      warn(dev, `${ioTag(rq)} QID ${nvmeq.qid} timeout, disable controller`);
      request.flags |= NVME_REQ_CANCELLED;
      await nvmeDevDisable(dev, true, completion);
      return BLK_EH_DONE;
    }
    if (ctrl.state === NVME_CTRL_RESETTING) return BLK_EH_RESET_TIMER;
    if (nvmeq.qid === 0 || nvmeIod(rq).aborted) {
      warn(dev, `${ioTag(rq)} ${opcodeOf(rq, nvmeq)} QID ${nvmeq.qid} timeout, reset controller`);
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
  return (csts & NVME_CSTS_CFS) !== 0 || (dev.subsystem && (csts & NVME_CSTS_NSSRO) !== 0);
}

/** Says what is wrong, with a look at the configuration space. @kernel drivers/nvme/host/pci.c nvme_warn_reset */
function warnReset(dev: NvmeDev, csts: number): void {
  const status = dev.deps.pciBus.pciReadConfigWord(dev.pdev, PCI_STATUS);
  warn(dev, `controller is down; will reset: CSTS=0x${csts.toString(16)}, PCI_STATUS=0x${status.toString(16)}`);
  if (csts !== ALL_ONES) return;
  warn(dev, 'Does your device have a faulty power saving mode enabled?');
  warn(dev, 'Try "nvme_core.default_ps_max_latency_us=0 pcie_aspm=off pcie_port_pm=off" and report a bug');
}

function warn(dev: NvmeDev, text: string): void {
  dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: ${text}`);
}

/** A request by its tag and command identifier. */
function ioTag(rq: Request): string {
  return `I/O tag ${rq.tag} (${commandId(rq).toString(16).padStart(4, '0')})`;
}

/** Linux without CONFIG_NVME_VERBOSE_ERRORS names the kind of queue only. @kernel drivers/nvme/host/nvme.h nvme_opcode_str */
function opcodeOf(rq: Request, nvmeq: NvmeQueue): string {
  const opcode = (nvmeIod(rq).nvme.cmd[0] as number) & 0xff;
  return `opcode 0x${opcode.toString(16)} (${nvmeq.qid === 0 ? 'Admin' : 'I/O'} Cmd)`;
}

/** @kernel drivers/nvme/host/nvme.h nvme_cid */
function commandId(rq: Request): number {
  return (nvmeIod(rq).nvme.cmd[0] as number) >>> 16;
}

/** Sends Abort; the command gets another time-out to end in. Not beyond the controller's abort limit. */
function abort(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue): number {
  const { blkMq, nvmeCore } = dev.deps;
  const { ctrl } = dev;
  if (ctrl.abortLimit === 0) return BLK_EH_RESET_TIMER;
  ctrl.abortLimit--;
  nvmeIod(rq).aborted = true;
  const op = rq.cmdFlags & REQ_OP_MASK;
  warn(
    dev,
    `${ioTag(rq)} ${opcodeOf(rq, nvmeq)} QID ${nvmeq.qid} timeout, aborting ` +
      `req_op:${REQ_OP_NAMES.get(op) ?? 'UNKNOWN'}(${op}) size:${rq.dataLengthBytes}`,
  );
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
async function disableAndReset(dev: NvmeDev, completion: NvmeCompletion): Promise<number> {
  const { nvmeCore } = dev.deps;
  const { ctrl } = dev;
  if (!nvmeCore.nvmeChangeCtrlState(ctrl, NVME_CTRL_RESETTING)) {
    if (isTerminal(dev)) await nvmeDevDisable(dev, true, completion);
    return BLK_EH_DONE;
  }
  await nvmeDevDisable(dev, false, completion);
  if (!nvmeTrySchedReset(dev)) nvmeCore.nvmeUnquiesceIoQueues(ctrl);
  return BLK_EH_DONE;
}
