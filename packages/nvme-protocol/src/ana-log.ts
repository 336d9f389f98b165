/**
 * Asymmetric Namespace Access: the log that says which groups of namespaces this controller reaches how well.
 * Kernel counterpart: include/linux/nvme.h nvme_ana_rsp_hdr, nvme_ana_group_desc. [NVMe] 5.1.12.1.13, 8.1.1.
 */
import { reserved, struct, u8, u16, u32, u64 } from '@nvme-stack/wire';

/** States of a group. @kernel include/linux/nvme.h nvme_ana_state */
export const NVME_ANA_OPTIMIZED = 0x01;
export const NVME_ANA_NONOPTIMIZED = 0x02;
export const NVME_ANA_INACCESSIBLE = 0x03;
export const NVME_ANA_PERSISTENT_LOSS = 0x04;
export const NVME_ANA_CHANGE = 0x0f;

/** What the log begins with; `ngrps` descriptors follow. [NVMe] 5.1.12.1.13. @kernel include/linux/nvme.h nvme_ana_rsp_hdr */
export const NvmeAnaRspHdr = struct('nvme_ana_rsp_hdr', 16, {
  chgcnt: u64,
  ngrps: u16,
  rsvd10: reserved(6),
});

/** One group; `nnsids` namespace identifiers of four bytes follow. [NVMe] 5.1.12.1.13. @kernel include/linux/nvme.h nvme_ana_group_desc */
export const NvmeAnaGroupDesc = struct('nvme_ana_group_desc', 32, {
  grpid: u32,
  nnsids: u32,
  chgcnt: u64,
  state: u8,
  rsvd17: reserved(15),
});
