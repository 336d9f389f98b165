/**
 * The completion entry, 16 bytes. Kernel counterpart: include/linux/nvme.h struct nvme_completion. [NVMe] 4.2.1.
 */
import { alias, bit, bits, struct, u16, u32, u64, withBits } from '@nvme-stack/wire';

/** The status half-word of a completion entry: phase tag and Status field. [NVMe] 4.2.3. */
export const CqeStatus = {
  DNR: bit(15),
  M: bit(14),
  CRD: bits(13, 12),
  SCT: bits(11, 9),
  SC: bits(8, 1),
  P: bit(0),
} as const;

/** A completion entry. `result` is dword 0, `result64` dwords 0 and 1. @kernel include/linux/nvme.h nvme_completion */
export const NvmeCompletion = struct('nvme_completion', 16, {
  result: u32,
  dw1: u32,
  result64: alias(0, u64),
  sqHead: u16,
  sqId: u16,
  commandId: u16,
  status: withBits(u16, CqeStatus),
});

/** The status half-word for a status as Linux writes it (SCT, SC, CRD, M, DNR without the phase) and a phase. */
export function cqeStatusWord(status: number, phase: number): number {
  return ((status << 1) & 0xfffe) | (phase & 1);
}

/** The status as Linux writes it, from the status half-word. @kernel drivers/nvme/host/nvme.h nvme_try_complete_req (status >> 1) */
export function cqeStatusCode(statusWord: number): number {
  return (statusWord >>> 1) & 0x7fff;
}

/** The phase tag of the status half-word. @kernel drivers/nvme/host/pci.c nvme_cqe_pending */
export function cqePhase(statusWord: number): number {
  return statusWord & 1;
}
