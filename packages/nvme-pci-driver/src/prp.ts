/**
 * PRP entries of a transfer: PRP1, PRP2, and list pages chained at their last entry.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_pci_setup_prps. [NVMe] 4.3.1.
 *
 * A transfer of at most two pages needs no list: PRP2 is the second page's address. From three pages on PRP2 points to
 * a list. A list of up to 32 entries comes from the small pool, a longer one from pages of 512 entries, and the last
 * entry of a page that is not the last page points to the next page.
 */
import type { ScatterList } from '@nvme-stack/kernel';
import { NVME_CTRL_PAGE_SIZE, NVME_SMALL_POOL_BYTES } from './limits.js';

const ENTRY_BYTES = 8;
const ENTRIES_PER_PAGE = NVME_CTRL_PAGE_SIZE / ENTRY_BYTES;
/** Longest list, in entries, that fits a block of the small pool. */
export const SMALL_LIST_ENTRIES = NVME_SMALL_POOL_BYTES / ENTRY_BYTES;
const TWO_32 = 4294967296;

/** A block a list is written into; the words are little-endian. */
export interface PrpListBlock {
  readonly busAddr: number;
  readonly u32: Uint32Array;
}

/** Where the lists come from; null when memory is short. */
export interface PrpListSource<B extends PrpListBlock> {
  take(small: boolean): B | null;
}

/** PRP1 and PRP2 of the transfer last built; one object per queue of requests, refilled. */
export class PrpPair {
  prp1 = 0;
  prp2 = 0;
}

/** Outcomes of `buildPrps`. */
export const PRP_OK = 0;
/** The list pages ran out: give back what was taken. */
export const PRP_NO_MEMORY = 1;
/** The pieces cannot be described: one that is not the first starts, or one that is not the last ends, inside a page. */
export const PRP_BAD_SG = 2;

/**
 * Writes the PRP entries of `lengthBytes` in the mapped entries of `sg`. Returns PRP_OK, PRP_NO_MEMORY or PRP_BAD_SG.
 * Any context; allocates nothing but list blocks from `source`.
 */
export function buildPrps<B extends PrpListBlock>(
  sg: ScatterList,
  lengthBytes: number,
  source: PrpListSource<B>,
  out: PrpPair,
): number {
  const offset = (sg.dmaAddr[0] as number) % NVME_CTRL_PAGE_SIZE;
  out.prp1 = sg.dmaAddr[0] as number;
  out.prp2 = 0;
  let left = lengthBytes - (NVME_CTRL_PAGE_SIZE - offset);
  let index = 0;
  let address = (sg.dmaAddr[0] as number) + (NVME_CTRL_PAGE_SIZE - offset);
  let pieceLeft = (sg.dmaLengthBytes[0] as number) - (NVME_CTRL_PAGE_SIZE - offset);
  if (left <= 0) return (sg.dmaLengthBytes[0] as number) >= lengthBytes ? PRP_OK : PRP_BAD_SG;
  let entriesLeft = Math.floor((left + NVME_CTRL_PAGE_SIZE - 1) / NVME_CTRL_PAGE_SIZE);
  const needsList = entriesLeft > 1;
  let block: B | null = null;
  let slot = 0;
  if (needsList) {
    block = source.take(entriesLeft <= SMALL_LIST_ENTRIES);
    if (block === null) return PRP_NO_MEMORY;
    out.prp2 = block.busAddr;
  }
  for (;;) {
    if (pieceLeft < 0) return PRP_BAD_SG;
    if (pieceLeft === 0) {
      index++;
      if (index >= sg.mappedNents) return PRP_BAD_SG;
      address = sg.dmaAddr[index] as number;
      pieceLeft = sg.dmaLengthBytes[index] as number;
      if (address % NVME_CTRL_PAGE_SIZE !== 0) return PRP_BAD_SG;
    }
    if (block === null) {
      out.prp2 = address;
    } else {
      if (slot === ENTRIES_PER_PAGE - 1 && entriesLeft > 1) {
        const next = source.take(false);
        if (next === null) return PRP_NO_MEMORY;
        writeEntry(block, slot, next.busAddr);
        block = next;
        slot = 0;
      }
      writeEntry(block, slot++, address);
    }
    entriesLeft--;
    left -= NVME_CTRL_PAGE_SIZE;
    if (left <= 0) return pieceLeft >= left + NVME_CTRL_PAGE_SIZE ? PRP_OK : PRP_BAD_SG;
    address += NVME_CTRL_PAGE_SIZE;
    pieceLeft -= NVME_CTRL_PAGE_SIZE;
  }
}

function writeEntry(block: PrpListBlock, slot: number, address: number): void {
  block.u32[2 * slot] = address % TWO_32;
  block.u32[2 * slot + 1] = Math.floor(address / TWO_32);
}
