/**
 * Identify data structures that belong to one I/O command set (CNS 05h, 06h).
 * Kernel counterpart: include/linux/nvme.h struct nvme_id_ctrl_nvm, nvme_id_ns_nvm, nvme_id_ctrl_zns, nvme_id_ns_zns.
 * [NVM] 4.1.5.3, 4.1.5.4; [ZNS] 4.1.5.1.
 */
import { array, at, bits, bytes, nested, reserved, struct, u8, u16, u32, u64, withBits } from '@nvme-stack/wire';

/** NVM command set limits; the `…sl` fields are powers of two in units of the minimum page. @kernel include/linux/nvme.h nvme_id_ctrl_nvm */
export const NvmeIdCtrlNvm = struct('nvme_id_ctrl_nvm', 4096, {
  vsl: u8,
  wzsl: u8,
  wusl: u8,
  dmrl: u8,
  dmrsl: u32,
  dmsl: u64,
  rsvd16: reserved(4080),
});

/** Extended LBA format: storage tag size, protection information format. */
export const Elbaf = { QPIF: bits(12, 9), PIF: bits(8, 7), STS: bits(6, 0) } as const;

/** @kernel include/linux/nvme.h nvme_id_ns_nvm */
export const NvmeIdNsNvm = struct('nvme_id_ns_nvm', 4096, {
  lbstm: u64,
  pic: u8,
  elbaf: at(12, array(withBits(u32, Elbaf), 64)),
  rsvd268: reserved(3828),
});

/** @kernel include/linux/nvme.h nvme_id_ctrl_zns */
export const NvmeIdCtrlZns = struct('nvme_id_ctrl_zns', 4096, { zasl: u8, rsvd1: reserved(4095) });

/** @kernel include/linux/nvme.h nvme_zns_lbafe */
export const NvmeZnsLbafe = struct('nvme_zns_lbafe', 16, { zsze: u64, zdes: u8, rsvd9: reserved(7) });

/** @kernel include/linux/nvme.h nvme_id_ns_zns */
export const NvmeIdNsZns = struct('nvme_id_ns_zns', 4096, {
  zoc: u16,
  ozcs: u16,
  mar: u32,
  mor: u32,
  rrl: u32,
  frl: u32,
  lbafe: at(2816, array(nested(NvmeZnsLbafe), 64)),
  vs: bytes(256),
});
