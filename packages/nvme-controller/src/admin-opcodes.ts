// The admin opcodes this controller has.
// Kernel counterpart: include/linux/nvme.h enum nvme_admin_opcode. Spec: [NVMe] 2.0 §5.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { ControllerState } from './controller-state.js';

const ADMIN_OPCODES: ReadonlySet<number> = new Set([
  nvme.NvmeAdminOpcode.deleteSq,
  nvme.NvmeAdminOpcode.createSq,
  nvme.NvmeAdminOpcode.getLogPage,
  nvme.NvmeAdminOpcode.deleteCq,
  nvme.NvmeAdminOpcode.createCq,
  nvme.NvmeAdminOpcode.identify,
  nvme.NvmeAdminOpcode.abortCmd,
  nvme.NvmeAdminOpcode.setFeatures,
  nvme.NvmeAdminOpcode.getFeatures,
  nvme.NvmeAdminOpcode.asyncEvent,
  nvme.NvmeAdminOpcode.nsAttach,
  nvme.NvmeAdminOpcode.directiveSend,
  nvme.NvmeAdminOpcode.directiveRecv,
  nvme.NvmeAdminOpcode.virtualMgmt,
  nvme.NvmeAdminOpcode.dbbuf,
  nvme.NvmeAdminOpcode.formatNvm,
]);

/** Whether this controller has an opcode. */
export function hasAdminOpcode({ description, streams }: ControllerState, opcode: number): boolean {
  switch (opcode) {
    case nvme.NvmeAdminOpcode.dbbuf:
      return description.dbbuf;
    case nvme.NvmeAdminOpcode.directiveSend:
    case nvme.NvmeAdminOpcode.directiveRecv:
      return streams !== null;
    default:
      return ADMIN_OPCODES.has(opcode);
  }
}

/** The opcodes that it has, as the effects log names them. */
export function adminOpcodes(controller: ControllerState): number[] {
  return [...ADMIN_OPCODES].filter((opcode) => hasAdminOpcode(controller, opcode));
}
