/**
 * What commands do to the rest: the effects log, and what is known without it.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_init_effects, nvme_get_effects_log, nvme_command_effects.
 * [NVMe] 5.1.12.1.6.
 */
import { traced } from '@nvme-stack/kernel';
import {
  NVME_CMD_EFFECTS_CSE_MASK,
  NVME_CMD_EFFECTS_CSER_MASK,
  NVME_CMD_EFFECTS_CSUPP,
  NVME_CMD_EFFECTS_LBCC,
  NVME_CMD_EFFECTS_NCC,
  NVME_CSI_NVM,
  NVME_CTRL_LPA_CMD_EFFECTS_LOG,
  NVME_LOG_CMD_EFFECTS,
  NvmeAdminOpcode,
  NvmeNvmOpcode,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { ctrlWarnOnce, hex } from './log.js';
import { throwErrno } from './status-map.js';
import type { IdCtrl } from './subsystem.js';
import { getLog } from './sync-command.js';

const EFFECTS_LOG_BYTES = 4096;
const OPCODES = 256;

/** Reads the log unless it is known; a controller that refuses it is taken as one without. Throws what kept the command from it. @kernel drivers/nvme/host/core.c nvme_get_effects_log */
const nvmeGetEffectsLog = traced('nvme_get_effects_log', async (ctrl: Ctrl, csi: number): Promise<void> => {
  if (ctrl.effectsLogKnown) return;
  const { status, data } = await getLog(ctrl, 0, NVME_LOG_CMD_EFFECTS, csi, EFFECTS_LOG_BYTES);
  if (status < 0) throwErrno(status, `${ctrl.name}: effects log`);
  if (status > 0) return;
  ctrl.effectsLogKnown = true;
  const words = new Uint32Array(data.buffer, data.byteOffset, 2 * OPCODES);
  ctrl.effects = { acs: words.slice(0, OPCODES), iocs: words.slice(OPCODES) };
});

/** Commands that write, whatever the log says. */
const WRITES_BLOCKS = [NvmeNvmOpcode.write, NvmeNvmOpcode.writeZeroes, NvmeNvmOpcode.writeUncor];

/**
 * Reads the log where there is one, and adds what every controller does. Security Receive needs no frozen I/O: what it
 * depends on is Security Send, an admin command too. Throws. @kernel drivers/nvme/host/core.c nvme_init_effects, nvme_init_known_nvm_effects
 */
export async function nvmeInitEffects(ctrl: Ctrl, id: IdCtrl): Promise<void> {
  if (id.lpa & NVME_CTRL_LPA_CMD_EFFECTS_LOG) await nvmeGetEffectsLog(ctrl, NVME_CSI_NVM);
  const { acs, iocs } = ctrl.effects;
  acs[NvmeAdminOpcode.formatNvm] |= NVME_CMD_EFFECTS_LBCC | NVME_CMD_EFFECTS_NCC | NVME_CMD_EFFECTS_CSE_MASK;
  acs[NvmeAdminOpcode.sanitizeNvm] |= NVME_CMD_EFFECTS_LBCC | NVME_CMD_EFFECTS_CSE_MASK;
  acs[NvmeAdminOpcode.securityRecv] &= ~NVME_CMD_EFFECTS_CSE_MASK;
  for (const opcode of WRITES_BLOCKS) iocs[opcode] |= NVME_CMD_EFFECTS_LBCC;
}

/** What a passthrough command does. Any context. @kernel drivers/nvme/host/core.c nvme_command_effects */
export function nvmeCommandEffects(ctrl: Ctrl, isIo: boolean, opcode: number): number {
  if (!isIo) {
    const effects = ctrl.effects.acs[opcode];
    // A command whose restrictions are relaxed needs nothing frozen.
    return effects & NVME_CMD_EFFECTS_CSER_MASK ? effects & ~NVME_CMD_EFFECTS_CSE_MASK : effects;
  }
  const effects = ctrl.effects.iocs[opcode];
  if (effects & ~(NVME_CMD_EFFECTS_CSUPP | NVME_CMD_EFFECTS_LBCC))
    ctrlWarnOnce(ctrl, 'effects', `IO command:${hex(opcode, 2)} has unusual effects:${hex(effects, 8)}`);
  // A frozen queue would never let the command itself through.
  return effects & ~NVME_CMD_EFFECTS_CSE_MASK;
}
