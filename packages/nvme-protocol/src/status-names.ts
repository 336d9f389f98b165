/**
 * Names of status values: Linux's constant and the specification's title.
 * Kernel counterpart: drivers/nvme/host/constants.c nvme_statuses. [NVMe] 4.2.3.
 */
import { NVME_SCT_SC_MASK } from './status.js';

/** Status (type and code) to Linux's constant and the specification's title. */
interface StatusTable {
  readonly [status: number]: readonly [constant: string, title: string];
}

/** Generic command status. [NVMe] 4.2.3.1. */
export const NVME_GENERIC_STATUSES: StatusTable = {
  0: ['NVME_SC_SUCCESS', 'Successful Completion'],
  1: ['NVME_SC_INVALID_OPCODE', 'Invalid Command Opcode'],
  2: ['NVME_SC_INVALID_FIELD', 'Invalid Field in Command'],
  3: ['NVME_SC_CMDID_CONFLICT', 'Command ID Conflict'],
  4: ['NVME_SC_DATA_XFER_ERROR', 'Data Transfer Error'],
  5: ['NVME_SC_POWER_LOSS', 'Commands Aborted due to Power Loss Notification'],
  6: ['NVME_SC_INTERNAL', 'Internal Error'],
  7: ['NVME_SC_ABORT_REQ', 'Command Abort Requested'],
  8: ['NVME_SC_ABORT_QUEUE', 'Command Aborted due to SQ Deletion'],
  9: ['NVME_SC_FUSED_FAIL', 'Command Aborted due to Failed Fused Command'],
  10: ['NVME_SC_FUSED_MISSING', 'Command Aborted due to Missing Fused Command'],
  11: ['NVME_SC_INVALID_NS', 'Invalid Namespace or Format'],
  12: ['NVME_SC_CMD_SEQ_ERROR', 'Command Sequence Error'],
  13: ['NVME_SC_SGL_INVALID_LAST', 'Invalid SGL Segment Descriptor'],
  14: ['NVME_SC_SGL_INVALID_COUNT', 'Invalid Number of SGL Descriptors'],
  15: ['NVME_SC_SGL_INVALID_DATA', 'Data SGL Length Invalid'],
  16: ['NVME_SC_SGL_INVALID_METADATA', 'Metadata SGL Length Invalid'],
  17: ['NVME_SC_SGL_INVALID_TYPE', 'SGL Descriptor Type Invalid'],
  18: ['NVME_SC_CMB_INVALID_USE', 'Invalid Use of Controller Memory Buffer'],
  19: ['NVME_SC_PRP_INVALID_OFFSET', 'PRP Offset Invalid'],
  20: ['NVME_SC_ATOMIC_WU_EXCEEDED', 'Atomic Write Unit Exceeded'],
  21: ['NVME_SC_OP_DENIED', 'Operation Denied'],
  22: ['NVME_SC_SGL_INVALID_OFFSET', 'SGL Offset Invalid'],
  23: ['NVME_SC_RESERVED', 'Reserved'],
  24: ['NVME_SC_HOST_ID_INCONSIST', 'Host Identifier Inconsistent Format'],
  25: ['NVME_SC_KA_TIMEOUT_EXPIRED', 'Keep Alive Timer Expired'],
  26: ['NVME_SC_KA_TIMEOUT_INVALID', 'Keep Alive Timeout Invalid'],
  27: ['NVME_SC_ABORTED_PREEMPT_ABORT', 'Command Aborted due to Preempt and Abort'],
  28: ['NVME_SC_SANITIZE_FAILED', 'Sanitize Failed'],
  29: ['NVME_SC_SANITIZE_IN_PROGRESS', 'Sanitize In Progress'],
  30: ['NVME_SC_SGL_INVALID_GRANULARITY', 'SGL Data Block Granularity Invalid'],
  31: ['NVME_SC_CMD_NOT_SUP_CMB_QUEUE', 'Command Not Supported for Queue in CMB'],
  32: ['NVME_SC_NS_WRITE_PROTECTED', 'Namespace is Write Protected'],
  33: ['NVME_SC_CMD_INTERRUPTED', 'Command Interrupted'],
  34: ['NVME_SC_TRANSIENT_TR_ERR', 'Transient Transport Error'],
  35: ['NVME_SC_CMD_PROHIBITED', 'Command Prohibited by Command and Feature Lockdown'],
  36: ['NVME_SC_ADMIN_COMMAND_MEDIA_NOT_READY', 'Admin Command Media Not Ready'],
  128: ['NVME_SC_LBA_RANGE', 'LBA Out of Range'],
  129: ['NVME_SC_CAP_EXCEEDED', 'Capacity Exceeded'],
  130: ['NVME_SC_NS_NOT_READY', 'Namespace Not Ready'],
  131: ['NVME_SC_RESERVATION_CONFLICT', 'Reservation Conflict'],
  132: ['NVME_SC_FORMAT_IN_PROGRESS', 'Format In Progress'],
};

