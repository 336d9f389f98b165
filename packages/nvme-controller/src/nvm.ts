// The NVM command set: read, write, compare, flush, write zeroes, verify, and the way into dataset management and copy.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_setup_rw. Spec: [NVM] 1.0 §3.2.
import * as nvme from '@nvme-stack/nvme-protocol';
import {
  type CommandSlot,
  MOVE_COMPARE,
  MOVE_FROM_HOST,
  MOVE_NOTHING,
  MOVE_TO_HOST,
  SLOT_IN_STORE,
} from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { continueCopy, copy } from './copy.js';
import { mapData } from './data.js';
import { continueDatasetManagement, datasetManagement } from './dataset-management.js';
import {
  continueWithMetadata,
  isMetadataCommand,
  readWithMetadata,
  writeWithMetadata,
  zeroWithMetadata,
} from './metadata-io.js';
import type { Namespace } from './namespace.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

const { flush: FLUSH, write: WRITE, read: READ, compare: COMPARE, writeZeroes: WRITE_ZEROES } = nvme.NvmeNvmOpcode;
const { dsm: DSM, verify: VERIFY, copy: COPY } = nvme.NvmeNvmOpcode;

/** Force Unit Access in dword 12. */
const FUA = 0x40000000;

/** Executes an I/O command; returns its status or PENDING. */
export function nvmCommand(controller: ControllerState, slot: CommandSlot): number {
  const { opcode, nsid } = slot;
  if (nsid === 0 || (nsid >= controller.namespaces.length && nsid !== nvme.NVME_NSID_ALL)) return sc.SC_INVALID_NS;
  if (opcode === FLUSH && nsid === nvme.NVME_NSID_ALL) return flushAll(controller, slot);
  const namespace = nsid === nvme.NVME_NSID_ALL ? null : (controller.namespaces[nsid] as Namespace | null);
  if (namespace === null || !namespace.isActive) return sc.SC_INVALID_FIELD;
  if (!isSupported(opcode)) return sc.SC_INVALID_OPCODE;
  if (namespace.isFormatting) return sc.SC_FORMAT_IN_PROGRESS;
  if ((slot.flags & 3) !== 0) return sc.SC_INVALID_FIELD_RETRY;
  slot.namespace = namespace;
  switch (opcode) {
    case READ:
      return read(controller, slot, namespace);
    case WRITE:
      if (controller.streams?.accepts(slot) === false) return sc.SC_INVALID_FIELD;
      return write(controller, slot, namespace);
    case FLUSH:
      slot.state = SLOT_IN_STORE;
      slot.move = MOVE_NOTHING;
      namespace.store.flush(slot);
      return sc.PENDING;
    case COMPARE:
      if (namespace.metadataBytes !== 0) return readWithMetadata(controller, slot, namespace);
      return readStore(controller, slot, namespace, MOVE_COMPARE);
    case WRITE_ZEROES:
      return namespace.metadataBytes === 0 ? writeZeroes(slot, namespace) : zeroWithMetadata(slot, namespace);
    case VERIFY:
      if (namespace.metadataBytes !== 0) return readWithMetadata(controller, slot, namespace);
      return verify(controller, slot, namespace);
    case DSM:
      return datasetManagement(controller, slot, namespace);
    case COPY:
      return copy(controller, slot, namespace);
    default:
      return sc.SC_INVALID_OPCODE;
  }
}

function isSupported(opcode: number): boolean {
  return (
    opcode <= READ ||
    opcode === COMPARE ||
    opcode === WRITE_ZEROES ||
    opcode === DSM ||
    opcode === VERIFY ||
    opcode === COPY
  );
}

/** Bytes an I/O command moves, for the latency model; 0 for admin commands and those without a range. */
export function transferLength(controller: ControllerState, slot: CommandSlot): number {
  if (slot.sqid === 0 || slot.nsid >= controller.namespaces.length) return 0;
  if (slot.opcode !== READ && slot.opcode !== WRITE && slot.opcode !== COMPARE) return 0;
  return ((slot.cdw12 & 0xffff) + 1) * (controller.namespaces[slot.nsid]?.blockSize ?? 0);
}

/** The next step after a store was done with a request; returns a status or PENDING. Which commands count: [NVM] 1.4.2. */
export function continueStoreRequest(controller: ControllerState, slot: CommandSlot): number {
  if (isMetadataCommand(slot)) {
    const status = continueWithMetadata(controller, slot);
    if (status !== sc.SC_SUCCESS) return status;
  }
  switch (slot.opcode) {
    case DSM:
      return slot.step < slot.steps || slot.bufferAt !== 0 ? continueDatasetManagement(slot) : sc.SC_SUCCESS;
    case COPY:
      if (slot.step < slot.steps) return continueCopy(slot);
      controller.health.hostReadCommands++;
      controller.health.hostWriteCommands++;
      break;
    case COMPARE:
      controller.health.hostReadCommands++;
      controller.health.bytesRead += slot.lengthBytes;
      break;
    case VERIFY:
      controller.health.bytesRead += verifiedBytes(slot);
      break;
    case READ:
      controller.health.hostReadCommands++;
      controller.health.bytesRead += slot.lengthBytes;
      break;
    case WRITE:
      controller.health.hostWriteCommands++;
      controller.health.bytesWritten += slot.lengthBytes;
      if (slot.lengthBytes !== 0) controller.streams?.wrote(slot);
      if (slot.step < slot.steps) return flushAfterWrite(slot);
      break;
    default:
  }
  if (controller.tracing && (slot.opcode === READ || slot.opcode === WRITE)) {
    controller.host?.trace(trace.TRACE_RW_CB, slot.cid, 0, 0, 0);
    controller.host?.trace(trace.TRACE_RW_COMPLETE_CB, slot.cid, 0, 0, 0);
  }
  return sc.SC_SUCCESS;
}

