/**
 * Directives: what Directive Send and Receive say, and what they carry.
 * Kernel counterpart: include/linux/nvme.h NVME_DIR_*, struct streams_directive_params. [NVMe] 1.3 §9, 2.0 §8.7.
 */
import { at, bit, reserved, struct, u16, u32, withBits } from '@nvme-stack/wire';

/** Directive types: DTYPE of both commands and of I/O commands. [NVMe] 1.3 §9.1. */
export const NVME_DIR_IDENTIFY = 0x00;
export const NVME_DIR_STREAMS = 0x01;

/** Operations of Directive Send (DOPER), by type: Identify; Streams. [NVMe] 1.3 §9.2, §9.3. */
export const NVME_DIR_SND_ID_OP_ENABLE = 0x01;
export const NVME_DIR_SND_ST_OP_REL_ID = 0x01;
export const NVME_DIR_SND_ST_OP_REL_RSC = 0x02;

/** Operations of Directive Receive (DOPER), by type: Identify; Streams. [NVMe] 1.3 §9.2, §9.3. */
export const NVME_DIR_RCV_ID_OP_PARAM = 0x01;
export const NVME_DIR_RCV_ST_OP_PARAM = 0x01;
export const NVME_DIR_RCV_ST_OP_STATUS = 0x02;
export const NVME_DIR_RCV_ST_OP_RESOURCE = 0x03;

/** ENDIR of Enable Directive: on, not off. [NVMe] 1.3 §9.2.2.1. */
export const NVME_DIR_ENDIR = 0x01;

const types = { IDENTIFY: bit(0), STREAMS: bit(1) } as const;

/** Return Parameters of Identify: which directives there are, and which are enabled. [NVMe] 1.3 §9.2.1.1. */
export const NvmeIdDirectives = struct('nvme_id_directives', 4096, {
  supported: withBits(u32, types),
  rsvd4: reserved(28),
  enabled: at(32, withBits(u32, types)),
  rsvd36: reserved(4060),
});

/** Return Parameters of Streams; `sws` in logical blocks, `sgs` in units of it. [NVMe] 1.3 §9.3.1.1. @kernel include/linux/nvme.h streams_directive_params */
export const StreamsDirectiveParams = struct('streams_directive_params', 32, {
  msl: u16,
  nssa: u16,
  nsso: u16,
  rsvd: reserved(10),
  sws: u32,
  sgs: u16,
  nsa: u16,
  nso: u16,
  rsvd2: reserved(6),
});