/** Command specific status. [NVMe] 4.2.3.2. */
export const NVME_COMMAND_SPECIFIC_STATUSES: StatusTable = {
  256: ['NVME_SC_CQ_INVALID', 'Completion Queue Invalid'],
  257: ['NVME_SC_QID_INVALID', 'Invalid Queue Identifier'],
  258: ['NVME_SC_QUEUE_SIZE', 'Invalid Queue Size'],
  259: ['NVME_SC_ABORT_LIMIT', 'Abort Command Limit Exceeded'],
  260: ['NVME_SC_ABORT_MISSING', 'Abort Command Is Missing'],
  261: ['NVME_SC_ASYNC_LIMIT', 'Asynchronous Event Request Limit Exceeded'],
  262: ['NVME_SC_FIRMWARE_SLOT', 'Invalid Firmware Slot'],
  263: ['NVME_SC_FIRMWARE_IMAGE', 'Invalid Firmware Image'],
  264: ['NVME_SC_INVALID_VECTOR', 'Invalid Interrupt Vector'],
  265: ['NVME_SC_INVALID_LOG_PAGE', 'Invalid Log Page'],
  266: ['NVME_SC_INVALID_FORMAT', 'Invalid Format'],
  267: ['NVME_SC_FW_NEEDS_CONV_RESET', 'Firmware Activation Requires Conventional Reset'],
  268: ['NVME_SC_INVALID_QUEUE', 'Invalid Queue Deletion'],
  269: ['NVME_SC_FEATURE_NOT_SAVEABLE', 'Feature Identifier Not Saveable'],
  270: ['NVME_SC_FEATURE_NOT_CHANGEABLE', 'Feature Not Changeable'],
  271: ['NVME_SC_FEATURE_NOT_PER_NS', 'Feature Not Namespace Specific'],
  272: ['NVME_SC_FW_NEEDS_SUBSYS_RESET', 'Firmware Activation Requires NVM Subsystem Reset'],
  273: ['NVME_SC_FW_NEEDS_RESET', 'Firmware Activation Requires Controller Level Reset'],
  274: ['NVME_SC_FW_NEEDS_MAX_TIME', 'Firmware Activation Requires Maximum Time Violation'],
  275: ['NVME_SC_FW_ACTIVATE_PROHIBITED', 'Firmware Activation Prohibited'],
  276: ['NVME_SC_OVERLAPPING_RANGE', 'Overlapping Range'],
  277: ['NVME_SC_NS_INSUFFICIENT_CAP', 'Namespace Insufficient Capacity'],
  278: ['NVME_SC_NS_ID_UNAVAILABLE', 'Namespace Identifier Unavailable'],
  280: ['NVME_SC_NS_ALREADY_ATTACHED', 'Namespace Already Attached'],
  281: ['NVME_SC_NS_IS_PRIVATE', 'Namespace Is Private'],
  282: ['NVME_SC_NS_NOT_ATTACHED', 'Namespace Not Attached'],
  283: ['NVME_SC_THIN_PROV_NOT_SUPP', 'Thin Provisioning Not Supported'],
  284: ['NVME_SC_CTRL_LIST_INVALID', 'Controller List Invalid'],
  285: ['NVME_SC_SELT_TEST_IN_PROGRESS', 'Device Self-test In Progress'],
  286: ['NVME_SC_BP_WRITE_PROHIBITED', 'Boot Partition Write Prohibited'],
  287: ['NVME_SC_CTRL_ID_INVALID', 'Invalid Controller Identifier'],
  288: ['NVME_SC_SEC_CTRL_STATE_INVALID', 'Invalid Secondary Controller State'],
  289: ['NVME_SC_CTRL_RES_NUM_INVALID', 'Invalid Number of Controller Resources'],
  290: ['NVME_SC_RES_ID_INVALID', 'Invalid Resource Identifier'],
  291: ['NVME_SC_PMR_SAN_PROHIBITED', 'Sanitize Prohibited While Persistent Memory Region is Enabled'],
  292: ['NVME_SC_ANA_GROUP_ID_INVALID', 'ANA Group Identifier Invalid'],
  293: ['NVME_SC_ANA_ATTACH_FAILED', 'ANA Attach Failed'],
  294: ['NVME_SC_INSUFFICIENT_CAP', 'Insufficient Capacity'],
  295: ['NVME_SC_NS_ATTACH_LIMIT', 'Namespace Attachment Limit Exceeded'],
  296: ['NVME_SC_PROHIBIT_CMD_EXEC_NOT_SUPP', 'Prohibition of Command Execution Not Supported'],
  297: ['NVME_SC_IO_CMD_SET_NOT_SUPP', 'I/O Command Set Not Supported'],
  298: ['NVME_SC_IO_CMD_SET_NOT_ENABLED', 'I/O Command Set Not Enabled'],
  299: ['NVME_SC_IO_CMD_SET_COMB_REJECTED', 'I/O Command Set Combination Rejected'],
  300: ['NVME_SC_IO_CMD_SET_INVALID', 'Invalid I/O Command Set'],
  301: ['NVME_SC_ID_UNAVAILABLE', 'Identifier Unavailable'],
  383: ['NVME_SC_STREAM_RESOURCE_ALLOCATION_FAILED', 'Stream Resource Allocation Failed'],
  384: ['NVME_SC_BAD_ATTRIBUTES', 'Conflicting Attributes'],
  385: ['NVME_SC_INVALID_PI', 'Invalid Protection Information'],
  386: ['NVME_SC_READ_ONLY', 'Attempted Write to Read Only Range'],
  387: ['NVME_SC_CMD_SIZE_LIM_EXCEEDED', 'Command Size Limit Exceeded'],
  440: ['NVME_SC_ZONE_BOUNDARY_ERROR', 'Zoned Boundary Error'],
  441: ['NVME_SC_ZONE_FULL', 'Zone Is Full'],
  442: ['NVME_SC_ZONE_READ_ONLY', 'Zone Is Read Only'],
  443: ['NVME_SC_ZONE_OFFLINE', 'Zone Is Offline'],
  444: ['NVME_SC_ZONE_INVALID_WRITE', 'Zone Invalid Write'],
  445: ['NVME_SC_ZONE_TOO_MANY_ACTIVE', 'Too Many Active Zones'],
  446: ['NVME_SC_ZONE_TOO_MANY_OPEN', 'Too Many Open Zones'],
  447: ['NVME_SC_ZONE_INVALID_TRANSITION', 'Invalid Zone State Transition'],
};

