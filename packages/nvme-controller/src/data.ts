// A command's data: its pointer as segments, and admin data in and out of host memory.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_map_data. Spec: [NVMe] 2.0 §4.1.
import { type CommandSlot, MOVE_FROM_HOST, MOVE_TO_HOST } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { mapPrp } from './prp.js';
import { mapSgl } from './sgl.js';
import { SC_INVALID_FIELD, SC_SUCCESS } from './status.js';
import * as trace from './trace-events.js';

const PSDT_SHIFT = 6;

/** Maps lengthBytes (above 0) of the command's data pointer; SGLs only where the controller offers them. */
export function mapData(controller: ControllerState, slot: CommandSlot, lengthBytes: number): number {
  const { segments } = slot;
  segments.clear();
  slot.lengthBytes = lengthBytes;
  const psdt = slot.flags >> PSDT_SHIFT;
  if (controller.tracing) traceMapping(controller, slot, psdt, lengthBytes);
  let status: number;
  if (psdt === 0) {
    const { prp1Lo, prp1Hi, prp2Lo, prp2Hi } = slot;
    status = mapPrp(segments, controller.stage, prp1Lo, prp1Hi, prp2Lo, prp2Hi, lengthBytes, controller.pageBytes);
  } else if (psdt === 3 || slot.sqid === 0 || !controller.description.sgl) {
    return SC_INVALID_FIELD;
  } else {
    const { prp1Lo, prp1Hi, prp2Lo, prp2Hi } = slot;
    status = mapSgl(segments, controller.stage, prp1Lo, prp1Hi, prp2Lo, prp2Hi >>> 24, lengthBytes);
  }
  if (controller.tracing && status === SC_SUCCESS) traceAddresses(controller, slot, psdt === 0);
  return status;
}

function traceMapping(controller: ControllerState, slot: CommandSlot, psdt: number, length: number): void {
  const { host } = controller;
  if (psdt !== 0) {
    host?.trace(trace.TRACE_MAP_SGL, slot.prp2Hi >>> 28, length, 0, 0);
    return;
  }
  const prp1 = slot.prp1Hi * 0x100000000 + slot.prp1Lo;
  const prp2 = slot.prp2Hi * 0x100000000 + slot.prp2Lo;
  const first = Math.min(length, controller.pageBytes - (slot.prp1Lo & (controller.pageBytes - 1)));
  host?.trace(trace.TRACE_MAP_PRP, first, length, prp1, prp2);
}

/** One line per entry: PRP entries end at page boundaries, so a merged segment is taken apart there again. */
function traceAddresses(controller: ControllerState, slot: CommandSlot, isPrp: boolean): void {
  const { segments } = slot;
  for (let i = 0; i < segments.count; i++) {
    const end = (segments.addresses[i] as number) + (segments.lengths[i] as number);
    for (let at = segments.addresses[i] as number; at < end; ) {
      const length = isPrp ? Math.min(end - at, controller.pageBytes - (at % controller.pageBytes)) : end - at;
      controller.host?.trace(trace.TRACE_MAP_ADDR, at, length, 0, 0);
      at += length;
    }
  }
}

/** Sends length bytes of admin data to the host; returns a status. */
export function sendData(
  controller: ControllerState,
  slot: CommandSlot,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  if (length === 0) return SC_SUCCESS;
  const status = mapData(controller, slot, length);
  if (status !== SC_SUCCESS) return status;
  slot.moves(MOVE_TO_HOST);
  slot.piece(bytes, offset, length);
  return slot.status;
}

/** Fetches length bytes of command data from the host into (bytes, offset); returns a status. */
export function fetchData(
  controller: ControllerState,
  slot: CommandSlot,
  bytes: Uint8Array,
  offset: number,
  length: number,
): number {
  const status = mapData(controller, slot, length);
  if (status !== SC_SUCCESS) return status;
  slot.moves(MOVE_FROM_HOST);
  slot.piece(bytes, offset, length);
  return slot.status;
}
