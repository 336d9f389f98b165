// Copy: source ranges of a namespace, read and written one after the other with their metadata, whose protection
// information is checked on the way out, and checked or inserted on the way in. Descriptor format 1 is for guards of 32 and
// 64 bits, which no format of these namespaces has; it is refused as QEMU refuses it.
// Kernel counterpart: none in the driver (passthrough). Spec: [NVM] 1.0 §3.2.2.
import { NvmeCopyRange } from '@nvme-stack/nvme-protocol';
import { type CommandSlot, MOVE_FROM_BUFFER, MOVE_TO_BUFFER, SLOT_IN_STORE } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { fetchData } from './data.js';
import type { Namespace } from './namespace.js';
import { isInRange } from './nvm.js';
import * as protection from './protection.js';
import * as sc from './status.js';

/** Limits that Identify Namespace states: blocks of one range, of all ranges, and ranges (0-based). */
export const COPY_MSSRL = 128;
export const COPY_MCL = 128;
export const COPY_MSRC = 127;

const DESCRIPTOR_BYTES = NvmeCopyRange.sizeBytes;
const WIDE_GUARD_FORMAT = 1;
const LARGEST_BLOCK = 4096;
const LARGEST_METADATA = 64;
/** Descriptors first, then the data of the range at hand, then their metadata. */
const DATA_AT = (COPY_MSRC + 1) * DESCRIPTOR_BYTES;
const METADATA_AT = DATA_AT + COPY_MSSRL * LARGEST_BLOCK;
const BUFFER_BYTES = METADATA_AT + COPY_MSSRL * LARGEST_METADATA;

/** Turns of a range: its data and metadata are read, then written; these two are of data. */
const READ_DATA = 0;
const WRITE_DATA = 2;
const TURNS = 4;

/** Copy. All ranges are checked before anything is written. */
export function copy(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const ranges = (slot.cdw12 & 0xff) + 1;
  const format = (slot.cdw12 >>> 8) & 0xf;
  const isProtected = namespace.protectionType !== 0;
  if (isProtected && protection.acts(readPrinfo(slot)) !== protection.acts(writePrinfo(slot)))
    return sc.SC_INVALID_FIELD;
  if (format > WIDE_GUARD_FORMAT) return sc.SC_INVALID_FIELD;
  if (ranges > COPY_MSRC + 1) return sc.SC_CMD_SIZE_LIMIT;
  if (format === WIDE_GUARD_FORMAT) return sc.SC_INVALID_FORMAT;
  if (namespace.readOnly) return sc.SC_NS_WRITE_PROTECTED;
  const buffer = slot.needBuffer(BUFFER_BYTES);
  const status = fetchData(controller, slot, buffer, 0, ranges * DESCRIPTOR_BYTES);
  if (status !== sc.SC_SUCCESS) return status;
  const blocks = checkRanges(namespace, buffer, ranges);
  if (blocks < 0) return -blocks;
  if (!isInRange(namespace, targetOf(slot), blocks)) return sc.SC_LBA_RANGE;
  slot.formats = namespace.formats;
  slot.step = 0;
  slot.steps = TURNS * ranges;
  return continueCopy(slot);
}

/** How many blocks the ranges have in all, or the negated status of what is wrong with one. */
function checkRanges(namespace: Namespace, buffer: Uint8Array, ranges: number): number {
  const range = NvmeCopyRange.cursor(buffer);
  let blocks = 0;
  for (let i = 0; i < ranges; i++) {
    const { slba, nlb } = range.at(i * DESCRIPTOR_BYTES);
    const count = nlb + 1;
    blocks += count;
    if (count > COPY_MSSRL || blocks > COPY_MCL) return -sc.SC_CMD_SIZE_LIMIT;
    if (!isInRange(namespace, slba, count)) return -sc.SC_LBA_RANGE;
    if (namespace.reportsDeallocated && !namespace.isAllocated(slba, count)) return -sc.SC_UNWRITTEN_BLOCK;
  }
  return blocks;
}

