// Get Log Page: error information, SMART / health, firmware slots, changed namespaces, command effects.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_get_log. Spec: [NVMe] 2.0 §5.16.
import * as nvme from '@nvme-stack/nvme-protocol';
import { adminOpcodes } from './admin-opcodes.js';
import { clearEventMask } from './async-events.js';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { sendData } from './data.js';
import { ERROR_LOG_ENTRIES } from './health.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

const RETAIN_ASYNC_EVENT = 0x8000;
const NS_PER_HOUR = 3600e9;

/** Get Log Page. An offset at or beyond the page is refused; a length beyond it is cut. */
export function getLogPage(controller: ControllerState, slot: CommandSlot): number {
  const lid = slot.cdw10 & 0xff;
  const length = ((slot.cdw10 >>> 16) + (slot.cdw11 & 0xffff) * 0x10000 + 1) * 4;
  const offset = slot.cdw13 * 0x100000000 + slot.cdw12;
  const retain = (slot.cdw10 & RETAIN_ASYNC_EVENT) !== 0;
  if (controller.tracing) controller.host?.trace(trace.TRACE_GET_LOG, slot.cid, lid, length, offset);
  if (offset % 4 !== 0 || length > controller.maxTransferBytes) return sc.SC_INVALID_FIELD;
  if (lid === nvme.NVME_LOG_SMART && offset >= nvme.NvmeSmartLog.sizeBytes) return sc.SC_INVALID_FIELD;
  const page = logPage(controller, slot, lid);
  if (typeof page === 'number') return page;
  if (offset >= page.length) return sc.SC_INVALID_FIELD;
  const status = sendData(controller, slot, page, offset, Math.min(length, page.length - offset));
  if (status === sc.SC_SUCCESS && !retain) wasRead(controller, lid);
  return status;
}

function logPage(controller: ControllerState, slot: CommandSlot, lid: number): Uint8Array | number {
  switch (lid) {
    case nvme.NVME_LOG_ERROR:
      return errorLog(controller);
    case nvme.NVME_LOG_SMART:
      return smartLog(controller, slot.nsid);
    case nvme.NVME_LOG_FW_SLOT:
      // Slot 1 holds the image the controller was built with; its name is QEMU's, whatever Identify's revision says.
      return nvme.NvmeFwSlotInfoLog.encode({ afi: 1, frs1: '1.0' });
    case nvme.NVME_LOG_CHANGED_NS:
      return changedNamespaceLog(controller);
    case nvme.NVME_LOG_CMD_EFFECTS:
      return effectsLog(controller, slot.cdw14 >>> 24);
    default:
      return sc.SC_INVALID_FIELD;
  }
}

/** What reading a page without Retain Asynchronous Event clears. */
function wasRead(controller: ControllerState, lid: number): void {
  if (lid === nvme.NVME_LOG_ERROR) clearEventMask(controller, nvme.NVME_AER_ERROR);
  if (lid === nvme.NVME_LOG_SMART) clearEventMask(controller, nvme.NVME_AER_SMART);
  if (lid !== nvme.NVME_LOG_CHANGED_NS) return;
  controller.health.changedNamespaces.clear();
  clearEventMask(controller, nvme.NVME_AER_NOTICE);
}

function errorLog(controller: ControllerState): Uint8Array {
  const page = new Uint8Array(ERROR_LOG_ENTRIES * nvme.NvmeErrorSlot.sizeBytes);
  const view = new DataView(page.buffer);
  controller.health.errors.forEach(({ lbaLow, lbaHigh, ...entry }, i) => {
    const at = i * nvme.NvmeErrorSlot.sizeBytes;
    nvme.NvmeErrorSlot.encodeInto(page, at, { ...entry, paramErrorLocation: 0xffff });
    view.setUint32(at + nvme.NvmeErrorSlot.offsets.lba, lbaLow, true);
    view.setUint32(at + nvme.NvmeErrorSlot.offsets.lba + 4, lbaHigh, true);
  });
  return page;
}

