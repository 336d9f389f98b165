/**
 * Submission entries of the NVM command set, 64 bytes each.
 * Kernel counterpart: include/linux/nvme.h struct nvme_rw_command, nvme_dsm_cmd, nvme_write_zeroes_cmd. [NVM] 3.3.
 */
import { bit, bits, reserved, struct, u8, u16, u32, u64, withBits } from '@nvme-stack/wire';
import { commandHeader, dataPointer } from './commands-common.js';

/** The control half-word of a read or write, command dword 12 bits 31:16. [NVM] 3.3.4, 3.3.6. */
export const RwControl = {
  LR: bit(15),
  FUA: bit(14),
  PRACT: bit(13),
  PRCHK_GUARD: bit(12),
  PRCHK_APP: bit(11),
  PRCHK_REF: bit(10),
  STC: bit(8),
  DTYPE: bits(7, 4),
} as const;

export const NVME_RW_LR = 1 << 15;
export const NVME_RW_FUA = 1 << 14;
export const NVME_RW_PRINFO_PRACT = 1 << 13;
export const NVME_RW_PRINFO_PRCHK_GUARD = 1 << 12;
export const NVME_RW_PRINFO_PRCHK_APP = 1 << 11;
export const NVME_RW_PRINFO_PRCHK_REF = 1 << 10;
export const NVME_RW_APPEND_PIREMAP = 1 << 9;
export const NVME_RW_DTYPE_STREAMS = 1 << 4;
export const NVME_RW_DSM_FREQ_PREFETCH = 7;
/** Write Zeroes: deallocate. */
export const NVME_WZ_DEAC = 1 << 9;

/**
 * Read, write, compare, verify, write uncorrectable, zone append; `length` is 0-based, in logical blocks.
 * @kernel include/linux/nvme.h nvme_rw_command
 */
export const NvmeRwCommand = struct('nvme_rw_command', 64, {
  ...commandHeader,
  cdw2: u32,
  cdw3: u32,
  metadata: u64,
  ...dataPointer,
  slba: u64,
  length: u16,
  control: withBits(u16, RwControl),
  dsmgmt: u32,
  reftag: u32,
  apptag: u16,
  appmask: u16,
});

/** Write Zeroes; `length` is 0-based. [NVM] 3.3.8. @kernel include/linux/nvme.h nvme_write_zeroes_cmd */
export const NvmeWriteZeroesCmd = struct('nvme_write_zeroes_cmd', 64, {
  ...commandHeader,
  rsvd2: reserved(8),
  metadata: u64,
  ...dataPointer,
  slba: u64,
  length: u16,
  control: u16,
  dsmgmt: u32,
  reftag: u32,
  apptag: u16,
  appmask: u16,
});

/** Dataset Management; `nr` is the 0-based number of ranges. [NVM] 3.3.3. @kernel include/linux/nvme.h nvme_dsm_cmd */
export const NvmeDsmCmd = struct('nvme_dsm_cmd', 64, {
  ...commandHeader,
  rsvd2: reserved(16),
  ...dataPointer,
  nr: u32,
  attributes: u32,
  rsvd12: reserved(16),
});

export const NVME_DSMGMT_IDR = 1 << 0;
export const NVME_DSMGMT_IDW = 1 << 1;
export const NVME_DSMGMT_AD = 1 << 2;

/** One range of Dataset Management; `nlb` is 1-based. @kernel include/linux/nvme.h nvme_dsm_range */
export const NvmeDsmRange = struct('nvme_dsm_range', 16, { cattr: u32, nlb: u32, slba: u64 });

/** Copy; `nr` is the 0-based number of source ranges. [NVM] 3.3.2. */
export const NvmeCopyCmd = struct('nvme_copy_cmd', 64, {
  ...commandHeader,
  cdw2: u32,
  cdw3: u32,
  metadata: u64,
  ...dataPointer,
  sdlba: u64,
  nr: u8,
  format: withBits(u8, { PRINFOR: bits(7, 4), DESFMT: bits(3, 0) }),
  control: u16,
  dsmgmt: u32,
  reftag: u32,
  apptag: u16,
  appmask: u16,
});

/** A source range of Copy in format 0; `nlb` is 0-based. [NVM] 3.3.2. */
export const NvmeCopyRange = struct('nvme_copy_range', 32, {
  rsvd0: reserved(8),
  slba: u64,
  nlb: u16,
  rsvd18: reserved(6),
  reftag: u32,
  apptag: u16,
  appmask: u16,
});
