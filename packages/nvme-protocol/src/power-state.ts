/** Power state descriptors. Kernel counterpart: include/linux/nvme.h struct nvme_id_power_state. [NVMe] 5.1.13.2.1. */
import { bit, bits, reserved, struct, u8, u16, u32, withBits } from '@nvme-stack/wire';

export const NVME_PS_FLAGS_MAX_POWER_SCALE = 1 << 0;
export const NVME_PS_FLAGS_NON_OP_STATE = 1 << 1;

/** One power state; latencies in microseconds, `maxPower` in units of 10 mW (100 µW with the scale flag). */
export const NvmeIdPowerState = struct('nvme_id_power_state', 32, {
  maxPower: u16,
  rsvd2: reserved(1),
  flags: withBits(u8, { NOPS: bit(1), MXPS: bit(0) }),
  entryLat: u32,
  exitLat: u32,
  readTput: u8,
  readLat: u8,
  writeTput: u8,
  writeLat: u8,
  idlePower: u16,
  idleScale: withBits(u8, { IPS: bits(7, 6) }),
  rsvd19: reserved(1),
  activePower: u16,
  activeWorkScale: withBits(u8, { APS: bits(7, 6), APW: bits(2, 0) }),
  rsvd23: reserved(9),
});
