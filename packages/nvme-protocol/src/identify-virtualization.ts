/**
 * Virtualization enhancements: what a primary controller can give away (CNS 14h), its secondary controllers (CNS 15h),
 * and the actions and resource types of Virtualization Management.
 * Kernel counterpart: none; Linux leaves them to passthrough. [NVMe] 2.0 5.17.2.13-14, 5.28, 8.26.
 */
import { array, nested, reserved, struct, u8, u16, u32 } from '@nvme-stack/wire';

/** Primary Controller Capabilities (CNS 14h). [NVMe] 2.0 5.17.2.13. */
export const NvmePrimaryCtrlCap = struct('nvme_primary_ctrl_cap', 4096, {
  cntlid: u16,
  portid: u16,
  crt: u8,
  rsvd5: reserved(27),
  vqfrt: u32,
  vqrfa: u32,
  vqrfap: u16,
  vqprt: u16,
  vqfrsm: u16,
  vqgran: u16,
  rsvd48: reserved(16),
  vifrt: u32,
  virfa: u32,
  virfap: u16,
  viprt: u16,
  vifrsm: u16,
  vigran: u16,
  rsvd80: reserved(4016),
});

/** CRT: VQ and VI resources can be given away. */
export const NVME_CTRL_CRT_VQ = 1 << 0;
export const NVME_CTRL_CRT_VI = 1 << 1;

/** A secondary controller; SCS is 1 while it is online. [NVMe] 2.0 5.17.2.14. */
export const NvmeSecondaryCtrl = struct('nvme_secondary_ctrl', 32, {
  scid: u16,
  pcid: u16,
  scs: u8,
  rsvd5: reserved(3),
  vfn: u16,
  nvq: u16,
  nvi: u16,
  rsvd14: reserved(18),
});

/** Secondary Controller List (CNS 15h). */
export const NvmeSecondaryCtrlList = struct('nvme_secondary_ctrl_list', 4096, {
  num: u8,
  rsvd1: reserved(31),
  sc_entry: array(nested(NvmeSecondaryCtrl), 127),
});

/** Actions of Virtualization Management, dword 10 bits 3:0. [NVMe] 2.0 5.28. */
export const NVME_VIRT_MGMT_ACT_PRIM_CTRL_FLEX_ALLOC = 0x1;
export const NVME_VIRT_MGMT_ACT_OFFLINE_SEC_CTRL = 0x7;
export const NVME_VIRT_MGMT_ACT_ASSIGN_SEC_CTRL = 0x8;
export const NVME_VIRT_MGMT_ACT_ONLINE_SEC_CTRL = 0x9;
/** Resource types, dword 10 bits 10:8. */
export const NVME_VIRT_MGMT_RT_VQ_RESOURCE = 0;
export const NVME_VIRT_MGMT_RT_VI_RESOURCE = 1;
