/**
 * Feature identifiers, their dword 11 (and result) fields, and the data some of them carry.
 * Kernel counterpart: include/linux/nvme.h NVME_FEAT_*, struct nvme_feat_host_behavior, nvme_feat_auto_pst,
 * nvme_host_mem_buf_desc. [NVMe] 5.1.25.
 */
import { array, bit, bits, bytes, reserved, struct, u8, u32, u64, withBits } from '@nvme-stack/wire';

export const NVME_FEAT_ARBITRATION = 0x01;
export const NVME_FEAT_POWER_MGMT = 0x02;
export const NVME_FEAT_LBA_RANGE = 0x03;
export const NVME_FEAT_TEMP_THRESH = 0x04;
export const NVME_FEAT_ERR_RECOVERY = 0x05;
export const NVME_FEAT_VOLATILE_WC = 0x06;
export const NVME_FEAT_NUM_QUEUES = 0x07;
export const NVME_FEAT_IRQ_COALESCE = 0x08;
export const NVME_FEAT_IRQ_CONFIG = 0x09;
export const NVME_FEAT_WRITE_ATOMIC = 0x0a;
export const NVME_FEAT_ASYNC_EVENT = 0x0b;
export const NVME_FEAT_AUTO_PST = 0x0c;
export const NVME_FEAT_HOST_MEM_BUF = 0x0d;
export const NVME_FEAT_TIMESTAMP = 0x0e;
export const NVME_FEAT_KATO = 0x0f;
export const NVME_FEAT_HCTM = 0x10;
export const NVME_FEAT_NOPSC = 0x11;
export const NVME_FEAT_RRL = 0x12;
export const NVME_FEAT_PLM_CONFIG = 0x13;
export const NVME_FEAT_PLM_WINDOW = 0x14;
export const NVME_FEAT_HOST_BEHAVIOR = 0x16;
export const NVME_FEAT_SANITIZE = 0x17;
export const NVME_FEAT_COMMAND_SET_PROFILE = 0x19;
export const NVME_FEAT_SW_PROGRESS = 0x80;
export const NVME_FEAT_HOST_ID = 0x81;
export const NVME_FEAT_RESV_MASK = 0x82;
export const NVME_FEAT_RESV_PERSIST = 0x83;
export const NVME_FEAT_WRITE_PROTECT = 0x84;

/** Select field of Get Features. [NVMe] 5.1.11. */
export const NVME_GETFEAT_SELECT_CURRENT = 0x0;
export const NVME_GETFEAT_SELECT_DEFAULT = 0x1;
export const NVME_GETFEAT_SELECT_SAVED = 0x2;
export const NVME_GETFEAT_SELECT_CAP = 0x3;

/** What SEL = 3 answers: saveable, namespace specific, changeable. */
export const FeatureCapabilities = { CHANGEABLE: bit(2), NSSPEC: bit(1), SAVEABLE: bit(0) } as const;

/** Arbitration. [NVMe] 5.1.25.1.1. */
export const Arbitration = { HPW: bits(31, 24), MPW: bits(23, 16), LPW: bits(15, 8), AB: bits(2, 0) } as const;

/** Power Management. [NVMe] 5.1.25.1.2. */
export const PowerManagement = { WH: bits(7, 5), PS: bits(4, 0) } as const;

/** Temperature Threshold, kelvin. [NVMe] 5.1.25.1.3. */
export const TemperatureThreshold = { THSEL: bits(21, 20), TMPSEL: bits(19, 16), TMPTH: bits(15, 0) } as const;
export const NVME_TEMP_THRESH_MASK = 0xffff;
export const NVME_TEMP_THRESH_SELECT_SHIFT = 16;
export const NVME_TEMP_THRESH_TYPE_UNDER = 0x100000;

/** Error Recovery; TLER in units of 100 ms. [NVM] 4.1.3.2. */
export const ErrorRecovery = { DULBE: bit(16), TLER: bits(15, 0) } as const;

/** Volatile Write Cache. [NVMe] 5.1.25.1.4. */
export const VolatileWriteCache = { WCE: bit(0) } as const;

/** Number of Queues, 0-based; asked for in dword 11, granted in the completion's dword 0. [NVMe] 5.1.25.2.1. */
export const NumberOfQueues = { NCQ: bits(31, 16), NSQ: bits(15, 0) } as const;

/** Interrupt Coalescing; TIME in units of 100 µs, THR 0-based. [NVMe] 5.1.25.2.2. */
export const InterruptCoalescing = { TIME: bits(15, 8), THR: bits(7, 0) } as const;

/** Interrupt Vector Configuration. [NVMe] 5.1.25.2.3. */
export const InterruptVectorConfiguration = { CD: bit(16), IV: bits(15, 0) } as const;

/** Write Atomicity Normal. [NVM] 4.1.3.3. */
export const WriteAtomicity = { DN: bit(0) } as const;

/** Autonomous Power State Transition. [NVMe] 5.1.25.1.6. */
export const AutonomousPowerStateTransition = { APSTE: bit(0) } as const;

/** Host Memory Buffer. [NVMe] 5.1.25.2.4. */
export const HostMemoryBuffer = { MR: bit(1), EHM: bit(0) } as const;
export const NVME_HOST_MEM_ENABLE = 1 << 0;
export const NVME_HOST_MEM_RETURN = 1 << 1;

/** A range of host memory lent to the controller; `size` in controller pages. @kernel include/linux/nvme.h nvme_host_mem_buf_desc */
export const NvmeHostMemBufDesc = struct('nvme_host_mem_buf_desc', 16, { addr: u64, size: u32, rsvd12: reserved(4) });

/** Autonomous transition table: idle time in ms (bits 31:8) and target state (bits 7:3) per state. @kernel include/linux/nvme.h nvme_feat_auto_pst */
export const NvmeFeatAutoPst = struct('nvme_feat_auto_pst', 256, {
  entries: array(withBits(u64, { ITPT: bits(31, 8), ITPS: bits(7, 3) }), 32),
});

/** Timestamp: milliseconds since 1970 in six bytes, as two words. [NVMe] 5.1.25.1.7. */
export const NvmeTimestamp = struct('nvme_timestamp', 8, {
  timestamp: bytes(6),
  attributes: withBits(u8, { ORIGIN: bits(3, 1), SYNCH: bit(0) }),
  rsvd7: reserved(1),
});

/** Host Behavior Support. [NVMe] 5.1.25.1.14. @kernel include/linux/nvme.h nvme_feat_host_behavior */
export const NvmeFeatHostBehavior = struct('nvme_feat_host_behavior', 512, {
  acre: u8,
  etdas: u8,
  lbafee: u8,
  rsvd3: reserved(509),
});
export const NVME_ENABLE_ACRE = 1;
export const NVME_ENABLE_LBAFEE = 1;
