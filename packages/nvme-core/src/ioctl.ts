/**
 * The ioctls of /dev/nvmeN, /dev/nvmeNnM and /dev/ngNnM.
 * Kernel counterpart: drivers/nvme/host/ioctl.c. The argument is a typed object instead of a C structure.
 */
import type { FileOperations } from '@nvme-stack/device-core/ports';
import { KernelError, traced } from '@nvme-stack/kernel';
import { NvmeCommonCommand, NvmeNvmOpcode, NvmeRwCommand } from '@nvme-stack/nvme-protocol';
import { type Ctrl, nvmeGetCtrl, nvmePutCtrl } from './ctrl.js';
import { ctrlLog } from './log.js';
import type { Ns } from './namespace.js';
import { nvmeSubmitUserCmd, type UserResult } from './passthrough.js';
import {
  NVME_CTRL_LIVE,
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ADMIN64_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD,
  NVME_IOCTL_RESCAN,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBMIT_IO,
  NVME_IOCTL_SUBSYS_RESET,
  type NvmePassthruCmd,
  type NvmeUserIo,
} from './ports.js';
import { nvmeQueueScan } from './scan.js';
import { nvmeResetCtrlSync } from './state.js';
import { adminQueue, commandWords } from './sync-command.js';

/** Ioctls that send a command, each to the admin queue or to the namespace's. */
function isAdmin(command: number): boolean {
  return command === NVME_IOCTL_ADMIN_CMD || command === NVME_IOCTL_ADMIN64_CMD;
}
function isIo(command: number): boolean {
  return command === NVME_IOCTL_IO_CMD || command === NVME_IOCTL_IO64_CMD;
}

function passthruCmd(argument: unknown): NvmePassthruCmd {
  const cmd = argument as NvmePassthruCmd | null;
  if (typeof cmd !== 'object' || cmd === null || typeof cmd.opcode !== 'number')
    throw new KernelError('EFAULT', 'the argument must be an object with an opcode');
  if (cmd.data !== undefined && !(cmd.data instanceof Uint8Array))
    throw new KernelError('EFAULT', 'data must be a Uint8Array');
  if ((cmd.flags ?? 0) !== 0) throw new KernelError('EINVAL', `flags: ${cmd.flags}, only 0 is allowed`);
  return cmd;
}

function passthruWords(cmd: NvmePassthruCmd): Uint32Array {
  const { opcode, nsid, cdw2, cdw3, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15 } = cmd;
  try {
    return commandWords(
      NvmeCommonCommand.encode({ opcode, nsid, cdw2, cdw3, cdw10, cdw11, cdw12, cdw13, cdw14, cdw15 }),
    );
  } catch (error) {
    throw new KernelError('EINVAL', error instanceof Error ? error.message : 'command');
  }
}

/** Sends the caller's command; the status is the ioctl's result. @kernel drivers/nvme/host/ioctl.c nvme_user_cmd */
const nvmeUserCmd = traced(
  'nvme_user_cmd',
  async (ctrl: Ctrl, ns: Ns | null, argument: unknown, wide: boolean): Promise<number> => {
    const cmd = passthruCmd(argument);
    const nsid = cmd.nsid ?? 0;
    if (ns !== null && nsid !== ns.nsid) {
      ctrlLog(ctrl, 'err', `nvme: nsid (${nsid}) in cmd does not match nsid (${ns.nsid}) of namespace`);
      throw new KernelError('EINVAL', `nsid: ${nsid}, this is namespace ${ns.nsid}`);
    }
    const words = passthruWords(cmd);
    const q = ns === null ? adminQueue(ctrl) : ns.queue;
    const outcome: UserResult = await nvmeSubmitUserCmd(ctrl, q, {
      words,
      data: cmd.data ?? null,
      timeoutMs: cmd.timeoutMs ?? 0,
    });
    cmd.result = outcome.result;
    if (wide) cmd.resultHi = outcome.resultHi;
    return outcome.status;
  },
);

/** Reads, writes and compares of whole blocks. @kernel drivers/nvme/host/ioctl.c nvme_submit_io */
async function nvmeSubmitIo(ns: Ns, argument: unknown): Promise<number> {
  const io = argument as NvmeUserIo;
  const { opcode, slba, nblocks, control, dsmgmt, reftag, apptag, appmask, data } = io;
  const known: readonly number[] = [NvmeNvmOpcode.read, NvmeNvmOpcode.write, NvmeNvmOpcode.compare];
  if (!known.includes(opcode))
    throw new KernelError('EINVAL', `opcode: ${opcode}, only read, write and compare are allowed`);
  const lengthBytes = (nblocks + 1) * 2 ** ns.lbaShift;
  if (!(data instanceof Uint8Array) || data.length < lengthBytes)
    throw new KernelError('EFAULT', `data: ${lengthBytes} bytes are needed`);
  const words = commandWords(
    NvmeRwCommand.encode({ opcode, nsid: ns.nsid, slba, length: nblocks, control, dsmgmt, reftag, apptag, appmask }),
  );
  const outcome = await nvmeSubmitUserCmd(ns.ctrl, ns.queue, {
    words,
    data: data.subarray(0, lengthBytes),
    timeoutMs: 0,
  });
  return outcome.status;
}

