/**
 * Admin and NVM opcodes, with the names Linux's trace events and QEMU's traces print for them.
 * Kernel counterpart: include/linux/nvme.h enum nvme_admin_opcode, enum nvme_opcode. [NVMe] 5, [NVM] 3; QEMU
 * nvme_adm_opc_str, nvme_io_opc_str.
 */

/** Admin opcodes; keys are the rest of Linux's `nvme_admin_…` names. @kernel include/linux/nvme.h nvme_admin_opcode */
export const NvmeAdminOpcode = {
  deleteSq: 0x00,
  createSq: 0x01,
  getLogPage: 0x02,
  deleteCq: 0x04,
  createCq: 0x05,
  identify: 0x06,
  abortCmd: 0x08,
  setFeatures: 0x09,
  getFeatures: 0x0a,
  asyncEvent: 0x0c,
  nsMgmt: 0x0d,
  activateFw: 0x10,
  downloadFw: 0x11,
  devSelfTest: 0x14,
  nsAttach: 0x15,
  keepAlive: 0x18,
  directiveSend: 0x19,
  directiveRecv: 0x1a,
  virtualMgmt: 0x1c,
  nvmeMiSend: 0x1d,
  nvmeMiRecv: 0x1e,
  dbbuf: 0x7c,
  formatNvm: 0x80,
  securitySend: 0x81,
  securityRecv: 0x82,
  sanitizeNvm: 0x84,
  getLbaStatus: 0x86,
  vendorStart: 0xc0,
} as const;

/** I/O opcodes; keys are the rest of Linux's `nvme_cmd_…` names. @kernel include/linux/nvme.h nvme_opcode */
export const NvmeNvmOpcode = {
  flush: 0x00,
  write: 0x01,
  read: 0x02,
  writeUncor: 0x04,
  compare: 0x05,
  writeZeroes: 0x08,
  dsm: 0x09,
  verify: 0x0c,
  resvRegister: 0x0d,
  resvReport: 0x0e,
  resvAcquire: 0x11,
  ioMgmtRecv: 0x12,
  resvRelease: 0x15,
  copy: 0x19,
  ioMgmtSend: 0x1d,
  zoneMgmtSend: 0x79,
  zoneMgmtRecv: 0x7a,
  zoneAppend: 0x7d,
} as const;

/** Opcode of every fabrics command. */
export const nvme_fabrics_command = 0x7f;

const LINUX_ADMIN_NAMES: readonly [number, string][] = [
  [0x00, 'nvme_admin_delete_sq'],
  [0x01, 'nvme_admin_create_sq'],
  [0x02, 'nvme_admin_get_log_page'],
  [0x04, 'nvme_admin_delete_cq'],
  [0x05, 'nvme_admin_create_cq'],
  [0x06, 'nvme_admin_identify'],
  [0x08, 'nvme_admin_abort_cmd'],
  [0x09, 'nvme_admin_set_features'],
  [0x0a, 'nvme_admin_get_features'],
  [0x0c, 'nvme_admin_async_event'],
  [0x0d, 'nvme_admin_ns_mgmt'],
  [0x10, 'nvme_admin_activate_fw'],
  [0x11, 'nvme_admin_download_fw'],
  [0x15, 'nvme_admin_ns_attach'],
  [0x18, 'nvme_admin_keep_alive'],
  [0x19, 'nvme_admin_directive_send'],
  [0x1a, 'nvme_admin_directive_recv'],
  [0x7c, 'nvme_admin_dbbuf'],
  [0x80, 'nvme_admin_format_nvm'],
  [0x81, 'nvme_admin_security_send'],
  [0x82, 'nvme_admin_security_recv'],
  [0x84, 'nvme_admin_sanitize_nvm'],
  [0x86, 'nvme_admin_get_lba_status'],
];

const LINUX_IO_NAMES: readonly [number, string][] = [
  [0x00, 'nvme_cmd_flush'],
  [0x01, 'nvme_cmd_write'],
  [0x02, 'nvme_cmd_read'],
  [0x04, 'nvme_cmd_write_uncor'],
  [0x05, 'nvme_cmd_compare'],
  [0x08, 'nvme_cmd_write_zeroes'],
  [0x09, 'nvme_cmd_dsm'],
  [0x0d, 'nvme_cmd_resv_register'],
  [0x0e, 'nvme_cmd_resv_report'],
  [0x11, 'nvme_cmd_resv_acquire'],
  [0x15, 'nvme_cmd_resv_release'],
  [0x79, 'nvme_cmd_zone_mgmt_send'],
  [0x7a, 'nvme_cmd_zone_mgmt_recv'],
  [0x7d, 'nvme_cmd_zone_append'],
];

