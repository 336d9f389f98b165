// Staging memory: where submission entries, completion entries, lists and admin data pass through.
// Kernel counterpart: none. It may lie in the ArrayBuffer of RAM, so that DMA copies need no view.
import type { ControllerState } from './controller-state.js';
import { readMemory } from './host-access.js';
import { NVME_CONTROLLER_SCRATCH_BYTES, type ScratchMemory } from './ports.js';
import type { ListReader } from './prp.js';

/** Submission entries fetched in one run at most. */
export const FETCH_RUN = 64;
/** Completion entries written in one run at most. */
export const POST_RUN = 64;

const SQE_OFFSET = 0;
const CQE_OFFSET = 0x1000;
const WORD_OFFSET = 0x1800;
const DATA_OFFSET = 0x2000;
const DATA_BYTES = 0x1000;
const LIST_OFFSET = 0x3000;
/** The longest list page that any page size and transfer length can need. */
const LIST_BYTES = 0x8000;

/** The controller's staging buffers within one array. */
export class Stage implements ListReader {
  readonly bytes: Uint8Array;
  /** FETCH_RUN entries. */
  readonly sqeOffset: number;
  readonly sqes: Uint32Array;
  readonly cqeOffset: number;
  readonly cqes: Uint32Array;
  /** A PRP list page, a run of SGL descriptors, or data to compare. */
  readonly listOffset: number;
  readonly listBytes: number;
  readonly listView: DataView;
  /** 4 KiB of admin data. */
  readonly dataOffset: number;
  readonly data: Uint8Array;
  /** One dword, for shadow doorbells. */
  readonly wordOffset: number;
  readonly word: Uint32Array;
  readonly #controller: ControllerState;

  constructor(controller: ControllerState, scratch?: ScratchMemory) {
    const length = NVME_CONTROLLER_SCRATCH_BYTES;
    const memory = scratch ?? { bytes: new Uint8Array(length), offset: 0, length };
    if (memory.length < length || memory.offset % 8 !== 0 || (memory.bytes.byteOffset + memory.offset) % 8 !== 0) {
      throw new RangeError(
        `scratch of ${memory.length} bytes at ${memory.offset} is not allowed: it must be ${length} bytes, 8-byte aligned`,
      );
    }
    const { buffer } = memory.bytes;
    const base = memory.bytes.byteOffset + memory.offset;
    this.bytes = memory.bytes;
    this.sqeOffset = memory.offset + SQE_OFFSET;
    this.sqes = new Uint32Array(buffer, base + SQE_OFFSET, FETCH_RUN * 16);
    this.cqeOffset = memory.offset + CQE_OFFSET;
    this.cqes = new Uint32Array(buffer, base + CQE_OFFSET, POST_RUN * 4);
    this.listOffset = memory.offset + LIST_OFFSET;
    this.listBytes = LIST_BYTES;
    this.listView = new DataView(buffer, base + LIST_OFFSET, LIST_BYTES);
    this.dataOffset = memory.offset + DATA_OFFSET;
    this.data = new Uint8Array(buffer, base + DATA_OFFSET, DATA_BYTES);
    this.wordOffset = memory.offset + WORD_OFFSET;
    this.word = new Uint32Array(buffer, base + WORD_OFFSET, 1);
    this.#controller = controller;
  }

  readList(busAddr: number, lengthBytes: number): number {
    return readMemory(this.#controller, busAddr, this.bytes, this.listOffset, lengthBytes);
  }
}
