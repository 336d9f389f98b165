/**
 * Who may send which command from userland.
 * Kernel counterpart: drivers/nvme/host/ioctl.c nvme_cmd_allowed.
 */
import { KernelError } from '@nvme-stack/kernel';
import {
  NVME_CMD_EFFECTS_CSUPP,
  NVME_CMD_EFFECTS_LBCC,
  NVME_CMD_EFFECTS_SCOPE_MASK,
  NVME_CMD_EFFECTS_UUID_SEL,
  NVME_ID_CNS_CS_CTRL,
  NVME_ID_CNS_CS_NS,
  NVME_ID_CNS_CTRL,
  NVME_ID_CNS_NS,
  NVME_ID_CNS_NS_CS_INDEP,
  NvmeAdminOpcode,
  nvme_fabrics_command,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { nvmeCommandEffects } from './effects.js';
import type { Ns } from './namespace.js';

/** First vendor-specific I/O opcode; compared with admin opcodes too. @kernel include/linux/nvme.h nvme_cmd_vendor_start */
const VENDOR_START = 0x80;
/** What a user needs to form I/O commands, and nothing that should be kept from him. */
const HARMLESS_CNS: readonly number[] = [
  NVME_ID_CNS_NS,
  NVME_ID_CNS_CS_NS,
  NVME_ID_CNS_NS_CS_INDEP,
  NVME_ID_CNS_CS_CTRL,
  NVME_ID_CNS_CTRL,
];
/** `>>> 0`: the scope bits reach the sign. */
const HARMLESS_EFFECTS =
  (NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC | NVME_CMD_EFFECTS_UUID_SEL | NVME_CMD_EFFECTS_SCOPE_MASK) >>> 0;

/** Who calls, and through what. */
export interface IoctlCaller {
  /** @kernel kernel/capability.c capable(CAP_SYS_ADMIN) */
  readonly sysAdmin: boolean;
  readonly openForWrite: boolean;
  /** Through a partition's node: its borders mean nothing to a command. */
  readonly partition: boolean;
}

function allowedToAll(ctrl: Ctrl, ns: Ns | null, words: Uint32Array, caller: IoctlCaller): boolean {
  const opcode = words[0] & 0xff;
  if (caller.partition || opcode >= VENDOR_START || opcode === nvme_fabrics_command) return false;
  if (ns === null) return opcode === NvmeAdminOpcode.identify && HARMLESS_CNS.includes(words[10] & 0xff);
  const effects = nvmeCommandEffects(ctrl, true, opcode);
  if ((effects & NVME_CMD_EFFECTS_CSUPP) === 0 || (effects & ~HARMLESS_EFFECTS) !== 0) return false;
  const writes = (opcode & 1) !== 0 || (effects & NVME_CMD_EFFECTS_LBCC) !== 0;
  return !writes || caller.openForWrite;
}

/** Throws EACCES for a command this caller may not send. Any context. @kernel drivers/nvme/host/ioctl.c nvme_cmd_allowed */
export function nvmeCmdAllowed(ctrl: Ctrl, ns: Ns | null, words: Uint32Array, caller: IoctlCaller): void {
  if (allowedToAll(ctrl, ns, words, caller) || caller.sysAdmin) return;
  throw new KernelError('EACCES', `${ctrl.name}: opcode ${words[0] & 0xff} needs CAP_SYS_ADMIN`);
}

/** Throws EACCES without CAP_SYS_ADMIN. */
export function requireSysAdmin(ctrl: Ctrl, caller: IoctlCaller): void {
  if (!caller.sysAdmin) throw new KernelError('EACCES', `${ctrl.name}: this needs CAP_SYS_ADMIN`);
}
