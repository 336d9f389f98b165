/**
 * The controller's registers (properties), one line per field, bits high to low as in the specification's figures.
 * Kernel counterpart: include/linux/nvme.h NVME_REG_* and NVME_CAP_*. [NVMe] 3.1.4 (numbering of base 2.1; fields are
 * those of 1.4 and 2.0).
 */
import { bit, bits, register32, register64, registerMap } from '@nvme-stack/wire';

/** Controller Capabilities, 64 bits: read fields with `get(lo, hi)`. [NVMe] 3.1.4.1. */
export const CAP = {
  CRIMS: bit(60),
  CRWMS: bit(59),
  NSSS: bit(58),
  CMBS: bit(57),
  PMRS: bit(56),
  MPSMAX: bits(55, 52),
  MPSMIN: bits(51, 48),
  CPS: bits(47, 46),
  BPS: bit(45),
  CSS: bits(44, 37),
  NSSRS: bit(36),
  DSTRD: bits(35, 32),
  TO: bits(31, 24),
  AMS: bits(18, 17),
  CQR: bit(16),
  MQES: bits(15, 0),
} as const;

/** Version. [NVMe] 3.1.4.2. */
export const VS = { MJR: bits(31, 16), MNR: bits(15, 8), TER: bits(7, 0) } as const;

/** Interrupt Mask Set and Interrupt Mask Clear, one bit per vector. [NVMe] 3.1.4.3, 3.1.4.4. */
export const INTM = { IVM: bits(31, 0) } as const;

/** Controller Configuration. [NVMe] 3.1.4.5. */
export const CC = {
  CRIME: bit(24),
  IOCQES: bits(23, 20),
  IOSQES: bits(19, 16),
  SHN: bits(15, 14),
  AMS: bits(13, 11),
  MPS: bits(10, 7),
  CSS: bits(6, 4),
  EN: bit(0),
} as const;

/** Controller Status. [NVMe] 3.1.4.6. */
export const CSTS = {
  ST: bit(6),
  PP: bit(5),
  NSSRO: bit(4),
  SHST: bits(3, 2),
  CFS: bit(1),
  RDY: bit(0),
} as const;

/** NVM Subsystem Reset. [NVMe] 3.1.4.7. */
export const NSSR = { NSSRC: bits(31, 0) } as const;

/** Admin Queue Attributes, sizes 0-based. [NVMe] 3.1.4.8. */
export const AQA = { ACQS: bits(27, 16), ASQS: bits(11, 0) } as const;

/** Admin Submission Queue Base Address. [NVMe] 3.1.4.9. */
export const ASQ = { ASQB: bits(63, 12) } as const;

/** Admin Completion Queue Base Address. [NVMe] 3.1.4.10. */
export const ACQ = { ACQB: bits(63, 12) } as const;

/** Controller Memory Buffer Location. [NVMe] 3.1.4.11. */
export const CMBLOC = {
  OFST: bits(31, 12),
  CQDA: bit(8),
  CDMMMS: bit(7),
  CDPCILS: bit(6),
  CDPMLS: bit(5),
  CQPDS: bit(4),
  CQMMS: bit(3),
  BIR: bits(2, 0),
} as const;

/** Controller Memory Buffer Size. [NVMe] 3.1.4.12. */
export const CMBSZ = {
  SZ: bits(31, 12),
  SZU: bits(11, 8),
  WDS: bit(4),
  RDS: bit(3),
  LISTS: bit(2),
  CQS: bit(1),
  SQS: bit(0),
} as const;

/** Boot Partition Information. [NVMe] 3.1.4.13. */
export const BPINFO = { ABPID: bit(31), BRS: bits(25, 24), BPSZ: bits(14, 0) } as const;

/** Boot Partition Read Select. [NVMe] 3.1.4.14. */
export const BPRSEL = { BPID: bit(31), BPROF: bits(29, 10), BPRSZ: bits(9, 0) } as const;

/** Boot Partition Memory Buffer Location. [NVMe] 3.1.4.15. */
export const BPMBL = { BMBBA: bits(63, 12) } as const;

/** Controller Memory Buffer Memory Space Control. [NVMe] 3.1.4.16. */
export const CMBMSC = { CBA: bits(63, 12), CMSE: bit(1), CRE: bit(0) } as const;

