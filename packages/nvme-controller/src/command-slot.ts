// One outstanding command: its decoded entry, its host memory, and its side of the store's callbacks.
// Kernel counterpart: none (what QEMU calls a request). Slots are made once and reused. Spec: [NVMe] 2.0 §3.3.3.1.

import { finishStoreRequest } from './completion.js';
import type { ControllerState } from './controller-state.js';
import { finishInline } from './fast-rw.js';
import { alterData } from './faults/alter-data.js';
import { readMemory, writeMemory } from './host-access.js';
import type { Namespace } from './namespace.js';
import type { BlockStoreClient, CommandFault, DataFault, FAULT_ALTER } from './ports.js';
import { BufferedBlocks, TagFields } from './protection.js';
import type { SubmissionQueue } from './queues.js';
import { SegmentList } from './segment-list.js';
import { SC_COMPARE_FAILED, SC_DATA_XFER_ERROR, SC_SUCCESS } from './status.js';

export const SLOT_FREE = 0;
/** Fetched; being executed or waiting for its time. */
export const SLOT_ACTIVE = 1;
/** In a store. */
export const SLOT_IN_STORE = 2;
/** An asynchronous event request waiting for an event. */
export const SLOT_PARKED = 3;
/** Completed, waiting for room in its completion queue. */
export const SLOT_DONE = 4;
/** Its queue is gone while a store still works on it; the store's done() frees it. */
export const SLOT_ORPHAN = 5;

/** What the store's pieces are for. */
export const MOVE_NOTHING = 0;
export const MOVE_TO_HOST = 1;
export const MOVE_FROM_HOST = 2;
export const MOVE_COMPARE = 3;
export const MOVE_TO_BUFFER = 4;
export const MOVE_FROM_BUFFER = 5;
/** To or from the host, with the data of a fault plan's choice. */
export const MOVE_ALTERED = 6;
export const MOVE_ZEROES = 7;

const NO_BYTES = new Uint8Array(0);

/** What a fault plan alters of a command that is executed. */
type AlteredCommand = Extract<CommandFault, { readonly kind: typeof FAULT_ALTER }>;

/** State of one command. */
export class CommandSlot implements BlockStoreClient {
  readonly controller: ControllerState;
  readonly index: number;
  readonly segments: SegmentList;
  state: number;
  next: CommandSlot | null;
  sq: SubmissionQueue | null;
  namespace: Namespace | null;
  /** Sequence number of its timed event, or 0. */
  ticket: number;
  sqid: number;
  cid: number;
  opcode: number;
  flags: number;
  nsid: number;
  mptrLo: number;
  mptrHi: number;
  prp1Lo: number;
  prp1Hi: number;
  prp2Lo: number;
  prp2Hi: number;
  cdw10: number;
  cdw11: number;
  cdw12: number;
  cdw13: number;
  cdw14: number;
  cdw15: number;
  dw0: number;
  status: number;
  move: number;
  lengthBytes: number;
  /** Buffer of commands of several steps (ranges, copied data), kept for reuse. */
  buffer: Uint8Array | null;
  bufferAt: number;
  /** Steps of such a command: the one at hand and how many. */
  step: number;
  steps: number;
  /** In a store's call the short way, and which dword of the staged run its entry begins at. */
  isInline: boolean;
  entry: number;
  /** Counts fetched entries: which of two commands came first. */
  fetchOrder: number;
  /** Fault: never complete. */
  isDropped: boolean;
  /** Fault: what is altered of its data and its completion entry. */
  fault: AlteredCommand | null;
  /** Of altered data: the direction, and bytes moved so far. */
  alteredMove: number;
  movedBytes: number;
  /** Of commands with metadata: their blocks in the buffer, and their tags. */
  readonly blocks: BufferedBlocks;
  readonly tags: TagFields;
  /** How often its namespace had been formatted when it began. */
  formats: number;

  constructor(controller: ControllerState, index: number) {
    this.controller = controller;
    this.index = index;
    this.segments = new SegmentList();
    this.state = SLOT_FREE;
    this.next = null;
    this.sq = null;
    this.namespace = null;
    this.ticket = 0;
    this.sqid = 0;
    this.cid = 0;
    this.opcode = 0;
    this.flags = 0;
    this.nsid = 0;
    this.mptrLo = 0;
    this.mptrHi = 0;
    this.prp1Lo = 0;
    this.prp1Hi = 0;
    this.prp2Lo = 0;
    this.prp2Hi = 0;
    this.cdw10 = 0;
    this.cdw11 = 0;
    this.cdw12 = 0;
    this.cdw13 = 0;
    this.cdw14 = 0;
    this.cdw15 = 0;
    this.dw0 = 0;
    this.status = 0;
    this.move = MOVE_NOTHING;
    this.lengthBytes = 0;
    this.buffer = null;
    this.bufferAt = 0;
    this.step = 0;
    this.steps = 0;
    this.isInline = false;
    this.entry = 0;
    this.fetchOrder = 0;
    this.isDropped = false;
    this.fault = null;
    this.alteredMove = MOVE_NOTHING;
    this.movedBytes = 0;
    this.blocks = new BufferedBlocks(NO_BYTES, 0, 0, 0);
    this.tags = new TagFields();
    this.formats = 0;
  }

