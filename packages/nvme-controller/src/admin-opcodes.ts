// The admin opcodes this controller has.
// Kernel counterpart: include/linux/nvme.h enum nvme_admin_opcode. Spec: [NVMe] 2.0 §5.
import * as nvme from '@nvme-stack/nvme-protocol';

/** Opcodes that exist; the effects log says the same. */
export const ADMIN_OPCODES: ReadonlySet<number> = new Set([
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
  nvme.NvmeAdminOpcode.virtualMgmt,
  nvme.NvmeAdminOpcode.dbbuf,
  nvme.NvmeAdminOpcode.formatNvm,
]);
