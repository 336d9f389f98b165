/**
 * Identify Controller data structure, 4096 bytes, fields under the specification's names.
 * Kernel counterpart: include/linux/nvme.h struct nvme_id_ctrl. [NVMe] 5.1.13.2.1.
 */
import { array, ascii, at, bits, bytes, nested, struct, u8, u16, u32, u128, withBits } from '@nvme-stack/wire';
import { NvmeIdPowerState } from './power-state.js';

/** SQES and CQES: largest and required entry size, as powers of two. */
export const QueueEntrySizes = { MAX: bits(7, 4), MIN: bits(3, 0) } as const;

/** @kernel include/linux/nvme.h nvme_id_ctrl */
export const NvmeIdCtrl = struct('nvme_id_ctrl', 4096, {
  vid: at(0, u16),
  ssvid: u16,
  sn: ascii(20),
  mn: ascii(40),
  fr: ascii(8),
  rab: u8,
  ieee: bytes(3),
  cmic: u8,
  mdts: u8,
  cntlid: u16,
  ver: at(80, u32),
  rtd3r: u32,
  rtd3e: u32,
  oaes: u32,
  ctratt: u32,
  rrls: u16,
  cntrltype: at(111, u8),
  fguid: bytes(16),
  crdt1: at(128, u16),
  crdt2: u16,
  crdt3: u16,
  nvmsr: at(253, u8),
  vwci: u8,
  mec: u8,
  oacs: at(256, u16),
  acl: u8,
  aerl: u8,
  frmw: u8,
  lpa: u8,
  elpe: u8,
  npss: u8,
  avscc: u8,
  apsta: u8,
  wctemp: u16,
  cctemp: u16,
  mtfa: u16,
  hmpre: u32,
  hmmin: u32,
  tnvmcap: u128,
  unvmcap: u128,
  rpmbs: at(312, u32),
  edstt: u16,
  dsto: u8,
  fwug: u8,
  kas: u16,
  hctma: u16,
  mntmt: u16,
  mxtmt: u16,
  sanicap: u32,
  hmminds: u32,
  hmmaxd: u16,
  nsetidmax: u16,
  endgidmax: u16,
  anatt: u8,
  anacap: u8,
  anagrpmax: u32,
  nanagrpid: u32,
  pels: u32,
  domainid: u16,
  megcap: at(368, u128),
  sqes: at(512, withBits(u8, QueueEntrySizes)),
  cqes: withBits(u8, QueueEntrySizes),
  maxcmd: u16,
  nn: u32,
  oncs: u16,
  fuses: u16,
  fna: u8,
  vwc: u8,
  awun: u16,
  awupf: u16,
  icsvscc: u8,
  nwpc: u8,
  acwu: u16,
  ocfs: u16,
  sgls: u32,
  mnan: u32,
  maxdna: u128,
  maxcna: u32,
  subnqn: at(768, ascii(256, '\0')),
  ioccsz: at(1792, u32),
  iorcsz: u32,
  icdoff: u16,
  fcatt: u8,
  msdbd: u8,
  ofcs: u16,
  dctype: u8,
  psd: at(2048, array(nested(NvmeIdPowerState), 32)),
  vs: bytes(1024),
});

/** CNTRLTYPE. @kernel include/linux/nvme.h nvme_ctrl_type */
export const NVME_CTRL_IO = 1;
export const NVME_CTRL_DISC = 2;
export const NVME_CTRL_ADMIN = 3;

export const NVME_CTRL_CMIC_MULTI_PORT = 1 << 0;
export const NVME_CTRL_CMIC_MULTI_CTRL = 1 << 1;
export const NVME_CTRL_CMIC_ANA = 1 << 3;
export const NVME_CTRL_ONCS_COMPARE = 1 << 0;
export const NVME_CTRL_ONCS_WRITE_UNCORRECTABLE = 1 << 1;
export const NVME_CTRL_ONCS_DSM = 1 << 2;
export const NVME_CTRL_ONCS_WRITE_ZEROES = 1 << 3;
export const NVME_CTRL_ONCS_SAVE_FEATURES = 1 << 4;
export const NVME_CTRL_ONCS_RESERVATIONS = 1 << 5;
export const NVME_CTRL_ONCS_TIMESTAMP = 1 << 6;
export const NVME_CTRL_ONCS_VERIFY = 1 << 7;
export const NVME_CTRL_ONCS_COPY = 1 << 8;
export const NVME_CTRL_VWC_PRESENT = 1 << 0;
export const NVME_CTRL_OACS_SEC_SUPP = 1 << 0;
export const NVME_CTRL_OACS_FORMAT = 1 << 1;
export const NVME_CTRL_OACS_FW = 1 << 2;
export const NVME_CTRL_OACS_NS_MNGT_SUPP = 1 << 3;
export const NVME_CTRL_OACS_SELF_TEST = 1 << 4;
export const NVME_CTRL_OACS_DIRECTIVES = 1 << 5;
export const NVME_CTRL_OACS_VIRT_MGMT = 1 << 7;
export const NVME_CTRL_OACS_DBBUF_SUPP = 1 << 8;
export const NVME_CTRL_LPA_SMART_PER_NS = 1 << 0;
export const NVME_CTRL_LPA_CMD_EFFECTS_LOG = 1 << 1;
export const NVME_CTRL_LPA_EXTENDED_DATA = 1 << 2;
export const NVME_CTRL_OAES_NS_ATTR = 1 << 8;
export const NVME_CTRL_ATTR_HID_128_BIT = 1 << 0;
export const NVME_CTRL_CTRATT_NVM_SETS = 1 << 2;
export const NVME_CTRL_ATTR_TBKAS = 1 << 6;
export const NVME_CTRL_ATTR_ELBAS = 1 << 15;
export const NVME_CTRL_SGLS_BYTE_ALIGNED = 1;
export const NVME_CTRL_SGLS_DWORD_ALIGNED = 2;
export const NVME_CTRL_SGLS_KSDBDS = 1 << 2;
export const NVME_CTRL_SGLS_MSDS = 1 << 19;
export const NVME_CTRL_SGLS_SAOS = 1 << 20;
export const NVME_CTRL_SGLS_BIT_BUCKET = 1 << 16;