function smartLog(controller: ControllerState, nsid: number): Uint8Array | number {
  const { health } = controller;
  // Per namespace the same counters are reported: one namespace store does not count on its own.
  if (nsid !== 0 && nsid !== nvme.NVME_NSID_ALL && !controller.namespaces[nsid]?.isActive) return sc.SC_INVALID_NS;
  const { temperatureKelvin } = health;
  return nvme.NvmeSmartLog.encode({
    criticalWarning: health.criticalWarning,
    temperature: [temperatureKelvin & 0xff, temperatureKelvin >> 8],
    dataUnitsRead: counter(thousandsOf512(health.bytesRead)),
    dataUnitsWritten: counter(thousandsOf512(health.bytesWritten)),
    hostReads: counter(health.hostReadCommands),
    hostWrites: counter(health.hostWriteCommands),
    powerOnHours: counter(Math.floor((controller.host?.nowNs() ?? 0) / NS_PER_HOUR)),
    unsafeShutdowns: counter(health.unsafeShutdowns),
    mediaErrors: counter(health.mediaErrors),
    numErrLogEntries: counter(health.errorLogEntries),
  });
}

/** Thousands of 512-byte units, rounded up, as the specification counts data. */
function thousandsOf512(bytes: number): number {
  return Math.floor((bytes / 512 + 999) / 1000);
}

function counter(value: number): Uint8Array {
  const bytes = new Uint8Array(16);
  for (let i = 0, left = value; i < 8; i++, left = Math.floor(left / 256)) bytes[i] = left % 256;
  return bytes;
}

function changedNamespaceLog(controller: ControllerState): Uint8Array {
  const changed = [...controller.health.changedNamespaces].sort((a, b) => a - b);
  const isTooMany = changed.length > nvme.NVME_MAX_CHANGED_NAMESPACES;
  return nvme.NvmeChangedNsLog.encode({ nsid: isTooMany ? [nvme.NVME_NSID_ALL] : changed });
}

/** I/O commands: which exist, and which change logical block contents. */
const IO_EFFECTS: readonly (readonly [number, number])[] = [
  [nvme.NvmeNvmOpcode.flush, nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_LBCC],
  [nvme.NvmeNvmOpcode.write, nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_LBCC],
  [nvme.NvmeNvmOpcode.read, nvme.NVME_CMD_EFFECTS_CSUPP],
  [nvme.NvmeNvmOpcode.compare, nvme.NVME_CMD_EFFECTS_CSUPP],
  [nvme.NvmeNvmOpcode.writeZeroes, nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_LBCC],
  [nvme.NvmeNvmOpcode.dsm, nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_LBCC],
  [nvme.NvmeNvmOpcode.verify, nvme.NVME_CMD_EFFECTS_CSUPP],
  [nvme.NvmeNvmOpcode.copy, nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_LBCC],
];

function effectsLog(controller: ControllerState, csi: number): Uint8Array | number {
  if (csi !== nvme.NVME_CSI_NVM) return sc.SC_INVALID_FIELD;
  const acs = new Array<number>(256).fill(0);
  const iocs = new Array<number>(256).fill(0);
  for (const opcode of adminOpcodes(controller)) acs[opcode] = nvme.NVME_CMD_EFFECTS_CSUPP;
  acs[nvme.NvmeAdminOpcode.nsAttach] = nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_NIC;
  acs[nvme.NvmeAdminOpcode.formatNvm] = nvme.NVME_CMD_EFFECTS_CSUPP | nvme.NVME_CMD_EFFECTS_LBCC;
  const isAdminOnly = nvme.CC.CSS.get(controller.registers.cc) === 7;
  if (!isAdminOnly) for (const [opcode, effects] of IO_EFFECTS) iocs[opcode] = effects;
  return nvme.NvmeEffectsLog.encode({ acs, iocs });
}