/** Controller Memory Buffer Status. [NVMe] 3.1.4.17. */
export const CMBSTS = { CBAI: bit(0) } as const;

/** Controller Memory Buffer Elasticity Buffer Size. [NVMe] 3.1.4.18. */
export const CMBEBS = { CMBWBZ: bits(31, 8), RBB: bit(4), CMBSZU: bits(3, 0) } as const;

/** Controller Memory Buffer Sustained Write Throughput. [NVMe] 3.1.4.19. */
export const CMBSWTP = { CMBSWTV: bits(31, 8), CMBSWTU: bits(3, 0) } as const;

/** NVM Subsystem Shutdown. [NVMe] 3.1.4.20. */
export const NSSD = { NSSC: bits(31, 0) } as const;

/** Controller Ready Timeouts, units of 500 ms. [NVMe] 3.1.4.21. */
export const CRTO = { CRIMT: bits(31, 16), CRWMT: bits(15, 0) } as const;

/** Persistent Memory Region Capabilities. [NVMe] 3.1.4.22. */
export const PMRCAP = {
  CMSS: bit(24),
  PMRTO: bits(23, 16),
  PMRWBM: bits(13, 10),
  PMRTU: bits(9, 8),
  BIR: bits(7, 5),
  WDS: bit(4),
  RDS: bit(3),
} as const;

/** Persistent Memory Region Control. [NVMe] 3.1.4.23. */
export const PMRCTL = { EN: bit(0) } as const;

/** Persistent Memory Region Status. [NVMe] 3.1.4.24. */
export const PMRSTS = { CBAI: bit(12), HSTS: bits(11, 9), NRDY: bit(8), ERR: bits(7, 0) } as const;

/** Persistent Memory Region Elasticity Buffer Size. [NVMe] 3.1.4.25. */
export const PMREBS = { PMRWBZ: bits(31, 8), RBB: bit(4), PMRSZU: bits(3, 0) } as const;

/** Persistent Memory Region Sustained Write Throughput. [NVMe] 3.1.4.26. */
export const PMRSWTP = { PMRSWTV: bits(31, 8), PMRSWTU: bits(3, 0) } as const;

/** Persistent Memory Region Memory Space Control, lower and upper. [NVMe] 3.1.4.27, 3.1.4.28. */
export const PMRMSCL = { CBA: bits(31, 12), CMSE: bit(1) } as const;
export const PMRMSCU = { CBA: bits(31, 0) } as const;

/** The register map of BAR0 below the doorbells. [NVMe] 3.1.4. */
export const NvmeRegisters = registerMap('NVMe controller registers', 0x1000, {
  CAP: register64(0x00, CAP),
  VS: register32(0x08, VS),
  INTMS: register32(0x0c, INTM),
  INTMC: register32(0x10, INTM),
  CC: register32(0x14, CC),
  CSTS: register32(0x1c, CSTS),
  NSSR: register32(0x20, NSSR),
  AQA: register32(0x24, AQA),
  ASQ: register64(0x28, ASQ),
  ACQ: register64(0x30, ACQ),
  CMBLOC: register32(0x38, CMBLOC),
  CMBSZ: register32(0x3c, CMBSZ),
  BPINFO: register32(0x40, BPINFO),
  BPRSEL: register32(0x44, BPRSEL),
  BPMBL: register64(0x48, BPMBL),
  CMBMSC: register64(0x50, CMBMSC),
  CMBSTS: register32(0x58, CMBSTS),
  CMBEBS: register32(0x5c, CMBEBS),
  CMBSWTP: register32(0x60, CMBSWTP),
  NSSD: register32(0x64, NSSD),
  CRTO: register32(0x68, CRTO),
  PMRCAP: register32(0xe00, PMRCAP),
  PMRCTL: register32(0xe04, PMRCTL),
  PMRSTS: register32(0xe08, PMRSTS),
  PMREBS: register32(0xe0c, PMREBS),
  PMRSWTP: register32(0xe10, PMRSWTP),
  PMRMSCL: register32(0xe14, PMRMSCL),
  PMRMSCU: register32(0xe18, PMRMSCU),
});
