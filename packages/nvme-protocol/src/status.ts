/**
 * Status values as Linux writes them: status code in bits 7:0, status code type in bits 10:8, then CRD, More and DNR
 * (the Status field of a completion without its phase tag).
 * Kernel counterpart: include/linux/nvme.h NVME_SC_*, NVME_SCT_*. [NVMe] 4.2.3, [NVM] 3, [ZNS] 3.
 */

/** Status code types, in place. [NVMe] 4.2.3. */
export const NVME_SCT_GENERIC = 0x000;
export const NVME_SCT_COMMAND_SPECIFIC = 0x100;
export const NVME_SCT_MEDIA_ERROR = 0x200;
export const NVME_SCT_PATH = 0x300;
export const NVME_SCT_VENDOR = 0x700;

export const NVME_SC_MASK = 0x00ff;
export const NVME_SCT_MASK = 0x0700;
export const NVME_SCT_SC_MASK = NVME_SCT_MASK | NVME_SC_MASK;
/** Command Retry Delay, More, Do Not Retry; the second names are those of kernels before 6.11. */
export const NVME_STATUS_CRD = 0x1800;
export const NVME_STATUS_MORE = 0x2000;
export const NVME_STATUS_DNR = 0x4000;
export const NVME_SC_CRD = NVME_STATUS_CRD;
export const NVME_SC_MORE = NVME_STATUS_MORE;
export const NVME_SC_DNR = NVME_STATUS_DNR;

// Generic command status. [NVMe] 4.2.3.1.
export const NVME_SC_SUCCESS = 0x00;
export const NVME_SC_INVALID_OPCODE = 0x01;
export const NVME_SC_INVALID_FIELD = 0x02;
export const NVME_SC_CMDID_CONFLICT = 0x03;
export const NVME_SC_DATA_XFER_ERROR = 0x04;
export const NVME_SC_POWER_LOSS = 0x05;
export const NVME_SC_INTERNAL = 0x06;
export const NVME_SC_ABORT_REQ = 0x07;
export const NVME_SC_ABORT_QUEUE = 0x08;
export const NVME_SC_FUSED_FAIL = 0x09;
export const NVME_SC_FUSED_MISSING = 0x0a;
export const NVME_SC_INVALID_NS = 0x0b;
export const NVME_SC_CMD_SEQ_ERROR = 0x0c;
export const NVME_SC_SGL_INVALID_LAST = 0x0d;
export const NVME_SC_SGL_INVALID_COUNT = 0x0e;
export const NVME_SC_SGL_INVALID_DATA = 0x0f;
export const NVME_SC_SGL_INVALID_METADATA = 0x10;
export const NVME_SC_SGL_INVALID_TYPE = 0x11;
export const NVME_SC_CMB_INVALID_USE = 0x12;
export const NVME_SC_PRP_INVALID_OFFSET = 0x13;
export const NVME_SC_ATOMIC_WU_EXCEEDED = 0x14;
export const NVME_SC_OP_DENIED = 0x15;
export const NVME_SC_SGL_INVALID_OFFSET = 0x16;
export const NVME_SC_RESERVED = 0x17;
export const NVME_SC_HOST_ID_INCONSIST = 0x18;
export const NVME_SC_KA_TIMEOUT_EXPIRED = 0x19;
export const NVME_SC_KA_TIMEOUT_INVALID = 0x1a;
export const NVME_SC_ABORTED_PREEMPT_ABORT = 0x1b;
export const NVME_SC_SANITIZE_FAILED = 0x1c;
export const NVME_SC_SANITIZE_IN_PROGRESS = 0x1d;
export const NVME_SC_SGL_INVALID_GRANULARITY = 0x1e;
export const NVME_SC_CMD_NOT_SUP_CMB_QUEUE = 0x1f;
export const NVME_SC_NS_WRITE_PROTECTED = 0x20;
export const NVME_SC_CMD_INTERRUPTED = 0x21;
export const NVME_SC_TRANSIENT_TR_ERR = 0x22;
export const NVME_SC_CMD_PROHIBITED = 0x23;
export const NVME_SC_ADMIN_COMMAND_MEDIA_NOT_READY = 0x24;
export const NVME_SC_LBA_RANGE = 0x80;
export const NVME_SC_CAP_EXCEEDED = 0x81;
export const NVME_SC_NS_NOT_READY = 0x82;
export const NVME_SC_RESERVATION_CONFLICT = 0x83;
export const NVME_SC_FORMAT_IN_PROGRESS = 0x84;
/** Linux's value, which lacks the status code type; the specification's is NVME_SC_IO_CMD_SET_INVALID. */
export const NVME_SC_INVALID_IO_CMD_SET = 0x2c;

