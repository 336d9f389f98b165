// The host memory buffer: memory that the host lends, where the controller keeps what it knows of its medium's map.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_setup_host_mem. Spec: [NVMe] 2.0 §8.9, §5.27.1.10.
//
// The map is kept in regions. A region's entry in the buffer spares its commands a look-up on the medium. The host may
// not touch the buffer, but may be wrong: an entry that is not as it was left is dropped, and found on the medium again.
import { NvmeHostMemBufDesc } from '@nvme-stack/nvme-protocol';
import type { ControllerState } from './controller-state.js';
import type { HmbDescription } from './hardware-description.js';
import type { HmbReport } from './ports.js';

const PAGE_BYTES = 4096;
const KIB_PER_PAGE = 4;
const DESCRIPTOR_BYTES = 16;
const TWO_32 = 0x100000000;
/** Bytes of the medium that one entry maps, and bytes of an entry. */
const REGION_BYTES = 1 << 22;
const ENTRY_BYTES = 32;
const ENTRY_WORDS = ENTRY_BYTES / 4;
const ENTRY_MAGIC = 0x50414d48;
/** Pieces that a hostile host may name. */
const MAX_PIECES = 0x10000;

/** A buffer's life: lent, used, taken back, perhaps lent again with what it held. */
export class HostMemoryBuffer implements HmbReport {
  readonly description: Required<HmbDescription>;
  enabled = false;
  sizeBytes = 0;
  hits = 0;
  misses = 0;
  corrupted = 0;
  /** HMDLAL, HMDLAU and HMDLEC, as the host gave them. */
  listLo = 0;
  listHi = 0;
  listCount = 0;
  /** Pieces by bus address, and the offset in the buffer behind each. */
  #addresses = new Float64Array(0);
  #ends = new Float64Array(0);
  /** What each slot of the buffer was left with: which region (0: none), and how often that was written. */
  #regions = new Float64Array(0);
  #generations = new Uint32Array(0);

  constructor(description: Required<HmbDescription>) {
    this.description = description;
  }

  /** HMPRE, HMMIN, HMMINDS: pages of 4 KiB. */
  get preferredPages(): number {
    return this.description.preferredKiB / KIB_PER_PAGE;
  }
  get minimumPages(): number {
    return this.description.minimumKiB / KIB_PER_PAGE;
  }
  get minimumPiecePages(): number {
    return this.description.minimumPieceKiB / KIB_PER_PAGE;
  }

  /**
   * Takes the buffer that the descriptor list names; false, with nothing changed, when list or sizes are not allowed.
   * `returned`: it holds what it held when it was taken back.
   */
  enable(controller: ControllerState, sizePages: number, returned: boolean): boolean {
    const { maximumPieces } = this.description;
    const { listCount } = this;
    if (listCount === 0 || listCount > MAX_PIECES || (maximumPieces !== 0 && listCount > maximumPieces)) return false;
    if (sizePages === 0 || sizePages < this.minimumPages) return false;
    const addresses = new Float64Array(listCount);
    const ends = new Float64Array(listCount);
    const { pageBytes } = controller;
    let total = 0;
    for (let i = 0; i < listCount; i++) {
      const piece = readDescriptor(controller, this.listHi * TWO_32 + this.listLo + i * DESCRIPTOR_BYTES);
      if (piece === null || piece.pages === 0 || piece.address % pageBytes !== 0) return false;
      if (piece.pages * pageBytes < this.minimumPiecePages * PAGE_BYTES) return false;
      addresses[i] = piece.address;
      total += piece.pages * pageBytes;
      ends[i] = total;
    }
    if (total < sizePages * pageBytes) return false;
    const slots = Math.floor((sizePages * pageBytes) / ENTRY_BYTES);
    if (!returned || this.#regions.length !== slots) {
      this.#regions = new Float64Array(slots);
      this.#generations = new Uint32Array(slots);
    }
    this.#addresses = addresses;
    this.#ends = ends;
    this.sizeBytes = sizePages * pageBytes;
    this.enabled = true;
    return true;
  }

  /** The host takes it back, or the controller was reset: it is not touched from now on. */
  disable(): void {
    this.enabled = false;
  }

  /** What a read or write at a byte of a namespace takes longer; looks into the buffer, and notes there what it found. */
  delayNs(controller: ControllerState, nsid: number, byteOffset: number, isWrite: boolean): number {
    const { lookupNs } = this.description;
    if (!this.enabled) return lookupNs;
    const region = Math.floor(byteOffset / REGION_BYTES);
    const key = region * 1024 + nsid;
    const slot = key % this.#regions.length;
    const address = this.#addressOf(slot * ENTRY_BYTES);
    const known = this.#regions[slot] === key;
    const intact = known && this.#isIntact(controller, address, slot);
    if (known && !intact) this.corrupted++;
    if (intact) this.hits++;
    else this.misses++;
    if (!known) this.#generations[slot] = 0;
    if (!intact || isWrite) {
      this.#generations[slot] = (this.#generations[slot] as number) + (isWrite ? 1 : 0);
      this.#regions[slot] = key;
      this.#note(controller, address, slot);
    }
    return intact ? 0 : lookupNs;
  }

  #addressOf(offset: number): number {
    let piece = 0;
    while ((this.#ends[piece] as number) <= offset) piece++;
    const start = piece === 0 ? 0 : (this.#ends[piece - 1] as number);
    return (this.#addresses[piece] as number) + offset - start;
  }

  #word(slot: number, index: number): number {
    const key = this.#regions[slot] as number;
    const generation = this.#generations[slot] as number;
    if (index === 0) return ENTRY_MAGIC;
    if (index === 1) return key % TWO_32;
    if (index === 2) return Math.floor(key / TWO_32);
    if (index === 3) return generation;
    return Math.imul(key + generation * 31 + index, 0x9e3779b1) >>> 0;
  }

  #isIntact({ endpoint, stage }: ControllerState, address: number, slot: number): boolean {
    if (endpoint.dmaRead(address, stage.bytes, stage.listOffset, ENTRY_BYTES) !== 0) return false;
    for (let i = 0; i < ENTRY_WORDS; i++)
      if (stage.listView.getUint32(4 * i, true) !== this.#word(slot, i)) return false;
    return true;
  }

  #note({ endpoint, stage }: ControllerState, address: number, slot: number): void {
    for (let i = 0; i < ENTRY_WORDS; i++) stage.listView.setUint32(4 * i, this.#word(slot, i), true);
    if (endpoint.dmaWrite(address, stage.bytes, stage.listOffset, ENTRY_BYTES) !== 0) this.#regions[slot] = 0;
  }
}

function readDescriptor(
  { endpoint, stage }: ControllerState,
  busAddr: number,
): { readonly address: number; readonly pages: number } | null {
  if (endpoint.dmaRead(busAddr, stage.bytes, stage.listOffset, DESCRIPTOR_BYTES) !== 0) return null;
  const view = stage.listView;
  const { addr, size } = NvmeHostMemBufDesc.offsets;
  return {
    address: view.getUint32(addr + 4, true) * TWO_32 + view.getUint32(addr, true),
    pages: view.getUint32(size, true),
  };
}