/** Of a namespace's nodes. @kernel drivers/nvme/host/ioctl.c nvme_ioctl, nvme_ns_chr_ioctl */
export const nvmeNsIoctl = traced(
  'nvme_ns_ioctl',
  async (ns: Ns, command: number, argument: unknown, _writable: boolean): Promise<number> => {
    if (command === NVME_IOCTL_ID) return ns.nsid;
    if (isAdmin(command)) return await nvmeUserCmd(ns.ctrl, null, argument, command === NVME_IOCTL_ADMIN64_CMD);
    if (isIo(command)) return await nvmeUserCmd(ns.ctrl, ns, argument, command === NVME_IOCTL_IO64_CMD);
    if (command === NVME_IOCTL_SUBMIT_IO) return await nvmeSubmitIo(ns, argument);
    if (command === NVME_IOCTL_RESET || command === NVME_IOCTL_SUBSYS_RESET || command === NVME_IOCTL_RESCAN)
      return await nvmeCtrlIoctl(ns.ctrl, command);
    throw new KernelError('ENOTTY', `ioctl 0x${command.toString(16)}`);
  },
);

/** Ioctls on the controller as a whole. */
async function nvmeCtrlIoctl(ctrl: Ctrl, command: number): Promise<number> {
  if (command === NVME_IOCTL_RESET) {
    ctrlLog(ctrl, 'warn', 'resetting controller');
    await nvmeResetCtrlSync(ctrl);
  } else if (command === NVME_IOCTL_SUBSYS_RESET) {
    if (!ctrl.canResetSubsystem || ctrl.ops.subsystemReset === undefined)
      throw new KernelError('ENOTTY', `${ctrl.name}: no subsystem reset`);
    ctrl.ops.subsystemReset(ctrl);
  } else nvmeQueueScan(ctrl);
  return 0;
}

/** With one namespace, the controller's node may speak for it. @kernel drivers/nvme/host/ioctl.c nvme_dev_user_cmd */
async function nvmeDevUserCmd(ctrl: Ctrl, argument: unknown): Promise<number> {
  if (ctrl.namespaces.length === 0) throw new KernelError('ENOTTY', `${ctrl.name}: no namespace`);
  if (ctrl.namespaces.length > 1) {
    ctrlLog(ctrl, 'warn', 'NVME_IOCTL_IO_CMD not supported when multiple namespaces present!');
    throw new KernelError('EINVAL', `${ctrl.name}: several namespaces`);
  }
  ctrlLog(ctrl, 'warn', 'using deprecated NVME_IOCTL_IO_CMD ioctl on the char device!');
  return await nvmeUserCmd(ctrl, ctrl.namespaces[0] as Ns, argument, false);
}

/** @kernel drivers/nvme/host/ioctl.c nvme_dev_ioctl */
const nvmeDevIoctl = traced(
  'nvme_dev_ioctl',
  async (ctrl: Ctrl, command: number, argument: unknown): Promise<number> => {
    if (isAdmin(command)) return await nvmeUserCmd(ctrl, null, argument, command === NVME_IOCTL_ADMIN64_CMD);
    if (command === NVME_IOCTL_IO_CMD) return await nvmeDevUserCmd(ctrl, argument);
    if (command === NVME_IOCTL_RESET || command === NVME_IOCTL_SUBSYS_RESET || command === NVME_IOCTL_RESCAN)
      return await nvmeCtrlIoctl(ctrl, command);
    throw new KernelError('ENOTTY', `ioctl 0x${command.toString(16)}`);
  },
);

/** File operations of /dev/nvmeN; only a live controller can be opened (Linux: EWOULDBLOCK). @kernel drivers/nvme/host/core.c nvme_dev_fops */
export function ctrlFileOperations(ctrl: Ctrl): FileOperations {
  return {
    open: async () => {
      if (ctrl.state !== NVME_CTRL_LIVE) throw new KernelError('EAGAIN', `${ctrl.name}: not live`);
      nvmeGetCtrl(ctrl);
    },
    release: async () => nvmePutCtrl(ctrl),
    unlockedIoctl: async (_file, command, argument) => await nvmeDevIoctl(ctrl, command, argument),
  };
}