// Command specific status. [NVMe] 4.2.3.2; 180h and above [NVM] 3, [ZNS] 3.
export const NVME_SC_CQ_INVALID = 0x100;
export const NVME_SC_QID_INVALID = 0x101;
export const NVME_SC_QUEUE_SIZE = 0x102;
export const NVME_SC_ABORT_LIMIT = 0x103;
export const NVME_SC_ABORT_MISSING = 0x104;
export const NVME_SC_ASYNC_LIMIT = 0x105;
export const NVME_SC_FIRMWARE_SLOT = 0x106;
export const NVME_SC_FIRMWARE_IMAGE = 0x107;
export const NVME_SC_INVALID_VECTOR = 0x108;
export const NVME_SC_INVALID_LOG_PAGE = 0x109;
export const NVME_SC_INVALID_FORMAT = 0x10a;
export const NVME_SC_FW_NEEDS_CONV_RESET = 0x10b;
export const NVME_SC_INVALID_QUEUE = 0x10c;
export const NVME_SC_FEATURE_NOT_SAVEABLE = 0x10d;
export const NVME_SC_FEATURE_NOT_CHANGEABLE = 0x10e;
export const NVME_SC_FEATURE_NOT_PER_NS = 0x10f;
export const NVME_SC_FW_NEEDS_SUBSYS_RESET = 0x110;
export const NVME_SC_FW_NEEDS_RESET = 0x111;
export const NVME_SC_FW_NEEDS_MAX_TIME = 0x112;
export const NVME_SC_FW_ACTIVATE_PROHIBITED = 0x113;
export const NVME_SC_OVERLAPPING_RANGE = 0x114;
export const NVME_SC_NS_INSUFFICIENT_CAP = 0x115;
export const NVME_SC_NS_ID_UNAVAILABLE = 0x116;
export const NVME_SC_NS_ALREADY_ATTACHED = 0x118;
export const NVME_SC_NS_IS_PRIVATE = 0x119;
export const NVME_SC_NS_NOT_ATTACHED = 0x11a;
export const NVME_SC_THIN_PROV_NOT_SUPP = 0x11b;
export const NVME_SC_CTRL_LIST_INVALID = 0x11c;
export const NVME_SC_SELT_TEST_IN_PROGRESS = 0x11d;
export const NVME_SC_BP_WRITE_PROHIBITED = 0x11e;
export const NVME_SC_CTRL_ID_INVALID = 0x11f;
export const NVME_SC_SEC_CTRL_STATE_INVALID = 0x120;
export const NVME_SC_CTRL_RES_NUM_INVALID = 0x121;
export const NVME_SC_RES_ID_INVALID = 0x122;
export const NVME_SC_PMR_SAN_PROHIBITED = 0x123;
export const NVME_SC_ANA_GROUP_ID_INVALID = 0x124;
export const NVME_SC_ANA_ATTACH_FAILED = 0x125;
export const NVME_SC_INSUFFICIENT_CAP = 0x126;
export const NVME_SC_NS_ATTACH_LIMIT = 0x127;
export const NVME_SC_PROHIBIT_CMD_EXEC_NOT_SUPP = 0x128;
export const NVME_SC_IO_CMD_SET_NOT_SUPP = 0x129;
export const NVME_SC_IO_CMD_SET_NOT_ENABLED = 0x12a;
export const NVME_SC_IO_CMD_SET_COMB_REJECTED = 0x12b;
export const NVME_SC_IO_CMD_SET_INVALID = 0x12c;
export const NVME_SC_ID_UNAVAILABLE = 0x12d;
export const NVME_SC_STREAM_RESOURCE_ALLOCATION_FAILED = 0x17f;
export const NVME_SC_BAD_ATTRIBUTES = 0x180;
export const NVME_SC_INVALID_PI = 0x181;
export const NVME_SC_READ_ONLY = 0x182;
export const NVME_SC_CMD_SIZE_LIM_EXCEEDED = 0x183;
export const NVME_SC_ZONE_BOUNDARY_ERROR = 0x1b8;
export const NVME_SC_ZONE_FULL = 0x1b9;
export const NVME_SC_ZONE_READ_ONLY = 0x1ba;
export const NVME_SC_ZONE_OFFLINE = 0x1bb;
export const NVME_SC_ZONE_INVALID_WRITE = 0x1bc;
export const NVME_SC_ZONE_TOO_MANY_ACTIVE = 0x1bd;
export const NVME_SC_ZONE_TOO_MANY_OPEN = 0x1be;
export const NVME_SC_ZONE_INVALID_TRANSITION = 0x1bf;

// Media and data integrity errors. [NVMe] 4.2.3.3.
export const NVME_SC_WRITE_FAULT = 0x280;
export const NVME_SC_READ_ERROR = 0x281;
export const NVME_SC_GUARD_CHECK = 0x282;
export const NVME_SC_APPTAG_CHECK = 0x283;
export const NVME_SC_REFTAG_CHECK = 0x284;
export const NVME_SC_COMPARE_FAILED = 0x285;
export const NVME_SC_ACCESS_DENIED = 0x286;
export const NVME_SC_UNWRITTEN_BLOCK = 0x287;
export const NVME_SC_E2E_STORAGE_TAG_CHECK = 0x288;

// Path related status. [NVMe] 4.2.3.4.
export const NVME_SC_INTERNAL_PATH_ERROR = 0x300;
export const NVME_SC_ANA_PERSISTENT_LOSS = 0x301;
export const NVME_SC_ANA_INACCESSIBLE = 0x302;
export const NVME_SC_ANA_TRANSITION = 0x303;
export const NVME_SC_CTRL_PATH_ERROR = 0x360;
export const NVME_SC_HOST_PATH_ERROR = 0x370;
export const NVME_SC_HOST_ABORTED_CMD = 0x371;

/** The status code type, right-aligned. @kernel include/linux/nvme.h NVME_SCT */
export function NVME_SCT(status: number): number {
  return (status >>> 8) & 7;
}

/** The status code without its type. */
export function nvmeStatusCode(status: number): number {
  return status & NVME_SC_MASK;
}
