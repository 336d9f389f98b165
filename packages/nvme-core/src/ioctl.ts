/**
 * The ioctls of /dev/nvmeN, /dev/nvmeNnM and /dev/ngNnM.
 * Kernel counterpart: drivers/nvme/host/ioctl.c. The argument is a typed object instead of a C structure.
 */
import type { FileOperations, OpenFile } from '@nvme-stack/device-core/ports';
import { type HasKernel, KernelError, traced } from '@nvme-stack/kernel';
import { NVME_REG_NSSR, NVME_SUBSYS_RESET } from '@nvme-stack/nvme-protocol';
import { type Ctrl, nvmeGetCtrl, nvmePutCtrl } from './ctrl.js';
import { passthruCmd, passthruCommand, userIoCommand } from './ioctl-argument.js';
import { type IoctlCaller, nvmeCmdAllowed, requireSysAdmin } from './ioctl-permission.js';
import { ctrlLog } from './log.js';
import { nvmeFindPath } from './multipath/paths.js';
import { type Ns, nvmePutNs } from './namespace.js';
import type { NsHead } from './namespace-head.js';
import { nvmeSubmitUserCmd } from './passthrough.js';
import {
  NVME_CTRL_LIVE,
  NVME_IOCTL_ADMIN_CMD,
  NVME_IOCTL_ADMIN64_CMD,
  NVME_IOCTL_ID,
  NVME_IOCTL_IO_CMD,
  NVME_IOCTL_IO64_CMD,
  NVME_IOCTL_IO64_CMD_VEC,
  NVME_IOCTL_RESCAN,
  NVME_IOCTL_RESET,
  NVME_IOCTL_SUBMIT_IO,
  NVME_IOCTL_SUBSYS_RESET,
} from './ports.js';
import { nvmeQueueScan } from './scan.js';
import { nvmeResetCtrlSync, nvmeTrySchedReset, nvmeWaitReset } from './state.js';
import { adminQueue } from './sync-command.js';

/** How an ioctl's structure is read. */
type Form = 'plain' | 'wide' | 'vectored';

/** One ioctl under way; `ns` is null for admin commands. */
interface Call extends HasKernel {
  readonly ctrl: Ctrl;
  readonly ns: Ns | null;
  readonly argument: unknown;
  readonly caller: IoctlCaller;
}

function callOf(ctrl: Ctrl, ns: Ns | null, argument: unknown, caller: IoctlCaller): Call {
  return { kernel: ctrl.kernel, ctrl, ns, argument, caller };
}

function noSuchIoctl(command: number): never {
  throw new KernelError('ENOTTY', `ioctl 0x${command.toString(16)}`);
}

/** @kernel drivers/nvme/host/ioctl.c nvme_validate_passthru_nsid */
function nvmeValidatePassthruNsid(ctrl: Ctrl, ns: Ns | null, nsid: number): void {
  if (ns === null || nsid === ns.nsid || !ctrl.core.era.ioctls.checksNsid) return;
  const comm = ctrl.kernel.ex.current.name;
  ctrlLog(ctrl, 'err', `${comm}: nsid (${nsid}) in cmd does not match nsid (${ns.nsid}) of namespace`);
  throw new KernelError('EINVAL', `nsid: ${nsid}, this is namespace ${ns.nsid}`);
}

/** The status is the ioctl's result; the completion's dwords go into the argument. */
async function userCmd({ ctrl, ns, argument, caller }: Call, form: Form): Promise<number> {
  const { permission } = ctrl.core.era.ioctls;
  if (permission === 'administrator') requireSysAdmin(ctrl, caller);
  const cmd = passthruCmd(argument, form === 'vectored');
  nvmeValidatePassthruNsid(ctrl, ns, cmd.nsid ?? 0);
  const command = passthruCommand(cmd);
  if (permission === 'by-command') nvmeCmdAllowed(ctrl, ns, command.words, caller);
  const q = ns === null ? adminQueue(ctrl) : ns.queue;
  const outcome = await nvmeSubmitUserCmd(ctrl, q, command);
  cmd.result = outcome.result;
  if (form !== 'plain') cmd.resultHi = outcome.resultHi;
  return outcome.status;
}

/** Sends the caller's command. @kernel drivers/nvme/host/ioctl.c nvme_user_cmd */
const nvmeUserCmd = traced('nvme_user_cmd', async (call: Call): Promise<number> => await userCmd(call, 'plain'));

/** The same with 64-bit results, and a list of buffers. @kernel drivers/nvme/host/ioctl.c nvme_user_cmd64 */
const nvmeUserCmd64 = traced(
  'nvme_user_cmd64',
  async (call: Call, form: Form): Promise<number> => await userCmd(call, form),
);

