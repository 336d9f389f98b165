/**
 * Submission entries of the admin command set, 64 bytes each.
 * Kernel counterpart: include/linux/nvme.h struct nvme_identify, nvme_features, nvme_create_cq and the rest. [NVMe] 5.
 */
import { alias, bit, bits, reserved, struct, u8, u16, u32, u64, withBits } from '@nvme-stack/wire';
import { commandHeader, dataPointer } from './commands-common.js';

/** Identify. [NVMe] 5.1.13. @kernel include/linux/nvme.h nvme_identify */
export const NvmeIdentify = struct('nvme_identify', 64, {
  ...commandHeader,
  rsvd2: reserved(16),
  ...dataPointer,
  cns: u8,
  rsvd3: reserved(1),
  ctrlid: u16,
  cnssid: u16,
  rsvd11: reserved(1),
  csi: u8,
  rsvd12: reserved(8),
  cdw14: u32,
  rsvd15: reserved(4),
});

/** Feature identifier word: SV saves (Set), SEL selects (Get). [NVMe] 5.1.11, 5.1.25. */
export const FeatureWord = { SV: bit(31), SEL: bits(10, 8), FID: bits(7, 0) } as const;

/** Get Features and Set Features. @kernel include/linux/nvme.h nvme_features */
export const NvmeFeatures = struct('nvme_features', 64, {
  ...commandHeader,
  rsvd2: reserved(16),
  ...dataPointer,
  fid: withBits(u32, FeatureWord),
  dword11: u32,
  dword12: u32,
  dword13: u32,
  dword14: u32,
  dword15: u32,
});

/** Queue flags of Create I/O queue commands. */
export const NVME_QUEUE_PHYS_CONTIG = 1 << 0;
export const NVME_CQ_IRQ_ENABLED = 1 << 1;
export const NVME_SQ_PRIO_URGENT = 0 << 1;
export const NVME_SQ_PRIO_HIGH = 1 << 1;
export const NVME_SQ_PRIO_MEDIUM = 2 << 1;
export const NVME_SQ_PRIO_LOW = 3 << 1;

/** Create I/O Completion Queue; `qsize` is 0-based. [NVMe] 5.2.1. @kernel include/linux/nvme.h nvme_create_cq */
export const NvmeCreateCq = struct('nvme_create_cq', 64, {
  ...commandHeader,
  rsvd1: reserved(16),
  prp1: u64,
  rsvd8: reserved(8),
  cqid: u16,
  qsize: u16,
  cqFlags: withBits(u16, { IEN: bit(1), PC: bit(0) }),
  irqVector: u16,
  rsvd12: reserved(16),
});

/** Create I/O Submission Queue; `qsize` is 0-based. [NVMe] 5.2.2. @kernel include/linux/nvme.h nvme_create_sq */
export const NvmeCreateSq = struct('nvme_create_sq', 64, {
  ...commandHeader,
  rsvd1: reserved(16),
  prp1: u64,
  rsvd8: reserved(8),
  sqid: u16,
  qsize: u16,
  sqFlags: withBits(u16, { QPRIO: bits(2, 1), PC: bit(0) }),
  cqid: u16,
  rsvd12: reserved(16),
});

/** Delete I/O queue, of either kind. [NVMe] 5.2.3, 5.2.4. @kernel include/linux/nvme.h nvme_delete_queue */
export const NvmeDeleteQueue = struct('nvme_delete_queue', 64, {
  ...commandHeader,
  rsvd1: reserved(32),
  qid: u16,
  rsvd10: reserved(22),
});

/** Abort. [NVMe] 5.1.1. @kernel include/linux/nvme.h nvme_abort_cmd */
export const NvmeAbortCmd = struct('nvme_abort_cmd', 64, {
  ...commandHeader,
  rsvd1: reserved(32),
  sqid: u16,
  cid: u16,
  rsvd11: reserved(20),
});

