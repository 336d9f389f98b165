/**
 * What the log says of a command that takes too long, in the words of each era.
 * Kernel counterpart: the dev_warn calls of drivers/nvme/host/pci.c nvme_timeout, nvme_warn_reset.
 */
import {
  REQ_OP_DISCARD,
  REQ_OP_DRV_IN,
  REQ_OP_DRV_OUT,
  REQ_OP_FLUSH,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
  REQ_OP_WRITE_ZEROES,
  type Request,
} from '@nvme-stack/blk-mq/ports';
import { NVME_REQ_CANCELLED } from '@nvme-stack/nvme-core/ports';
import { type NvmeDev, type NvmeQueue, nvmeIod } from './dev.js';

/** What a read of a device that is gone gives. */
export const ALL_ONES = 0xffffffff;
const PCI_STATUS = 6;
/** -EINTR as `%04x` of an int. */
const CANCELLED_AS_HEX = 'fffffffc';

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

export function warn(dev: NvmeDev, text: string): void {
  dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: ${text}`);
}

/** @kernel drivers/nvme/host/nvme.h nvme_cid */
export function commandId(rq: Request): number {
  return (nvmeIod(rq).nvme.cmd[0] as number) >>> 16;
}

/** Tag and, since 6.8, command identifier. */
function tagOf(dev: NvmeDev, rq: Request): string {
  if (dev.driver.era.timeoutNames !== 'full') return `I/O ${rq.tag}`;
  return `I/O tag ${rq.tag} (${commandId(rq).toString(16).padStart(4, '0')})`;
}

/** Without CONFIG_NVME_VERBOSE_ERRORS only the kind of queue. @kernel drivers/nvme/host/nvme.h nvme_opcode_str */
function kindOf(nvmeq: NvmeQueue): string {
  return `${nvmeq.qid === 0 ? 'Admin' : 'I/O'} Cmd`;
}

function opcodeOf(rq: Request, nvmeq: NvmeQueue): string {
  const opcode = (nvmeIod(rq).nvme.cmd[0] as number) & 0xff;
  return `opcode 0x${opcode.toString(16)} (${kindOf(nvmeq)})`;
}

/** The command in a line that says no more of it. */
export function nameTimeout(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue): string {
  return `${tagOf(dev, rq)} QID ${nvmeq.qid}`;
}

/** The command whose controller is reset. */
export function nameReset(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue): string {
  const opcode = dev.driver.era.timeoutNames === 'full' ? ` ${opcodeOf(rq, nvmeq)}` : '';
  return `${tagOf(dev, rq)}${opcode} QID ${nvmeq.qid}`;
}

/** The whole line of a command that is aborted. */
export function nameAborting(dev: NvmeDev, rq: Request, nvmeq: NvmeQueue): string {
  switch (dev.driver.era.timeoutNames) {
    case 'tag':
      return `${nameTimeout(dev, rq, nvmeq)} timeout, aborting`;
    case 'kind':
      return `${tagOf(dev, rq)} (${kindOf(nvmeq)}) QID ${nvmeq.qid} timeout, aborting`;
    default: {
      const op = rq.cmdFlags & REQ_OP_MASK;
      const operation = `req_op:${REQ_OP_NAMES.get(op) ?? 'UNKNOWN'}(${op}) size:${rq.dataLengthBytes}`;
      return `${nameReset(dev, rq, nvmeq)} timeout, aborting ${operation}`;
    }
  }
}

/** What became of a command that was to be aborted; EINTR of one whose controller was reset for it. */
export function warnAborted(dev: NvmeDev, rq: Request): void {
  const { flags, status } = nvmeIod(rq).nvme;
  const text = flags & NVME_REQ_CANCELLED ? CANCELLED_AS_HEX : status.toString(16).padStart(4, '0');
  warn(dev, `completing aborted command with status: ${text}`);
}

/** Says what is wrong, with a look at the configuration space. @kernel drivers/nvme/host/pci.c nvme_warn_reset */
export function warnReset(dev: NvmeDev, csts: number): void {
  const status = dev.deps.pciBus.pciReadConfigWord(dev.pdev, PCI_STATUS);
  warn(dev, `controller is down; will reset: CSTS=0x${csts.toString(16)}, PCI_STATUS=0x${status.toString(16)}`);
  if (csts !== ALL_ONES || !dev.driver.era.advisesOnPower) return;
  warn(dev, 'Does your device have a faulty power saving mode enabled?');
  warn(dev, 'Try "nvme_core.default_ps_max_latency_us=0 pcie_aspm=off pcie_port_pm=off" and report a bug');
}
