/**
 * Log pages and their identifiers.
 * Kernel counterpart: include/linux/nvme.h NVME_LOG_*, struct nvme_smart_log, nvme_error_slot and the rest.
 * [NVMe] 5.1.12.1.
 */
import {
  array,
  ascii,
  at,
  bit,
  bits,
  nested,
  reserved,
  struct,
  u8,
  u16,
  u32,
  u64,
  u128,
  withBits,
} from '@nvme-stack/wire';

export const NVME_LOG_SUPPORTED = 0x00;
export const NVME_LOG_ERROR = 0x01;
export const NVME_LOG_SMART = 0x02;
export const NVME_LOG_FW_SLOT = 0x03;
export const NVME_LOG_CHANGED_NS = 0x04;
export const NVME_LOG_CMD_EFFECTS = 0x05;
export const NVME_LOG_DEVICE_SELF_TEST = 0x06;
export const NVME_LOG_TELEMETRY_HOST = 0x07;
export const NVME_LOG_TELEMETRY_CTRL = 0x08;
export const NVME_LOG_ENDURANCE_GROUP = 0x09;
export const NVME_LOG_ANA = 0x0c;
export const NVME_LOG_PERSISTENT_EVENT = 0x0d;
export const NVME_LOG_FEATURES = 0x12;
export const NVME_LOG_DISC = 0x70;
export const NVME_LOG_RESERVATION = 0x80;
export const NVME_LOG_SANITIZE = 0x81;

/** Where a parameter error lies: byte and bit of the submission entry. [NVMe] 5.1.12.1.2. */
export const ParameterErrorLocation = { BIT: bits(10, 8), BYTE: bits(7, 0) } as const;

/** One error log entry. `statusField` is as in a completion, phase tag included. [NVMe] 5.1.12.1.2. @kernel include/linux/nvme.h nvme_error_slot */
export const NvmeErrorSlot = struct('nvme_error_slot', 64, {
  errorCount: u64,
  sqid: u16,
  cmdid: u16,
  statusField: u16,
  paramErrorLocation: withBits(u16, ParameterErrorLocation),
  lba: u64,
  nsid: u32,
  vs: u8,
  trtype: u8,
  rsvd30: reserved(2),
  cs: u64,
  trtypeSpecInfo: u16,
  rsvd42: reserved(22),
});

/** Critical warnings of the SMART log. */
export const NVME_SMART_CRIT_SPARE = 1 << 0;
export const NVME_SMART_CRIT_TEMPERATURE = 1 << 1;
export const NVME_SMART_CRIT_RELIABILITY = 1 << 2;
export const NVME_SMART_CRIT_MEDIA = 1 << 3;
export const NVME_SMART_CRIT_VOLATILE_MEMORY = 1 << 4;
export const NVME_SMART_CRIT_PMR_READ_ONLY = 1 << 5;

/**
 * SMART / Health Information. Temperatures in kelvin (`temperature` lies at byte 1, so it is two bytes), data units of
 * 1000 × 512 bytes. [NVMe] 5.1.12.1.3. @kernel include/linux/nvme.h nvme_smart_log
 */
export const NvmeSmartLog = struct('nvme_smart_log', 512, {
  criticalWarning: u8,
  temperature: array(u8, 2),
  availSpare: u8,
  spareThresh: u8,
  percentUsed: u8,
  enduGrpCritWarnSumry: u8,
  rsvd7: reserved(25),
  dataUnitsRead: u128,
  dataUnitsWritten: u128,
  hostReads: u128,
  hostWrites: u128,
  ctrlBusyTime: u128,
  powerCycles: u128,
  powerOnHours: u128,
  unsafeShutdowns: u128,
  mediaErrors: u128,
  numErrLogEntries: u128,
  warningTempTime: u32,
  criticalCompTime: u32,
  tempSensor: array(u16, 8),
  thmTemp1TransCount: u32,
  thmTemp2TransCount: u32,
  thmTemp1TotalTime: u32,
  thmTemp2TotalTime: u32,
  rsvd232: reserved(280),
});

/** Firmware Slot Information. [NVMe] 5.1.12.1.4. @kernel include/linux/nvme.h nvme_fw_slot_info_log */
export const NvmeFwSlotInfoLog = struct('nvme_fw_slot_info_log', 512, {
  afi: withBits(u8, { NEXT: bits(6, 4), ACTIVE: bits(2, 0) }),
  rsvd1: reserved(7),
  frs1: ascii(8),
  frs2: ascii(8),
  frs3: ascii(8),
  frs4: ascii(8),
  frs5: ascii(8),
  frs6: ascii(8),
  frs7: ascii(8),
  rsvd64: reserved(448),
});

/** Changed Attached Namespace List: ascending ids, or NVME_NSID_ALL first if there are too many. [NVMe] 5.1.12.1.5. */
export const NvmeChangedNsLog = struct('nvme_changed_ns_log', 4096, { nsid: array(u32, 1024) });

/** One command's effects. [NVMe] 5.1.12.1.6. */
export const CommandEffects = {
  CSP: bits(31, 20),
  UUID_SEL: bit(19),
  CSE: bits(18, 16),
  CSER: bits(15, 14),
  CCC: bit(4),
  NIC: bit(3),
  NCC: bit(2),
  LBCC: bit(1),
  CSUPP: bit(0),
} as const;

export const NVME_CMD_EFFECTS_CSUPP = CommandEffects.CSUPP.mask;
export const NVME_CMD_EFFECTS_LBCC = CommandEffects.LBCC.mask;
export const NVME_CMD_EFFECTS_NCC = CommandEffects.NCC.mask;
export const NVME_CMD_EFFECTS_NIC = CommandEffects.NIC.mask;
export const NVME_CMD_EFFECTS_CCC = CommandEffects.CCC.mask;
export const NVME_CMD_EFFECTS_CSER_MASK = CommandEffects.CSER.mask;
export const NVME_CMD_EFFECTS_CSE_MASK = CommandEffects.CSE.mask;
export const NVME_CMD_EFFECTS_UUID_SEL = CommandEffects.UUID_SEL.mask;
export const NVME_CMD_EFFECTS_SCOPE_MASK = CommandEffects.CSP.mask;

/** Commands Supported and Effects: admin, then I/O, by opcode. @kernel include/linux/nvme.h nvme_effects_log */
export const NvmeEffectsLog = struct('nvme_effects_log', 4096, {
  acs: array(withBits(u32, CommandEffects), 256),
  iocs: array(withBits(u32, CommandEffects), 256),
  rsvd2048: reserved(2048),
});

/** Supported Log Pages: bit 0 of entry `lid`. [NVMe] 5.1.12.1.1. @kernel include/linux/nvme.h nvme_supported_log */
export const NvmeSupportedLog = struct('nvme_supported_log', 1024, { lids: array(u32, 256) });

/** Header of one self-test result and the log around it. [NVMe] 5.1.12.1.7. */
export const NvmeSelfTestResult = struct('nvme_self_test_result', 28, {
  status: withBits(u8, { CODE: bits(7, 4), RESULT: bits(3, 0) }),
  segment: u8,
  vdi: u8,
  rsvd3: reserved(1),
  poh: array(u32, 2),
  nsid: u32,
  flba: array(u32, 2),
  sct: u8,
  sc: u8,
  vs: u16,
});

export const NvmeSelfTestLog = struct('nvme_self_test_log', 564, {
  currentOperation: u8,
  completion: u8,
  results: at(4, array(nested(NvmeSelfTestResult), 20)),
});
