/**
 * How a command points to its data: PRP entries and SGL descriptors.
 * Kernel counterpart: include/linux/nvme.h union nvme_data_ptr, struct nvme_sgl_desc, enum nvme_sgl_types. [NVMe] 4.3.
 */
import { bits, bytes, struct, u8, u32, u64, withBits } from '@nvme-stack/wire';

/** SGL identifier byte: descriptor type and sub type. [NVMe] 4.3.2. */
export const SglIdentifier = { TYPE: bits(7, 4), SUBTYPE: bits(3, 0) } as const;

/** A 16-byte SGL descriptor. @kernel include/linux/nvme.h nvme_sgl_desc */
export const NvmeSglDesc = struct('nvme_sgl_desc', 16, {
  addr: u64,
  length: u32,
  rsvd: bytes(3),
  type: withBits(u8, SglIdentifier),
});

/** SGL descriptor types, the high four bits of the identifier. [NVMe] 4.3.2. */
export const NVME_SGL_FMT_DATA_DESC = 0x00;
export const NVME_SGL_FMT_BIT_BUCKET_DESC = 0x01;
export const NVME_SGL_FMT_SEG_DESC = 0x02;
export const NVME_SGL_FMT_LAST_SEG_DESC = 0x03;
export const NVME_KEY_SGL_FMT_DATA_DESC = 0x04;
export const NVME_TRANSPORT_SGL_DATA_DESC = 0x05;

/** SGL descriptor sub types, the low four bits of the identifier. */
export const NVME_SGL_FMT_ADDRESS = 0x00;
export const NVME_SGL_FMT_OFFSET = 0x01;
export const NVME_SGL_FMT_TRANSPORT_A = 0x0a;
export const NVME_SGL_FMT_INVALIDATE = 0x0f;

/** Bytes of one PRP entry, and entries in one 4 KiB page. */
export const NVME_PRP_ENTRY_BYTES = 8;
export const NVME_PRPS_PER_PAGE = 512;

/** Byte offset of an address within its memory page. `pageBytes` is a power of two. */
export function prpPageOffset(address: number, pageBytes: number): number {
  return address % pageBytes;
}

/** Number of PRP entries a transfer needs, PRP1 included. [NVMe] 4.3.1. */
export function prpEntryCount(address: number, lengthBytes: number, pageBytes: number): number {
  return divRoundUp(prpPageOffset(address, pageBytes) + lengthBytes, pageBytes);
}

/**
 * Pages of PRP list a transfer of `lengthBytes` needs at worst; the last entry of a full page points to the next.
 * @kernel drivers/nvme/host/pci.c nvme_pci_npages_prp
 */
export function prpListPages(lengthBytes: number, pageBytes: number): number {
  const entries = divRoundUp(lengthBytes + pageBytes, pageBytes);
  return divRoundUp(entries * NVME_PRP_ENTRY_BYTES, pageBytes - NVME_PRP_ENTRY_BYTES);
}

function divRoundUp(dividend: number, divisor: number): number {
  return Math.floor((dividend + divisor - 1) / divisor);
}
