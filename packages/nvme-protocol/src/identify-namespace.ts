/**
 * Identify Namespace data structures, 4096 bytes each.
 * Kernel counterpart: include/linux/nvme.h struct nvme_id_ns, nvme_lbaf, nvme_id_ns_cs_indep. [NVM] 4.1.5.1.
 */
import {
  array,
  at,
  bit,
  bits,
  bytes,
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

/** LBA format: metadata bytes, data size as a power of two, relative performance. @kernel include/linux/nvme.h nvme_lbaf */
export const NvmeLbaf = struct('nvme_lbaf', 4, { ms: u16, ds: u8, rp: withBits(u8, { RP: bits(1, 0) }) });

/** Formatted LBA size. */
export const Flbas = { LBAFU: bits(6, 5), MTELBA: bit(4), LBAFL: bits(3, 0) } as const;

/** @kernel include/linux/nvme.h nvme_id_ns */
export const NvmeIdNs = struct('nvme_id_ns', 4096, {
  nsze: at(0, u64),
  ncap: u64,
  nuse: u64,
  nsfeat: withBits(u8, { OPTPERF: bit(4), UIDREUSE: bit(3), DAE: bit(2), NSABP: bit(1), THINP: bit(0) }),
  nlbaf: u8,
  flbas: withBits(u8, Flbas),
  mc: u8,
  dpc: u8,
  dps: withBits(u8, { PIP: bit(3), PIT: bits(2, 0) }),
  nmic: u8,
  rescap: u8,
  fpi: u8,
  dlfeat: withBits(u8, { GUARD: bit(4), WZDS: bit(3), READ: bits(2, 0) }),
  nawun: u16,
  nawupf: u16,
  nacwu: u16,
  nabsn: u16,
  nabo: u16,
  nabspf: u16,
  noiob: u16,
  nvmcap: u128,
  npwg: at(64, u16),
  npwa: u16,
  npdg: u16,
  npda: u16,
  nows: u16,
  mssrl: u16,
  mcl: u32,
  msrc: u8,
  kpios: u8,
  nulbaf: u8,
  anagrpid: at(92, u32),
  nsattr: at(99, u8),
  nvmsetid: u16,
  endgid: u16,
  nguid: bytes(16),
  eui64: bytes(8),
  lbaf: at(128, array(nested(NvmeLbaf), 64)),
  vs: bytes(3712),
});

/** I/O command set independent Identify Namespace (CNS 08h). [NVMe] 5.1.13.2.8. @kernel include/linux/nvme.h nvme_id_ns_cs_indep */
export const NvmeIdNsCsIndep = struct('nvme_id_ns_cs_indep', 4096, {
  nsfeat: u8,
  nmic: u8,
  rescap: u8,
  fpi: u8,
  anagrpid: u32,
  nsattr: u8,
  rsvd9: reserved(1),
  nvmsetid: u16,
  endgid: u16,
  nstat: withBits(u8, { NRDY: bit(0) }),
  rsvd15: reserved(4081),
});

export const NVME_NS_FEAT_THIN = 1 << 0;
export const NVME_NS_FEAT_ATOMICS = 1 << 1;
export const NVME_NS_FEAT_IO_OPT = 1 << 4;
export const NVME_NS_ATTR_RO = 1 << 0;
export const NVME_NS_FLBAS_LBA_MASK = 0xf;
export const NVME_NS_FLBAS_LBA_UMASK = 0x60;
export const NVME_NS_FLBAS_LBA_SHIFT = 1;
export const NVME_NS_FLBAS_META_EXT = 0x10;
export const NVME_NS_NMIC_SHARED = 1 << 0;
export const NVME_NSTAT_NRDY = 1 << 0;
export const NVME_NS_DPC_PI_TYPE1 = 1 << 0;
export const NVME_NS_DPC_PI_TYPE2 = 1 << 1;
export const NVME_NS_DPC_PI_TYPE3 = 1 << 2;
export const NVME_NS_DPC_PI_FIRST = 1 << 3;
export const NVME_NS_DPC_PI_LAST = 1 << 4;
export const NVME_NS_DPS_PI_FIRST = 1 << 3;
export const NVME_NS_DPS_PI_MASK = 0x7;
export const NVME_NS_DPS_PI_TYPE1 = 1;
export const NVME_NS_DPS_PI_TYPE2 = 2;
export const NVME_NS_DPS_PI_TYPE3 = 3;
export const NVME_MC_EXTENDED_LBA = 1 << 0;
export const NVME_MC_METADATA_PTR = 1 << 1;

/** Index of the LBA format in use. @kernel include/linux/nvme.h nvme_lbaf_index */
export function nvmeLbafIndex(flbas: number): number {
  return Flbas.LBAFL.get(flbas) + Flbas.LBAFU.get(flbas) * 16;
}