/** Asynchronous Event Request: nothing but a header. [NVMe] 5.1.2. */
export const NvmeAsyncEventCmd = struct('nvme_async_event_cmd', 64, { ...commandHeader, rsvd2: reserved(56) });

/** Get Log Page; the length in dwords, 0-based, is split over `numdl` and `numdu`. [NVMe] 5.1.12. @kernel include/linux/nvme.h nvme_get_log_page_command */
export const NvmeGetLogPageCommand = struct('nvme_get_log_page_command', 64, {
  ...commandHeader,
  rsvd2: reserved(16),
  ...dataPointer,
  lid: u8,
  lsp: withBits(u8, { RAE: bit(7), LSP: bits(6, 0) }),
  numdl: u16,
  numdu: u16,
  lsi: u16,
  lpo: u64,
  uidx: withBits(u8, { UIDX: bits(6, 0) }),
  rsvd14: reserved(1),
  ot: withBits(u8, { OT: bit(7) }),
  csi: u8,
  rsvd15: reserved(4),
});

/** Doorbell Buffer Config: PRP1 the shadow doorbells, PRP2 the event indexes. [NVMe] 5.2.5. */
export const NvmeDbbufCmd = struct('nvme_dbbuf_cmd', 64, {
  ...commandHeader,
  rsvd1: reserved(16),
  prp1: u64,
  prp2: u64,
  rsvd12: reserved(24),
});

/** Command dword 10 of Format NVM. [NVMe] 5.1.10. */
export const FormatCdw10 = {
  LBAFU: bits(13, 12),
  SES: bits(11, 9),
  PIL: bit(8),
  PI: bits(7, 5),
  MSET: bit(4),
  LBAFL: bits(3, 0),
} as const;

/** Format NVM. @kernel include/linux/nvme.h nvme_format_cmd */
export const NvmeFormatCmd = struct('nvme_format_cmd', 64, {
  ...commandHeader,
  rsvd2: reserved(32),
  cdw10: withBits(u32, FormatCdw10),
  rsvd11: reserved(20),
});

/** Firmware Image Download; `numd` is 0-based. [NVMe] 5.1.9. @kernel include/linux/nvme.h nvme_download_firmware */
export const NvmeDownloadFirmware = struct('nvme_download_firmware', 64, {
  ...commandHeader,
  rsvd1: reserved(16),
  ...dataPointer,
  numd: u32,
  offset: u32,
  rsvd12: reserved(16),
});

/** Firmware Commit. [NVMe] 5.1.8. */
export const NvmeFirmwareCommitCmd = struct('nvme_firmware_commit_cmd', 64, {
  ...commandHeader,
  rsvd2: reserved(32),
  cdw10: withBits(u32, { BPID: bit(31), CA: bits(5, 3), FS: bits(2, 0) }),
  rsvd11: reserved(20),
});

export const NVME_FWACT_REPL = 0 << 3;
export const NVME_FWACT_REPL_ACTV = 1 << 3;
export const NVME_FWACT_ACTV = 2 << 3;

/** Namespace Management and Namespace Attachment: `sel` says what to do. [NVMe] 5.1.20, 5.1.21. */
export const NvmeNsMgmtCmd = struct('nvme_ns_mgmt_cmd', 64, {
  ...commandHeader,
  rsvd2: reserved(16),
  ...dataPointer,
  cdw10: withBits(u32, { SEL: bits(3, 0) }),
  sel: alias(40, u8),
  cdw11: withBits(u32, { CSI: bits(31, 24) }),
  rsvd12: reserved(16),
});

/** Directive Send and Receive; `numd` is 0-based. [NVMe] 5.1.6, 5.1.7. @kernel include/linux/nvme.h nvme_directive_cmd */
export const NvmeDirectiveCmd = struct('nvme_directive_cmd', 64, {
  ...commandHeader,
  rsvd2: reserved(16),
  ...dataPointer,
  numd: u32,
  doper: u8,
  dtype: u8,
  dspec: u16,
  endir: u8,
  tdtype: u8,
  rsvd15: reserved(14),
});
