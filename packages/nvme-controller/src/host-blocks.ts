// Blocks with metadata between the host's memory and a buffer: extended, data and metadata of a block side by side, or
// with a metadata buffer of their own.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_map_metadata. Spec: [NVM] 1.0 §5.2.2, [NVMe] 2.0 §3.3.3.1 (MPTR, PSDT).
import { type CommandSlot, MOVE_FROM_HOST, MOVE_TO_HOST } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import type { Namespace } from './namespace.js';
import type { BufferedBlocks } from './protection.js';
import { mapSgl } from './sgl.js';
import * as sc from './status.js';

const PSDT_SHIFT = 6;
/** MPTR is the address of an SGL descriptor. */
const PSDT_METADATA_SGL = 2;
const DESCRIPTOR_BYTES = 16;

/** The host gave a metadata pointer; 0 is none, as for QEMU. */
export function hasMetadataPointer(slot: CommandSlot): boolean {
  return slot.mptrLo !== 0 || slot.mptrHi !== 0;
}

/** Maps lengthBytes of the metadata pointer in place of what was mapped. */
function mapMetadata(controller: ControllerState, slot: CommandSlot, lengthBytes: number): number {
  const { segments } = slot;
  const { stage } = controller;
  segments.clear();
  const address = slot.mptrHi * 0x100000000 + slot.mptrLo;
  if (slot.flags >> PSDT_SHIFT !== PSDT_METADATA_SGL) {
    segments.add(address, lengthBytes);
    return sc.SC_SUCCESS;
  }
  if (stage.readList(address, DESCRIPTOR_BYTES) !== 0) return sc.SC_DATA_XFER_ERROR;
  const view = stage.listView;
  const [low, high] = [view.getUint32(0, true), view.getUint32(4, true)];
  const status = mapSgl(segments, stage, low, high, view.getUint32(8, true), view.getUint8(15), lengthBytes);
  return status === sc.SC_SGL_INVALID_DATA ? sc.SC_INVALID_METADATA_LENGTH : status;
}

/**
 * Fetches blocks through the data pointer, which is mapped. Extended ones pass through the buffer from scratchAt on.
 * Without metadata, `blocks` keeps what it has of them. Returns a status.
 */
export function fetchBlocks(
  controller: ControllerState,
  slot: CommandSlot,
  namespace: Namespace,
  blocks: BufferedBlocks,
  scratchAt: number,
  hasMetadata: boolean,
): number {
  const { blockSize, metadataBytes } = namespace;
  const { bytes, dataAt, metadataAt, count } = blocks;
  slot.moves(MOVE_FROM_HOST);
  if (!hasMetadata || !namespace.isExtended) {
    slot.piece(bytes, dataAt, count * blockSize);
    if (slot.status !== sc.SC_SUCCESS || !hasMetadata) return slot.status;
    return fetchMetadata(controller, slot, namespace, blocks);
  }
  slot.piece(bytes, scratchAt, count * (blockSize + metadataBytes));
  for (let i = 0, from = scratchAt; i < count; i++, from += blockSize + metadataBytes) {
    bytes.copyWithin(dataAt + i * blockSize, from, from + blockSize);
    bytes.copyWithin(metadataAt + i * metadataBytes, from + blockSize, from + blockSize + metadataBytes);
  }
  return slot.status;
}

/** Fetches what the metadata pointer names, after the data. */
export function fetchMetadata(
  controller: ControllerState,
  slot: CommandSlot,
  namespace: Namespace,
  { bytes, metadataAt, count }: BufferedBlocks,
): number {
  return moveMetadata(controller, slot, bytes, metadataAt, count * namespace.metadataBytes);
}

function moveMetadata(
  controller: ControllerState,
  slot: CommandSlot,
  bytes: Uint8Array,
  at: number,
  length: number,
): number {
  const status = mapMetadata(controller, slot, length);
  if (status !== sc.SC_SUCCESS) return status;
  slot.piece(bytes, at, length);
  return slot.status;
}

/** Sends blocks; the counterpart of fetchBlocks. */
export function sendBlocks(
  controller: ControllerState,
  slot: CommandSlot,
  namespace: Namespace,
  { bytes, dataAt, metadataAt, count }: BufferedBlocks,
  scratchAt: number,
  hasMetadata: boolean,
): number {
  const { blockSize, metadataBytes } = namespace;
  slot.moves(MOVE_TO_HOST);
  if (!hasMetadata || !namespace.isExtended) {
    slot.piece(bytes, dataAt, count * blockSize);
    if (slot.status !== sc.SC_SUCCESS || !hasMetadata) return slot.status;
    return moveMetadata(controller, slot, bytes, metadataAt, count * metadataBytes);
  }
  for (let i = 0, to = scratchAt; i < count; i++, to += blockSize + metadataBytes) {
    bytes.copyWithin(to, dataAt + i * blockSize, dataAt + (i + 1) * blockSize);
    bytes.copyWithin(to + blockSize, metadataAt + i * metadataBytes, metadataAt + (i + 1) * metadataBytes);
  }
  slot.piece(bytes, scratchAt, count * (blockSize + metadataBytes));
  return slot.status;
}