/** PRINFOR, for the source, and PRINFOW, for the target. */
const readPrinfo = (slot: CommandSlot): number => (slot.cdw12 >>> 12) & 0xf;
const writePrinfo = (slot: CommandSlot): number => protection.prinfoOf(slot.cdw12);
const targetOf = (slot: CommandSlot): number => slot.cdw11 * 0x100000000 + slot.cdw10;

/** The next turn of a range. A range whose protection information is wrong ends the command; dword 0 says which. */
export function continueCopy(slot: CommandSlot): number {
  const namespace = slot.namespace as Namespace;
  if (slot.formats !== namespace.formats) return sc.SC_FORMAT_IN_PROGRESS;
  const { blockSize, metadataBytes, metadataOffset, store } = namespace;
  const buffer = slot.buffer as Uint8Array;
  const turn = slot.step % TURNS;
  const index = (slot.step - turn) / TURNS;
  const range = NvmeCopyRange.cursor(buffer).at(index * DESCRIPTOR_BYTES);
  const count = range.nlb + 1;
  const target = targetOf(slot) + blocksBefore(buffer, index);
  // Without metadata their turns are left out.
  slot.step += metadataBytes === 0 ? 2 : 1;
  slot.state = SLOT_IN_STORE;
  if (turn < WRITE_DATA) {
    slot.move = MOVE_TO_BUFFER;
    slot.bufferAt = turn === READ_DATA ? DATA_AT : METADATA_AT;
    if (turn === READ_DATA) store.read(range.slba * blockSize, count * blockSize, slot);
    else store.read(metadataOffset + range.slba * metadataBytes, count * metadataBytes, slot);
    return sc.PENDING;
  }
  if (turn === WRITE_DATA && namespace.protectionType !== 0) {
    const status = protectRange(slot, namespace, index, target);
    if (status !== sc.SC_SUCCESS) {
      slot.dw0 = index;
      return status;
    }
  }
  slot.move = MOVE_FROM_BUFFER;
  slot.bufferAt = turn === WRITE_DATA ? DATA_AT : METADATA_AT;
  if (turn === WRITE_DATA) store.write(target * blockSize, count * blockSize, slot);
  else store.write(metadataOffset + target * metadataBytes, count * metadataBytes, slot);
  return sc.PENDING;
}

/** Checks what was read by the range's own tags, and checks or makes anew what is to be written by the command's. */
function protectRange(slot: CommandSlot, namespace: Namespace, index: number, target: number): number {
  const bytes = slot.buffer as Uint8Array;
  const range = NvmeCopyRange.cursor(bytes).at(index * DESCRIPTOR_BYTES);
  const blocks = new protection.BufferedBlocks(bytes, DATA_AT, METADATA_AT, range.nlb + 1);
  const { slba } = range;
  const rangeTags = slot.tags.set(
    readPrinfo(slot),
    slba % 0x100000000,
    range.reftag,
    range.apptag + range.appmask * 0x10000,
  );
  protection.fillDeallocated(namespace, blocks, slba);
  const status = protection.check(namespace, blocks, rangeTags);
  if (status !== sc.SC_SUCCESS) return status;
  const isCounted = namespace.protectionType !== 3;
  const refTag = (slot.cdw14 + (isCounted ? blocksBefore(bytes, index) : 0)) % 0x100000000;
  const tags = slot.tags.set(writePrinfo(slot), target % 0x100000000, refTag, slot.cdw15);
  if (!protection.acts(tags.prinfo)) return protection.check(namespace, blocks, tags);
  const refusal = protection.checkFields(namespace, tags);
  if (refusal === sc.SC_SUCCESS) protection.generate(namespace, blocks, tags.appTag, tags.refTag);
  return refusal;
}

/** Blocks of the ranges before one. */
function blocksBefore(buffer: Uint8Array, index: number): number {
  const range = NvmeCopyRange.cursor(buffer);
  let blocks = 0;
  for (let i = 0; i < index; i++) blocks += range.at(i * DESCRIPTOR_BYTES).nlb + 1;
  return blocks;
}