/** Reads, writes and compares of whole blocks; nobody is refused who could open the node. @kernel drivers/nvme/host/ioctl.c nvme_submit_io */
const nvmeSubmitIo = traced('nvme_submit_io', async (ns: Ns, argument: unknown): Promise<number> => {
  const { status } = await nvmeSubmitUserCmd(ns.ctrl, ns.queue, userIoCommand(ns, argument));
  return status;
});

/** Admin commands, which every node takes; null: another ioctl. @kernel drivers/nvme/host/ioctl.c nvme_ctrl_ioctl */
async function nvmeCtrlIoctl(ctrl: Ctrl, command: number, call: Call): Promise<number | null> {
  if (command === NVME_IOCTL_ADMIN_CMD) return await nvmeUserCmd(call);
  if (command === NVME_IOCTL_ADMIN64_CMD && ctrl.core.era.ioctls.wide) return await nvmeUserCmd64(call, 'wide');
  return null;
}

/** @kernel drivers/nvme/host/ioctl.c nvme_ns_ioctl */
async function nvmeNsIoctl(ns: Ns, command: number, call: Call): Promise<number> {
  const { wide, vectored } = ns.ctrl.core.era.ioctls;
  if (command === NVME_IOCTL_ID) return ns.nsid;
  if (command === NVME_IOCTL_IO_CMD) return await nvmeUserCmd(call);
  if (command === NVME_IOCTL_SUBMIT_IO) return await nvmeSubmitIo(ns, call.argument);
  if (command === NVME_IOCTL_IO64_CMD && wide) return await nvmeUserCmd64(call, 'wide');
  if (command === NVME_IOCTL_IO64_CMD_VEC && vectored) return await nvmeUserCmd64(call, 'vectored');
  return noSuchIoctl(command);
}

async function namespaceNode(ns: Ns, command: number, argument: unknown, caller: IoctlCaller): Promise<number> {
  const { ctrl } = ns;
  const status = await nvmeCtrlIoctl(ctrl, command, callOf(ctrl, null, argument, caller));
  return status ?? (await nvmeNsIoctl(ns, command, callOf(ctrl, ns, argument, caller)));
}

/** Of a disk and its partitions. @kernel drivers/nvme/host/ioctl.c nvme_ioctl */
export const nvmeIoctl = traced(
  'nvme_ioctl',
  async (ns: Ns, command: number, argument: unknown, caller: IoctlCaller): Promise<number> =>
    await namespaceNode(ns, command, argument, caller),
);

/** Of a namespace's character device. @kernel drivers/nvme/host/ioctl.c nvme_ns_chr_ioctl */
export const nvmeNsChrIoctl = traced(
  'nvme_ns_chr_ioctl',
  async (ns: Ns, command: number, argument: unknown, caller: IoctlCaller): Promise<number> =>
    await namespaceNode(ns, command, argument, caller),
);

/** By the path that a bio would take now. Throws EAGAIN (Linux's EWOULDBLOCK) without one. @kernel drivers/nvme/host/ioctl.c nvme_ns_head_ioctl */
async function headNode(head: NsHead, command: number, argument: unknown, caller: IoctlCaller): Promise<number> {
  const ns = nvmeFindPath(head);
  if (ns === null) throw new KernelError('EAGAIN', `nsid ${head.nsid}: no path`);
  ns.refs++;
  try {
    return await namespaceNode(ns, command, argument, caller);
  } finally {
    await nvmePutNs(ns);
  }
}

/** Of a head's disk and its partitions. @kernel drivers/nvme/host/ioctl.c nvme_ns_head_ioctl */
export const nvmeNsHeadIoctl = traced(
  'nvme_ns_head_ioctl',
  async (head: NsHead, command: number, argument: unknown, caller: IoctlCaller): Promise<number> =>
    await headNode(head, command, argument, caller),
);

/** Of a head's character device. @kernel drivers/nvme/host/ioctl.c nvme_ns_head_chr_ioctl */
export const nvmeNsHeadChrIoctl = traced(
  'nvme_ns_head_chr_ioctl',
  async (head: NsHead, command: number, argument: unknown, caller: IoctlCaller): Promise<number> =>
    await headNode(head, command, argument, caller),
);

/** Who calls through an open file. */
export function ioctlCaller(file: OpenFile, partition = false): IoctlCaller {
  return { sysAdmin: file.sysAdmin, openForWrite: file.writable, partition };
}

