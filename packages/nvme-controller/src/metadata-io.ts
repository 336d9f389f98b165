// Reads, writes and their kin where blocks have metadata: data and metadata meet in the slot's buffer, where protection
// information is checked, inserted and stripped.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_map_metadata and core.c nvme_setup_rw.
// Spec: [NVM] 1.0 §3.2, §5.2.2; [NVMe] 2.0 §3.3.3.1 (MPTR).
import { NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import {
  type CommandSlot,
  MOVE_FROM_BUFFER,
  MOVE_NOTHING,
  MOVE_TO_BUFFER,
  MOVE_ZEROES,
  SLOT_IN_STORE,
} from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { mapData } from './data.js';
import { fetchBlocks, fetchMetadata, hasMetadataPointer, sendBlocks } from './host-blocks.js';
import { PROTECTION_BYTES } from './lba-formats.js';
import type { Namespace } from './namespace.js';
import * as protection from './protection.js';
import * as sc from './status.js';

const { write: WRITE, read: READ, compare: COMPARE, writeZeroes: WRITE_ZEROES, verify: VERIFY } = NvmeNvmOpcode;

/** Force Unit Access in dword 12. */
const FUA = 0x40000000;
/** Steps of a command: its data are in the store's hands, its metadata, neither any more. */
const STEP_DATA = 0;
const STEP_METADATA = 1;
const STEP_OVER = 2;

/** First block of a command. */
const slbaOf = (slot: CommandSlot): number => slot.cdw11 * 0x100000000 + slot.cdw10;
const countOf = (slot: CommandSlot): number => (slot.cdw12 & 0xffff) + 1;

/** True of commands whose blocks are read, written or looked at. */
function hasBlocks(opcode: number): boolean {
  return opcode === READ || opcode === WRITE || opcode === COMPARE || opcode === VERIFY || opcode === WRITE_ZEROES;
}

/** True if a command goes on here after a store was done with it. */
export function isMetadataCommand(slot: CommandSlot): boolean {
  const { namespace } = slot;
  return namespace !== null && namespace.metadataBytes !== 0 && hasBlocks(slot.opcode);
}

/** Bytes of host memory that the data pointer of a command names: extended blocks, unless their metadata are stripped. */
function mappedBytes(namespace: Namespace, slot: CommandSlot): number {
  const count = countOf(slot);
  const isWhole = namespace.isExtended && !isStripped(namespace, slot);
  return count * (namespace.blockSize + (isWhole ? namespace.metadataBytes : 0));
}

/** With PRACT set, metadata that are protection information alone do not pass between host and controller. */
function isStripped({ protectionType, metadataBytes }: Namespace, { cdw12 }: CommandSlot): boolean {
  return protectionType !== 0 && metadataBytes === PROTECTION_BYTES && protection.acts(protection.prinfoOf(cdw12));
}

/** Tags of a command. */
function tagsOf(slot: CommandSlot): protection.TagFields {
  return slot.tags.set(protection.prinfoOf(slot.cdw12), slot.cdw10, slot.cdw14, slot.cdw15);
}

/** A command's blocks in its buffer. */
function blocksOf(namespace: Namespace, slot: CommandSlot): protection.BufferedBlocks {
  const { blocks } = slot;
  blocks.bytes = slot.buffer as Uint8Array;
  blocks.dataAt = 0;
  blocks.count = countOf(slot);
  blocks.metadataAt = blocks.count * namespace.blockSize;
  return blocks;
}

/** Bytes of a command's blocks, metadata included. */
function sizeOf(namespace: Namespace, slot: CommandSlot): number {
  return countOf(slot) * (namespace.blockSize + namespace.metadataBytes);
}

/** The buffer of a command: data and metadata of the medium, room for them as the host has them, and for what is compared. */
function takeBuffer(namespace: Namespace, slot: CommandSlot): void {
  slot.needBuffer((slot.opcode === COMPARE ? 3 : 2) * sizeOf(namespace, slot));
  slot.formats = namespace.formats;
}

/** Read, Compare and Verify; write and the rest have their own. Returns a status or PENDING. */
export function readWithMetadata(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const { opcode } = slot;
  const prinfo = protection.prinfoOf(slot.cdw12);
  if (namespace.protectionType !== 0 && opcode !== READ) {
    if (opcode === VERIFY) {
      const refusal = protection.checkFields(namespace, tagsOf(slot));
      if (refusal !== sc.SC_SUCCESS) return refusal;
    }
    if (protection.acts(prinfo)) return sc.SC_INVALID_PROTECTION;
  }
  const length = mappedBytes(namespace, slot);
  if (length > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  const slba = slbaOf(slot);
  const count = countOf(slot);
  if (slba + count > namespace.blocks) return sc.SC_LBA_RANGE;
  if (namespace.reportsDeallocated && !namespace.isAllocated(slba, count)) {
    return opcode === READ ? sc.SC_UNWRITTEN_BLOCK_READ : sc.SC_UNWRITTEN_BLOCK;
  }
  if (opcode !== VERIFY) {
    const status = mapData(controller, slot, length);
    if (status !== sc.SC_SUCCESS) return status;
  }
  takeBuffer(namespace, slot);
  slot.lengthBytes = count * namespace.blockSize;
  slot.step = STEP_DATA;
  slot.steps = STEP_OVER;
  slot.move = MOVE_TO_BUFFER;
  slot.bufferAt = 0;
  slot.state = SLOT_IN_STORE;
  namespace.store.read(slba * namespace.blockSize, slot.lengthBytes, slot);
  return sc.PENDING;
}

/** Write: everything is fetched and checked before anything is stored. */
export function writeWithMetadata(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  if (namespace.readOnly) return sc.SC_NS_WRITE_PROTECTED;
  const length = mappedBytes(namespace, slot);
  if (length > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  const slba = slbaOf(slot);
  if (slba + countOf(slot) > namespace.blocks) return sc.SC_LBA_RANGE;
  const mapped = mapData(controller, slot, length);
  if (mapped !== sc.SC_SUCCESS) return mapped;
  takeBuffer(namespace, slot);
  const blocks = blocksOf(namespace, slot);
  const hasMetadata = namespace.isExtended || namespace.protectionType !== 0 || hasMetadataPointer(slot);
  const fetched = fetchBlocks(
    controller,
    slot,
    namespace,
    blocks,
    sizeOf(namespace, slot),
    hasMetadata && !isStripped(namespace, slot),
  );
  if (fetched !== sc.SC_SUCCESS) return fetched;
  if (namespace.protectionType !== 0) {
    const status = protect(namespace, slot, blocks);
    if (status !== sc.SC_SUCCESS) return status;
  }
  slot.lengthBytes = countOf(slot) * namespace.blockSize;
  // Without a metadata pointer the metadata stay what they were.
  slot.step = hasMetadata ? STEP_DATA : STEP_METADATA;
  const isDurable = (slot.cdw12 & FUA) !== 0 || !controller.features.writeCache;
  slot.steps = isDurable ? STEP_OVER + 1 : STEP_OVER;
  slot.move = MOVE_FROM_BUFFER;
  slot.bufferAt = 0;
  slot.state = SLOT_IN_STORE;
  namespace.store.write(slba * namespace.blockSize, slot.lengthBytes, slot);
  return sc.PENDING;
}

/** Inserts protection information into what was fetched, or checks what the host put there. */
function protect(namespace: Namespace, slot: CommandSlot, blocks: protection.BufferedBlocks): number {
  const tags = tagsOf(slot);
  if (!protection.acts(tags.prinfo)) return protection.check(namespace, blocks, tags);
  const status = protection.checkFields(namespace, tags);
  if (status === sc.SC_SUCCESS) protection.generate(namespace, blocks, tags.appTag, tags.refTag);
  return status;
}

/** Write Zeroes: of the metadata too; with PRACT set there is protection information afterwards, so the blocks are written. */
export function zeroWithMetadata(slot: CommandSlot, namespace: Namespace): number {
  const slba = slbaOf(slot);
  const count = countOf(slot);
  if (namespace.readOnly) return sc.SC_NS_WRITE_PROTECTED;
  if (slba + count > namespace.blocks) return sc.SC_LBA_RANGE;
  const { prinfo } = tagsOf(slot);
  const isProtected = namespace.protectionType !== 0;
  if (isProtected && protection.checks(prinfo)) return sc.SC_INVALID_PROTECTION;
  slot.formats = namespace.formats;
  slot.step = STEP_DATA;
  slot.steps = STEP_OVER;
  slot.state = SLOT_IN_STORE;
  const length = count * namespace.blockSize;
  if (isProtected && protection.acts(prinfo)) {
    slot.move = MOVE_ZEROES;
    namespace.store.write(slba * namespace.blockSize, length, slot);
  } else {
    slot.move = MOVE_NOTHING;
    namespace.store.writeZeroes(slba * namespace.blockSize, length, slot);
  }
  return sc.PENDING;
}

/** The next step after a store was done; SUCCESS when the command is over, or only to be made durable. */
export function continueWithMetadata(controller: ControllerState, slot: CommandSlot): number {
  const namespace = slot.namespace as Namespace;
  if (slot.formats !== namespace.formats) return sc.SC_FORMAT_IN_PROGRESS;
  if (slot.step === STEP_DATA) {
    slot.step = STEP_METADATA;
    beginMetadata(slot, namespace);
    return sc.PENDING;
  }
  if (slot.step === STEP_OVER) return sc.SC_SUCCESS;
  slot.step = STEP_OVER;
  return slot.opcode === WRITE || slot.opcode === WRITE_ZEROES
    ? sc.SC_SUCCESS
    : finishRead(controller, slot, namespace);
}

function beginMetadata(slot: CommandSlot, namespace: Namespace): void {
  const { store, metadataBytes } = namespace;
  const count = countOf(slot);
  const at = namespace.metadataOffset + slbaOf(slot) * metadataBytes;
  const length = count * metadataBytes;
  slot.state = SLOT_IN_STORE;
  slot.bufferAt = count * namespace.blockSize;
  if (slot.opcode === WRITE) store.write(at, length, slot);
  else if (slot.opcode !== WRITE_ZEROES) store.read(at, length, slot);
  else if (slot.move === MOVE_NOTHING) store.writeZeroes(at, length, slot);
  else {
    const bytes = slot.needBuffer(length);
    bytes.fill(0, 0, length);
    const { appTag, refTag } = tagsOf(slot);
    protection.generateZeroed(namespace, bytes, count, appTag, refTag);
    slot.move = MOVE_FROM_BUFFER;
    slot.bufferAt = 0;
    store.write(at, length, slot);
  }
}

/** What was read is checked, and sent or compared. */
function finishRead(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const blocks = blocksOf(namespace, slot);
  const tags = tagsOf(slot);
  const isProtected = namespace.protectionType !== 0;
  if (isProtected) protection.fillDeallocated(namespace, blocks, slbaOf(slot));
  if (slot.opcode === COMPARE) return compareBlocks(controller, slot, namespace, blocks, tags);
  const status = isProtected ? protection.check(namespace, blocks, tags) : sc.SC_SUCCESS;
  if (status !== sc.SC_SUCCESS || slot.opcode === VERIFY) return status;
  const hasMetadata = !isStripped(namespace, slot) && (namespace.isExtended || isProtected || hasMetadataPointer(slot));
  return sendBlocks(controller, slot, namespace, blocks, sizeOf(namespace, slot), hasMetadata);
}

/** The data first, then whether the protection information is right, then the metadata. */
function compareBlocks(
  controller: ControllerState,
  slot: CommandSlot,
  namespace: Namespace,
  medium: protection.BufferedBlocks,
  tags: protection.TagFields,
): number {
  const { bytes, count } = medium;
  const size = sizeOf(namespace, slot);
  const data = count * namespace.blockSize;
  const host = new protection.BufferedBlocks(bytes, size, size + data, count);
  const { isExtended, protectionType } = namespace;
  let status = fetchBlocks(controller, slot, namespace, host, 2 * size, isExtended);
  if (status !== sc.SC_SUCCESS) return status;
  if (!areEqual(bytes, 0, size, data)) return sc.SC_COMPARE_FAILED;
  const hasMetadata = isExtended || protectionType !== 0 || hasMetadataPointer(slot);
  if (!hasMetadata) return sc.SC_SUCCESS;
  if (!isExtended) status = fetchMetadata(controller, slot, namespace, host);
  if (status === sc.SC_SUCCESS && protectionType !== 0) status = protection.check(namespace, medium, tags);
  if (status !== sc.SC_SUCCESS) return status;
  return areEqual(bytes, data, size + data, size - data) ? sc.SC_SUCCESS : sc.SC_COMPARE_FAILED;
}

function areEqual(bytes: Uint8Array, one: number, other: number, length: number): boolean {
  for (let i = 0; i < length; i++) if (bytes[one + i] !== bytes[other + i]) return false;
  return true;
}
