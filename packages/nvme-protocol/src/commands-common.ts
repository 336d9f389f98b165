/**
 * What all submission entries share: the header, the data pointer and the flags byte.
 * Kernel counterpart: include/linux/nvme.h struct nvme_common_command, union nvme_data_ptr. [NVMe] 4.1.
 */
import { alias, bits, nested, struct, u8, u16, u32, u64, withBits } from '@nvme-stack/wire';
import { NvmeSglDesc } from './data-pointer.js';

/** The flags byte: PRP or SGL for Data Transfer, and Fused Operation. [NVMe] 4.1.1. */
export const CommandFlags = { PSDT: bits(7, 6), FUSE: bits(1, 0) } as const;

export const NVME_CMD_FUSE_FIRST = CommandFlags.FUSE.put(1);
export const NVME_CMD_FUSE_SECOND = CommandFlags.FUSE.put(2);
export const NVME_CMD_SGL_METABUF = CommandFlags.PSDT.put(1);
export const NVME_CMD_SGL_METASEG = CommandFlags.PSDT.put(2);
export const NVME_CMD_SGL_ALL = NVME_CMD_SGL_METABUF | NVME_CMD_SGL_METASEG;

/** Bytes 0 to 7 of every submission entry. */
export const commandHeader = {
  opcode: u8,
  flags: withBits(u8, CommandFlags),
  commandId: u16,
  nsid: u32,
} as const;

/** Bytes 24 to 39: two PRP entries, or one SGL descriptor under its second name. */
export const dataPointer = { prp1: u64, prp2: u64, sgl: alias(24, nested(NvmeSglDesc)) } as const;

/** Any command by its dwords; what passthrough speaks. @kernel include/linux/nvme.h nvme_common_command */
export const NvmeCommonCommand = struct('nvme_common_command', 64, {
  ...commandHeader,
  cdw2: u32,
  cdw3: u32,
  metadata: u64,
  ...dataPointer,
  cdw10: u32,
  cdw11: u32,
  cdw12: u32,
  cdw13: u32,
  cdw14: u32,
  cdw15: u32,
});
