// The statuses this controller answers with, Do Not Retry included where the command would fail again.
// Kernel counterpart: include/linux/nvme.h NVME_SC_*. Spec: [NVMe] 2.0 §4.2.3.
import * as nvme from '@nvme-stack/nvme-protocol';

const DNR = nvme.NVME_STATUS_DNR;

export const SC_SUCCESS = nvme.NVME_SC_SUCCESS;
export const SC_INVALID_OPCODE = nvme.NVME_SC_INVALID_OPCODE | DNR;
export const SC_INVALID_FIELD = nvme.NVME_SC_INVALID_FIELD | DNR;
/** For fused commands, which this controller does not support. */
export const SC_INVALID_FIELD_RETRY = nvme.NVME_SC_INVALID_FIELD;
export const SC_DATA_XFER_ERROR = nvme.NVME_SC_DATA_XFER_ERROR | DNR;
export const SC_INTERNAL = nvme.NVME_SC_INTERNAL;
export const SC_ABORT_REQ = nvme.NVME_SC_ABORT_REQ;
export const SC_ABORT_QUEUE = nvme.NVME_SC_ABORT_QUEUE;
export const SC_INVALID_NS = nvme.NVME_SC_INVALID_NS | DNR;
export const SC_CMD_SEQ_ERROR = nvme.NVME_SC_CMD_SEQ_ERROR | DNR;
export const SC_SGL_INVALID_LAST = nvme.NVME_SC_SGL_INVALID_LAST | DNR;
export const SC_SGL_INVALID_COUNT = nvme.NVME_SC_SGL_INVALID_COUNT | DNR;
export const SC_SGL_INVALID_DATA = nvme.NVME_SC_SGL_INVALID_DATA | DNR;
export const SC_SGL_INVALID_TYPE = nvme.NVME_SC_SGL_INVALID_TYPE | DNR;
export const SC_PRP_INVALID_OFFSET = nvme.NVME_SC_PRP_INVALID_OFFSET | DNR;
export const SC_NS_WRITE_PROTECTED = nvme.NVME_SC_NS_WRITE_PROTECTED | DNR;
/** I/O Command Set Combination Rejected, generic 2Bh. */
export const SC_IOCS_COMBINATION_REJECTED = 0x2b | DNR;
export const SC_LBA_RANGE = nvme.NVME_SC_LBA_RANGE | DNR;
export const SC_CQ_INVALID = nvme.NVME_SC_CQ_INVALID | DNR;
export const SC_QID_INVALID = nvme.NVME_SC_QID_INVALID | DNR;
export const SC_QUEUE_SIZE = nvme.NVME_SC_QUEUE_SIZE | DNR;
export const SC_ASYNC_LIMIT = nvme.NVME_SC_ASYNC_LIMIT;
export const SC_INVALID_VECTOR = nvme.NVME_SC_INVALID_VECTOR | DNR;
export const SC_INVALID_FORMAT = nvme.NVME_SC_INVALID_FORMAT | DNR;
export const SC_INVALID_QUEUE = nvme.NVME_SC_INVALID_QUEUE;
export const SC_FEATURE_NOT_SAVEABLE = nvme.NVME_SC_FEATURE_NOT_SAVEABLE | DNR;
export const SC_FEATURE_NOT_CHANGEABLE = nvme.NVME_SC_FEATURE_NOT_CHANGEABLE | DNR;
export const SC_FEATURE_NOT_PER_NS = nvme.NVME_SC_FEATURE_NOT_PER_NS | DNR;
export const SC_CMD_SIZE_LIMIT = nvme.NVME_SC_CMD_SIZE_LIM_EXCEEDED | DNR;
export const SC_WRITE_FAULT = nvme.NVME_SC_WRITE_FAULT;
export const SC_READ_ERROR = nvme.NVME_SC_READ_ERROR;
export const SC_CONTROLLER_ID = nvme.NVME_SC_CTRL_ID_INVALID | DNR;
export const SC_SECONDARY_STATE = nvme.NVME_SC_SEC_CTRL_STATE_INVALID | DNR;
export const SC_RESOURCE_COUNT = nvme.NVME_SC_CTRL_RES_NUM_INVALID | DNR;
export const SC_RESOURCE_ID = nvme.NVME_SC_RES_ID_INVALID | DNR;
export const SC_INVALID_METADATA_LENGTH = nvme.NVME_SC_SGL_INVALID_METADATA | DNR;
export const SC_FORMAT_IN_PROGRESS = nvme.NVME_SC_FORMAT_IN_PROGRESS;
export const SC_INVALID_PROTECTION = nvme.NVME_SC_INVALID_PI | DNR;
/** The same as QEMU gives it for a reference tag that type 3 does not have. */
export const SC_INVALID_PROTECTION_RETRY = nvme.NVME_SC_INVALID_PI;
export const SC_GUARD_CHECK = nvme.NVME_SC_GUARD_CHECK;
export const SC_APPTAG_CHECK = nvme.NVME_SC_APPTAG_CHECK;
export const SC_REFTAG_CHECK = nvme.NVME_SC_REFTAG_CHECK;
export const SC_UNWRITTEN_BLOCK = nvme.NVME_SC_UNWRITTEN_BLOCK;
/** The same for Read. */
export const SC_UNWRITTEN_BLOCK_READ = nvme.NVME_SC_UNWRITTEN_BLOCK | DNR;
export const SC_COMPARE_FAILED = nvme.NVME_SC_COMPARE_FAILED;

export const SC_STREAM_RESOURCE_ALLOCATION_FAILED = nvme.NVME_SC_STREAM_RESOURCE_ALLOCATION_FAILED | DNR;

/** Not a status: the command completes later. */
export const PENDING = -1;