const QEMU_ADMIN_NAMES: readonly [number, string][] = [
  [0x00, 'NVME_ADM_CMD_DELETE_SQ'],
  [0x01, 'NVME_ADM_CMD_CREATE_SQ'],
  [0x02, 'NVME_ADM_CMD_GET_LOG_PAGE'],
  [0x04, 'NVME_ADM_CMD_DELETE_CQ'],
  [0x05, 'NVME_ADM_CMD_CREATE_CQ'],
  [0x06, 'NVME_ADM_CMD_IDENTIFY'],
  [0x08, 'NVME_ADM_CMD_ABORT'],
  [0x09, 'NVME_ADM_CMD_SET_FEATURES'],
  [0x0a, 'NVME_ADM_CMD_GET_FEATURES'],
  [0x0c, 'NVME_ADM_CMD_ASYNC_EV_REQ'],
  [0x15, 'NVME_ADM_CMD_NS_ATTACHMENT'],
  [0x1c, 'NVME_ADM_CMD_VIRT_MNGMT'],
  [0x7c, 'NVME_ADM_CMD_DBBUF_CONFIG'],
  [0x80, 'NVME_ADM_CMD_FORMAT_NVM'],
];

const QEMU_IO_NAMES: readonly [number, string][] = [
  [0x00, 'NVME_NVM_CMD_FLUSH'],
  [0x01, 'NVME_NVM_CMD_WRITE'],
  [0x02, 'NVME_NVM_CMD_READ'],
  [0x05, 'NVME_NVM_CMD_COMPARE'],
  [0x08, 'NVME_NVM_CMD_WRITE_ZEROES'],
  [0x09, 'NVME_NVM_CMD_DSM'],
  [0x0c, 'NVME_NVM_CMD_VERIFY'],
  [0x19, 'NVME_NVM_CMD_COPY'],
  [0x79, 'NVME_ZONED_CMD_MGMT_SEND'],
  [0x7a, 'NVME_ZONED_CMD_MGMT_RECV'],
  [0x7d, 'NVME_ZONED_CMD_ZONE_APPEND'],
];

function byOpcode(names: readonly [number, string][]): readonly (string | undefined)[] {
  const table = new Array<string | undefined>(256).fill(undefined);
  for (const [opcode, name] of names) table[opcode] = name;
  return table;
}

const linuxAdmin = byOpcode(LINUX_ADMIN_NAMES);
const linuxIo = byOpcode(LINUX_IO_NAMES);
const qemuAdmin = byOpcode(QEMU_ADMIN_NAMES);
const qemuIo = byOpcode(QEMU_IO_NAMES);

/**
 * The name a Linux trace event prints for an admin opcode; an opcode without one prints as hexadecimal, as
 * __print_symbolic does. @kernel include/linux/nvme.h show_admin_opcode_name
 */
export function nvmeAdminOpcodeName(opcode: number): string {
  return linuxAdmin[opcode] ?? `0x${opcode.toString(16)}`;
}

/** The name a Linux trace event prints for an I/O opcode. @kernel include/linux/nvme.h show_nvm_opcode_name */
export function nvmeNvmOpcodeName(opcode: number): string {
  return linuxIo[opcode] ?? `0x${opcode.toString(16)}`;
}

/** The name for an opcode on queue `qid`: admin on queue 0, else I/O. @kernel include/linux/nvme.h show_opcode_name */
export function nvmeOpcodeName(qid: number, opcode: number): string {
  return qid === 0 ? nvmeAdminOpcodeName(opcode) : nvmeNvmOpcodeName(opcode);
}

/** The opname QEMU's pci_nvme_admin_cmd trace prints. */
export function qemuAdminOpcodeName(opcode: number): string {
  return qemuAdmin[opcode] ?? 'NVME_ADM_CMD_UNKNOWN';
}

/** The opname QEMU's pci_nvme_io_cmd trace prints. */
export function qemuIoOpcodeName(opcode: number): string {
  return qemuIo[opcode] ?? 'NVME_NVM_CMD_UNKNOWN';
}