/** Media and data integrity errors. [NVMe] 4.2.3.3. */
export const NVME_MEDIA_STATUSES: StatusTable = {
  640: ['NVME_SC_WRITE_FAULT', 'Write Fault'],
  641: ['NVME_SC_READ_ERROR', 'Unrecovered Read Error'],
  642: ['NVME_SC_GUARD_CHECK', 'End-to-end Guard Check Error'],
  643: ['NVME_SC_APPTAG_CHECK', 'End-to-end Application Tag Check Error'],
  644: ['NVME_SC_REFTAG_CHECK', 'End-to-end Reference Tag Check Error'],
  645: ['NVME_SC_COMPARE_FAILED', 'Compare Failure'],
  646: ['NVME_SC_ACCESS_DENIED', 'Access Denied'],
  647: ['NVME_SC_UNWRITTEN_BLOCK', 'Deallocated or Unwritten Logical Block'],
  648: ['NVME_SC_E2E_STORAGE_TAG_CHECK', 'End-to-End Storage Tag Check Error'],
};

/** Path related status. [NVMe] 4.2.3.4. */
export const NVME_PATH_STATUSES: StatusTable = {
  768: ['NVME_SC_INTERNAL_PATH_ERROR', 'Internal Path Error'],
  769: ['NVME_SC_ANA_PERSISTENT_LOSS', 'Asymmetric Access Persistent Loss'],
  770: ['NVME_SC_ANA_INACCESSIBLE', 'Asymmetric Access Inaccessible'],
  771: ['NVME_SC_ANA_TRANSITION', 'Asymmetric Access Transition'],
  864: ['NVME_SC_CTRL_PATH_ERROR', 'Controller Pathing Error'],
  880: ['NVME_SC_HOST_PATH_ERROR', 'Host Pathing Error'],
  881: ['NVME_SC_HOST_ABORTED_CMD', 'Command Aborted By Host'],
};

const BY_TYPE = [
  NVME_GENERIC_STATUSES,
  NVME_COMMAND_SPECIFIC_STATUSES,
  NVME_MEDIA_STATUSES,
  NVME_PATH_STATUSES,
] as const;

function entry(status: number): readonly [string, string] | undefined {
  const key = status & NVME_SCT_SC_MASK;
  return BY_TYPE[key >>> 8]?.[key];
}

/** Linux's constant for the type and code in `status`, or the value in hexadecimal. DNR, More and CRD are ignored. */
export function nvmeStatusConstant(status: number): string {
  return entry(status)?.[0] ?? `0x${(status & NVME_SCT_SC_MASK).toString(16)}`;
}

/** The specification's title for the type and code in `status`, or `Unknown`. @kernel drivers/nvme/host/constants.c nvme_get_error_status_str */
export function nvmeStatusTitle(status: number): string {
  return entry(status)?.[1] ?? 'Unknown';
}
