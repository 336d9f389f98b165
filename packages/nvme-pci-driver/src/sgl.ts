/**
 * SGL descriptors of a transfer: one data block in the command, or a segment of data blocks.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_setup_sgls. [NVMe] 4.3.2.
 *
 * A descriptor is 16 bytes: address, length, and its type in the last byte. Sixteen fit a block of the small pool, 256 a
 * page; requests have fewer pieces, so one segment holds them all, and it is the last one.
 */
import type { ScatterList } from '@nvme-stack/kernel';
import { NVME_CTRL_PAGE_SIZE, NVME_SMALL_POOL_BYTES } from './limits.js';
import type { PrpListBlock, PrpListSource } from './prp.js';

export const SGL_DESCRIPTOR_BYTES = 16;
const DESCRIPTOR_WORDS = SGL_DESCRIPTOR_BYTES / 4;
/** Most pieces that one segment can name. */
export const SGES_PER_PAGE = NVME_CTRL_PAGE_SIZE / SGL_DESCRIPTOR_BYTES;
const SGES_PER_SMALL_BLOCK = NVME_SMALL_POOL_BYTES / SGL_DESCRIPTOR_BYTES;
/** Types, in the high half of the last byte. */
const SGL_DATA_BLOCK = 0x00 << 24;
const SGL_LAST_SEGMENT = 0x30 << 24;
const TWO_32 = 4294967296;
/** Word of the data pointer in a command. */
const DPTR_WORD = 6;
/** FLAGS.PSDT: an SGL for data, a plain pointer for metadata. */
export const CMD_SGL_METABUF = 0x40 << 8;

function setDescriptor(words: Uint32Array, at: number, address: number, lengthBytes: number, type: number): void {
  words[at] = address % TWO_32;
  words[at + 1] = Math.floor(address / TWO_32);
  words[at + 2] = lengthBytes;
  words[at + 3] = type;
}

/** One piece, in the command itself. Any context. @kernel drivers/nvme/host/pci.c nvme_setup_sgl_simple */
export function writeSglSimple(cmd: Uint32Array, address: number, lengthBytes: number): void {
  cmd[0] = (cmd[0] as number) | CMD_SGL_METABUF;
  setDescriptor(cmd, DPTR_WORD, address, lengthBytes, SGL_DATA_BLOCK);
}

/**
 * Writes the descriptors of the mapped entries of `sg` (at most SGES_PER_PAGE) and the command's. False when `source` has no
 * memory. Any context; allocates nothing but a block from `source`. @kernel drivers/nvme/host/pci.c nvme_pci_setup_sgls
 */
export function buildSgl<B extends PrpListBlock>(cmd: Uint32Array, sg: ScatterList, source: PrpListSource<B>): boolean {
  const entries = sg.mappedNents;
  if (entries === 1) {
    writeSglSimple(cmd, sg.dmaAddr[0] as number, sg.dmaLengthBytes[0] as number);
    return true;
  }
  const block = source.take(entries <= SGES_PER_SMALL_BLOCK);
  if (block === null) return false;
  for (let i = 0; i < entries; i++) {
    const address = sg.dmaAddr[i] as number;
    setDescriptor(block.u32, i * DESCRIPTOR_WORDS, address, sg.dmaLengthBytes[i] as number, SGL_DATA_BLOCK);
  }
  cmd[0] = (cmd[0] as number) | CMD_SGL_METABUF;
  setDescriptor(cmd, DPTR_WORD, block.busAddr, entries * SGL_DESCRIPTOR_BYTES, SGL_LAST_SEGMENT);
  return true;
}