/** True if blocks [slba, slba + count) lie within the namespace. */
export function isInRange(namespace: Namespace, slba: number, count: number): boolean {
  return slba + count <= namespace.blocks;
}

function read(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  if (controller.tracing) {
    const slba = slot.cdw11 * 0x100000000 + slot.cdw10;
    controller.host?.trace(trace.TRACE_READ, slot.cid, slot.nsid, (slot.cdw12 & 0xffff) + 1, slba);
  }
  if (namespace.metadataBytes !== 0) return readWithMetadata(controller, slot, namespace);
  return readStore(controller, slot, namespace, MOVE_TO_HOST);
}

/** Read and compare: what the store returns goes to the host, or is held against what the host has. */
function readStore(controller: ControllerState, slot: CommandSlot, namespace: Namespace, move: number): number {
  const slba = slot.cdw11 * 0x100000000 + slot.cdw10;
  const count = (slot.cdw12 & 0xffff) + 1;
  const length = count * namespace.blockSize;
  if (length > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  if (!isInRange(namespace, slba, count)) return sc.SC_LBA_RANGE;
  if (namespace.reportsDeallocated && !namespace.isAllocated(slba, count)) {
    return move === MOVE_COMPARE ? sc.SC_UNWRITTEN_BLOCK : sc.SC_UNWRITTEN_BLOCK_READ;
  }
  const status = mapData(controller, slot, length);
  if (status !== sc.SC_SUCCESS) return status;
  if (move === MOVE_COMPARE) slot.move = move;
  else slot.moves(move);
  slot.state = SLOT_IN_STORE;
  namespace.store.read(slba * namespace.blockSize, length, slot);
  return sc.PENDING;
}

function write(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const slba = slot.cdw11 * 0x100000000 + slot.cdw10;
  const count = (slot.cdw12 & 0xffff) + 1;
  const length = count * namespace.blockSize;
  if (controller.tracing) controller.host?.trace(trace.TRACE_WRITE, slot.cid, slot.nsid, count, slba);
  if (namespace.metadataBytes !== 0) return writeWithMetadata(controller, slot, namespace);
  if (namespace.readOnly) return sc.SC_NS_WRITE_PROTECTED;
  if (length > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  if (!isInRange(namespace, slba, count)) return sc.SC_LBA_RANGE;
  const status = mapData(controller, slot, length);
  if (status !== sc.SC_SUCCESS) return status;
  slot.moves(MOVE_FROM_HOST);
  slot.steps = mustFlush(controller, slot) ? 1 : 0;
  slot.state = SLOT_IN_STORE;
  namespace.store.write(slba * namespace.blockSize, length, slot);
  return sc.PENDING;
}

/** Forced unit access, or no write cache, means durable before completion. */
function mustFlush(controller: ControllerState, slot: CommandSlot): boolean {
  return (slot.cdw12 & FUA) !== 0 || !controller.features.writeCache;
}

function flushAfterWrite(slot: CommandSlot): number {
  slot.steps = 0;
  slot.lengthBytes = 0;
  slot.move = MOVE_NOTHING;
  // The flush ends as this write: without a length it counts nothing twice.
  slot.controller.health.hostWriteCommands--;
  slot.state = SLOT_IN_STORE;
  (slot.namespace as Namespace).store.flush(slot);
  return sc.PENDING;
}

function verify(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const slba = slot.cdw11 * 0x100000000 + slot.cdw10;
  const count = (slot.cdw12 & 0xffff) + 1;
  const length = count * namespace.blockSize;
  if (length > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  if (!isInRange(namespace, slba, count)) return sc.SC_LBA_RANGE;
  if (namespace.reportsDeallocated && !namespace.isAllocated(slba, count)) return sc.SC_UNWRITTEN_BLOCK;
  slot.move = MOVE_NOTHING;
  slot.state = SLOT_IN_STORE;
  namespace.store.read(slba * namespace.blockSize, length, slot);
  return sc.PENDING;
}

const verifiedBytes = (slot: CommandSlot): number =>
  ((slot.cdw12 & 0xffff) + 1) * (slot.namespace as Namespace).blockSize;

function writeZeroes(slot: CommandSlot, namespace: Namespace): number {
  const slba = slot.cdw11 * 0x100000000 + slot.cdw10;
  const count = (slot.cdw12 & 0xffff) + 1;
  if (namespace.readOnly) return sc.SC_NS_WRITE_PROTECTED;
  if (!isInRange(namespace, slba, count)) return sc.SC_LBA_RANGE;
  slot.move = MOVE_NOTHING;
  slot.state = SLOT_IN_STORE;
  namespace.store.writeZeroes(slba * namespace.blockSize, count * namespace.blockSize, slot);
  return sc.PENDING;
}

/** Flush of all namespaces at once; rare enough for a client of its own. A reset by a store leaves the rest to it. */
function flushAll(controller: ControllerState, slot: CommandSlot): number {
  let left = 1;
  let failed = false;
  const client = {
    piece: () => 0,
    done: (status: number) => {
      left--;
      if (status !== 0) failed = true;
      if (left === 0) slot.done(failed ? 1 : 0);
    },
  };
  const active = controller.namespaces.filter((namespace) => namespace?.isActive);
  left += active.length;
  slot.state = SLOT_IN_STORE;
  slot.move = MOVE_NOTHING;
  for (const namespace of active) namespace?.store.flush(client);
  client.done(0);
  return sc.PENDING;
}