  /** Takes the submission entry whose first dword is dwords[at]. */
  load(dwords: Uint32Array, at: number): void {
    const dw0 = dwords[at] as number;
    this.opcode = dw0 & 0xff;
    this.flags = (dw0 >>> 8) & 0xff;
    this.cid = dw0 >>> 16;
    this.nsid = dwords[at + 1] as number;
    this.mptrLo = dwords[at + 4] as number;
    this.mptrHi = dwords[at + 5] as number;
    this.prp1Lo = dwords[at + 6] as number;
    this.prp1Hi = dwords[at + 7] as number;
    this.prp2Lo = dwords[at + 8] as number;
    this.prp2Hi = dwords[at + 9] as number;
    this.cdw10 = dwords[at + 10] as number;
    this.cdw11 = dwords[at + 11] as number;
    this.cdw12 = dwords[at + 12] as number;
    this.cdw13 = dwords[at + 13] as number;
    this.cdw14 = dwords[at + 14] as number;
    this.cdw15 = dwords[at + 15] as number;
    this.dw0 = 0;
    this.status = SC_SUCCESS;
    this.fetchOrder = this.controller.fetchCount++;
    this.step = 0;
    this.isDropped = false;
    this.fault = null;
  }

  /** Says where the store's pieces go: MOVE_TO_HOST or MOVE_FROM_HOST. */
  moves(move: number): void {
    this.move = move;
    if (this.fault?.data === undefined) return;
    this.move = MOVE_ALTERED;
    this.alteredMove = move;
    this.movedBytes = 0;
  }

  /** A buffer of at least length bytes, kept with the slot. */
  needBuffer(length: number): Uint8Array {
    if (this.buffer === null || this.buffer.length < length) this.buffer = new Uint8Array(Math.max(length, 4096));
    return this.buffer;
  }

  piece(bytes: Uint8Array, offset: number, length: number): number {
    if (this.state === SLOT_ORPHAN) return 1;
    switch (this.move) {
      case MOVE_TO_HOST:
      case MOVE_FROM_HOST:
        return this.#transfer(bytes, offset, length, this.move === MOVE_TO_HOST);
      case MOVE_COMPARE:
        return this.#compare(bytes, offset, length);
      case MOVE_TO_BUFFER:
        (this.buffer as Uint8Array).set(bytes.subarray(offset, offset + length), this.bufferAt);
        this.bufferAt += length;
        return 0;
      case MOVE_FROM_BUFFER:
        bytes.set((this.buffer as Uint8Array).subarray(this.bufferAt, this.bufferAt + length), offset);
        this.bufferAt += length;
        return 0;
      case MOVE_ZEROES:
        bytes.fill(0, offset, offset + length);
        return 0;
      case MOVE_ALTERED:
        return this.#alteredTransfer(bytes, offset, length);
      default:
        return 0;
    }
  }

  done(storeStatus: number): void {
    if (this.isInline) finishInline(this.controller, this, storeStatus);
    else finishStoreRequest(this.controller, this, storeStatus);
  }

  /** Moves length bytes between (bytes, offset) and the command's memory, from where its cursor stands. */
  #transfer(bytes: Uint8Array, offset: number, length: number, toHost: boolean): number {
    const { segments } = this;
    let at = offset;
    let left = length;
    while (left > 0) {
      const { index } = segments;
      const room = (segments.lengths[index] as number) - segments.within;
      const count = Math.min(room, left);
      const address = (segments.addresses[index] as number) + segments.within;
      const failed = toHost
        ? writeMemory(this.controller, address, bytes, at, count)
        : readMemory(this.controller, address, bytes, at, count);
      if (failed !== 0) {
        this.status = SC_DATA_XFER_ERROR;
        return failed;
      }
      at += count;
      left -= count;
      if (count === room) {
        segments.index = index + 1;
        segments.within = 0;
      } else {
        segments.within += count;
      }
    }
    return 0;
  }

  /** The same with a fault plan between: the memory that is read from is left as it is. */
  #alteredTransfer(bytes: Uint8Array, offset: number, length: number): number {
    const fault = this.fault?.data as DataFault;
    const from = this.movedBytes;
    const toHost = this.alteredMove === MOVE_TO_HOST;
    this.movedBytes += length;
    if (fault.fails === true && fault.offset < from + length) {
      const failed = this.#transfer(bytes, offset, Math.max(0, fault.offset - from), toHost);
      this.status = SC_DATA_XFER_ERROR;
      return failed === 0 ? 1 : failed;
    }
    if (toHost) {
      const copy = bytes.slice(offset, offset + length);
      alterData(fault, copy, 0, length, from);
      return this.#transfer(copy, 0, length, true);
    }
    const failed = this.#transfer(bytes, offset, length, false);
    alterData(fault, bytes, offset, length, from);
    return failed;
  }

  #compare(bytes: Uint8Array, offset: number, length: number): number {
    const { stage } = this.controller;
    for (let done = 0; done < length; ) {
      const count = Math.min(length - done, stage.listBytes);
      const failed = this.#transfer(stage.bytes, stage.listOffset, count, false);
      if (failed !== 0) return failed;
      for (let i = 0; i < count; i++) {
        if (stage.bytes[stage.listOffset + i] !== bytes[offset + done + i]) {
          this.status = SC_COMPARE_FAILED;
          return 1;
        }
      }
      done += count;
    }
    return 0;
  }
}
