// Directive Send and Directive Receive: the directives Identify and Streams.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_toggle_streams, nvme_get_stream_params (4.13).
// Spec: [NVMe] 1.3 §5.6, §5.7, §9.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { sendData } from './data.js';
import { isNsidValid } from './namespace.js';
import * as sc from './status.js';
import type { Streams } from './streams.js';

/** DOPER, DTYPE and DSPEC of dword 11. */
const operation = ({ cdw11 }: CommandSlot): number => cdw11 & 0xff;
const directiveType = ({ cdw11 }: CommandSlot): number => (cdw11 >>> 8) & 0xff;
const specific = ({ cdw11 }: CommandSlot): number => cdw11 >>> 16;

/** Directive Send. */
export function directiveSend(controller: ControllerState, slot: CommandSlot, streams: Streams): number {
  if (!isNsidValid(controller, slot.nsid)) return sc.SC_INVALID_NS;
  switch (directiveType(slot)) {
    case nvme.NVME_DIR_IDENTIFY:
      return operation(slot) === nvme.NVME_DIR_SND_ID_OP_ENABLE ? enableDirective(slot, streams) : sc.SC_INVALID_FIELD;
    case nvme.NVME_DIR_STREAMS:
      return release(slot, streams);
    default:
      return sc.SC_INVALID_FIELD;
  }
}

/** Enable Directive: of the two only Streams can be switched. */
function enableDirective(slot: CommandSlot, streams: Streams): number {
  if (((slot.cdw12 >>> 8) & 0xff) !== nvme.NVME_DIR_STREAMS) return sc.SC_INVALID_FIELD;
  streams.setEnabled(slot.nsid, (slot.cdw12 & nvme.NVME_DIR_ENDIR) !== 0);
  return sc.SC_SUCCESS;
}

function release(slot: CommandSlot, streams: Streams): number {
  const { nsid } = slot;
  if (!streams.isEnabled(nsid)) return sc.SC_INVALID_FIELD;
  if (nsid === nvme.NVME_NSID_ALL) return sc.SC_INVALID_NS;
  switch (operation(slot)) {
    case nvme.NVME_DIR_SND_ST_OP_REL_ID:
      streams.releaseIdentifier(nsid, specific(slot));
      return sc.SC_SUCCESS;
    case nvme.NVME_DIR_SND_ST_OP_REL_RSC:
      streams.releaseResources(nsid, false);
      return sc.SC_SUCCESS;
    default:
      return sc.SC_INVALID_FIELD;
  }
}

/** Directive Receive. */
export function directiveReceive(controller: ControllerState, slot: CommandSlot, streams: Streams): number {
  if (!isNsidValid(controller, slot.nsid)) return sc.SC_INVALID_NS;
  switch (directiveType(slot)) {
    case nvme.NVME_DIR_IDENTIFY:
      if (operation(slot) !== nvme.NVME_DIR_RCV_ID_OP_PARAM) return sc.SC_INVALID_FIELD;
      return send(controller, slot, directives(streams, slot.nsid));
    case nvme.NVME_DIR_STREAMS:
      return streams.isEnabled(slot.nsid) ? streamsReceive(controller, slot, streams) : sc.SC_INVALID_FIELD;
    default:
      return sc.SC_INVALID_FIELD;
  }
}

function streamsReceive(controller: ControllerState, slot: CommandSlot, streams: Streams): number {
  const { nsid } = slot;
  const op = operation(slot);
  if (op === nvme.NVME_DIR_RCV_ST_OP_PARAM) return send(controller, slot, streams.parameters(nsid));
  if (nsid === nvme.NVME_NSID_ALL) return sc.SC_INVALID_NS;
  if (op === nvme.NVME_DIR_RCV_ST_OP_STATUS) return send(controller, slot, statusOf(streams.open(nsid)));
  return op === nvme.NVME_DIR_RCV_ST_OP_RESOURCE ? allocate(slot, streams) : sc.SC_INVALID_FIELD;
}

/** Allocate Resources moves no data: what is asked for is in dword 12, what is given in the completion. */
function allocate(slot: CommandSlot, streams: Streams): number {
  const wanted = slot.cdw12 & 0xffff;
  if (streams.hasResources(slot.nsid)) return sc.SC_INVALID_FIELD;
  const given = streams.allocate(slot.nsid, wanted);
  if (given === 0 && wanted !== 0) return sc.SC_STREAM_RESOURCE_ALLOCATION_FAILED;
  slot.dw0 = given;
  return sc.SC_SUCCESS;
}

/** Identify cannot be switched off. */
function directives(streams: Streams, nsid: number): Uint8Array {
  const both = (1 << nvme.NVME_DIR_IDENTIFY) | (1 << nvme.NVME_DIR_STREAMS);
  const enabled = streams.isEnabled(nsid) ? both : 1 << nvme.NVME_DIR_IDENTIFY;
  return nvme.NvmeIdDirectives.encode({ supported: both, enabled });
}

/** Open Stream Count, then the identifiers. */
function statusOf(ids: readonly number[]): Uint8Array {
  return new Uint8Array(Uint16Array.of(ids.length, ...ids).buffer);
}

/** As many bytes as the host asks for (NUMD, 0-based dwords), and there are. */
function send(controller: ControllerState, slot: CommandSlot, bytes: Uint8Array): number {
  const asked = (slot.cdw10 + 1) * 4;
  if (asked > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  return sendData(controller, slot, bytes, 0, Math.min(asked, bytes.length));
}