/** With one namespace, the controller's node may speak for it. @kernel drivers/nvme/host/ioctl.c nvme_dev_user_cmd */
async function nvmeDevUserCmd(ctrl: Ctrl, argument: unknown, caller: IoctlCaller): Promise<number> {
  if (ctrl.namespaces.length === 0) throw new KernelError('ENOTTY', `${ctrl.name}: no namespace`);
  if (ctrl.namespaces.length > 1) {
    ctrlLog(ctrl, 'warn', 'NVME_IOCTL_IO_CMD not supported when multiple namespaces present!');
    throw new KernelError('EINVAL', `${ctrl.name}: several namespaces`);
  }
  ctrlLog(ctrl, 'warn', 'using deprecated NVME_IOCTL_IO_CMD ioctl on the char device!');
  const ns = ctrl.namespaces[0] as Ns;
  ns.refs++;
  try {
    return await nvmeUserCmd(callOf(ctrl, ns, argument, caller));
  } finally {
    await nvmePutNs(ns);
  }
}

/** Throws ENOTTY where CAP.NSSRS is 0, EBUSY when a reset is under way. @kernel drivers/nvme/host/nvme.h nvme_reset_subsystem */
async function nvmeResetSubsystem(ctrl: Ctrl): Promise<void> {
  if (!ctrl.canResetSubsystem) throw new KernelError('ENOTTY', `${ctrl.name}: no subsystem reset`);
  const { subsystemReset } = ctrl.core.era.ioctls;
  if (subsystemReset === 'transport') {
    if (ctrl.ops.subsystemReset === undefined) throw new KernelError('ENOTTY', `${ctrl.name}: no subsystem reset`);
    await ctrl.ops.subsystemReset(ctrl);
    return;
  }
  const resets = subsystemReset === 'write-and-reset';
  if (resets && !(await nvmeWaitReset(ctrl))) throw new KernelError('EBUSY', `${ctrl.name}: reset`);
  ctrl.ops.regWrite32(ctrl, NVME_REG_NSSR, NVME_SUBSYS_RESET);
  if (resets) nvmeTrySchedReset(ctrl);
}

/** On the controller as a whole. */
async function manage(ctrl: Ctrl, command: number, caller: IoctlCaller): Promise<number> {
  if (command !== NVME_IOCTL_RESET && command !== NVME_IOCTL_SUBSYS_RESET && command !== NVME_IOCTL_RESCAN)
    noSuchIoctl(command);
  if (ctrl.core.era.ioctls.managementIsAdministrators) requireSysAdmin(ctrl, caller);
  if (command === NVME_IOCTL_RESET) {
    ctrlLog(ctrl, 'warn', 'resetting controller');
    await nvmeResetCtrlSync(ctrl);
  } else if (command === NVME_IOCTL_SUBSYS_RESET) await nvmeResetSubsystem(ctrl);
  else nvmeQueueScan(ctrl);
  return 0;
}

/** @kernel drivers/nvme/host/ioctl.c nvme_dev_ioctl */
const nvmeDevIoctl = traced(
  'nvme_dev_ioctl',
  async (ctrl: Ctrl, command: number, argument: unknown, caller: IoctlCaller): Promise<number> => {
    const status = await nvmeCtrlIoctl(ctrl, command, callOf(ctrl, null, argument, caller));
    if (status !== null) return status;
    if (command === NVME_IOCTL_IO_CMD) return await nvmeDevUserCmd(ctrl, argument, caller);
    return await manage(ctrl, command, caller);
  },
);

/** Only a live controller can be opened, at first one with an admin queue: throws EAGAIN, Linux's EWOULDBLOCK. @kernel drivers/nvme/host/core.c nvme_dev_open */
const nvmeDevOpen = traced('nvme_dev_open', (ctrl: Ctrl): void => {
  const isOpen = ctrl.core.era.opensWhen === 'live' ? ctrl.state === NVME_CTRL_LIVE : ctrl.adminQ !== null;
  if (!isOpen) throw new KernelError('EAGAIN', `${ctrl.name}: not live`);
  nvmeGetCtrl(ctrl);
});

/** @kernel drivers/nvme/host/core.c nvme_dev_release */
const nvmeDevRelease = traced('nvme_dev_release', (ctrl: Ctrl): void => nvmePutCtrl(ctrl));

/** File operations of /dev/nvmeN. @kernel drivers/nvme/host/core.c nvme_dev_fops */
export function ctrlFileOperations(ctrl: Ctrl): FileOperations {
  return {
    open: async () => nvmeDevOpen(ctrl),
    release: async () => nvmeDevRelease(ctrl),
    unlockedIoctl: async (file, command, argument) => await nvmeDevIoctl(ctrl, command, argument, ioctlCaller(file)),
  };
}
