// Copy: source ranges of a namespace, read and written one after the other. Descriptor format 1 is for guards of 32 and 64
// bits, which no format of these namespaces has; it is refused as QEMU refuses it.
// Kernel counterpart: none in the driver (passthrough). Spec: [NVM] 1.0 §3.2.2.
import { type CommandSlot, MOVE_FROM_BUFFER, MOVE_TO_BUFFER, SLOT_IN_STORE } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { fetchData } from './data.js';
import type { Namespace } from './namespace.js';
import { isInRange } from './nvm.js';
import * as sc from './status.js';

/** Limits that Identify Namespace states: blocks of one range, of all ranges, and ranges (0-based). */
export const COPY_MSSRL = 128;
export const COPY_MCL = 128;
export const COPY_MSRC = 127;

const DESCRIPTOR_BYTES = 32;
const WIDE_GUARD_FORMAT = 1;
/** Descriptors first, then the data of the range at hand. */
const DATA_AT = (COPY_MSRC + 1) * DESCRIPTOR_BYTES;

/** Copy. All ranges are checked before anything is written. */
export function copy(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const ranges = (slot.cdw12 & 0xff) + 1;
  const format = (slot.cdw12 >>> 8) & 0xf;
  if (format > WIDE_GUARD_FORMAT) return sc.SC_INVALID_FIELD;
  if (ranges > COPY_MSRC + 1) return sc.SC_CMD_SIZE_LIMIT;
  if (format === WIDE_GUARD_FORMAT) return sc.SC_INVALID_FORMAT;
  if (namespace.readOnly) return sc.SC_NS_WRITE_PROTECTED;
  const buffer = slot.needBuffer(DATA_AT + COPY_MSSRL * 4096);
  const status = fetchData(controller, slot, buffer, 0, ranges * DESCRIPTOR_BYTES);
  if (status !== sc.SC_SUCCESS) return status;
  let blocks = 0;
  for (let i = 0; i < ranges; i++) {
    const count = rangeBlocks(buffer, i);
    blocks += count;
    if (count > COPY_MSSRL || blocks > COPY_MCL) return sc.SC_CMD_SIZE_LIMIT;
    if (!isInRange(namespace, rangeStart(buffer, i), count)) return sc.SC_LBA_RANGE;
  }
  if (!isInRange(namespace, slot.cdw11 * 0x100000000 + slot.cdw10, blocks)) return sc.SC_LBA_RANGE;
  slot.step = 0;
  slot.steps = 2 * ranges;
  return continueCopy(slot);
}

/** Even steps read a range into the buffer, odd ones write it to its place behind the ranges before. */
export function continueCopy(slot: CommandSlot): number {
  const namespace = slot.namespace as Namespace;
  const buffer = slot.buffer as Uint8Array;
  const range = slot.step >>> 1;
  const isRead = (slot.step & 1) === 0;
  const length = rangeBlocks(buffer, range) * namespace.blockSize;
  slot.step++;
  slot.bufferAt = DATA_AT;
  slot.state = SLOT_IN_STORE;
  if (isRead) {
    slot.move = MOVE_TO_BUFFER;
    namespace.store.read(rangeStart(buffer, range) * namespace.blockSize, length, slot);
  } else {
    let target = slot.cdw11 * 0x100000000 + slot.cdw10;
    for (let i = 0; i < range; i++) target += rangeBlocks(buffer, i);
    slot.move = MOVE_FROM_BUFFER;
    namespace.store.write(target * namespace.blockSize, length, slot);
  }
  return sc.PENDING;
}

function rangeStart(buffer: Uint8Array, range: number): number {
  const view = new DataView(buffer.buffer, buffer.byteOffset + range * DESCRIPTOR_BYTES, DESCRIPTOR_BYTES);
  return view.getUint32(12, true) * 0x100000000 + view.getUint32(8, true);
}

function rangeBlocks(buffer: Uint8Array, range: number): number {
  const at = range * DESCRIPTOR_BYTES + 16;
  return (buffer[at] as number) + (buffer[at + 1] as number) * 256 + 1;
}
