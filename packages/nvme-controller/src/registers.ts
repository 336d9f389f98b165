// The register file: reads, writes, and what enabling, disabling and shutting down do.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_enable_ctrl, nvme_disable_ctrl. Spec: [NVMe] 2.0 §3.1.4, §3.5, §3.6.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { AccessSize } from '@nvme-stack/pci-function';
import { type ControllerState, EVENT_READY, EVENT_SHUTDOWN, EVENT_UNREADY } from './controller-state.js';
import { maskInterrupts } from './interrupts.js';
import { CompletionQueue, SubmissionQueue } from './queues.js';
import { MPS_MAX } from './register-state.js';
import { resetQueues } from './reset.js';
import * as trace from './trace-events.js';

/** Magic of NVM Subsystem Reset: "NVMe". */
const NSSR_MAGIC = 0x4e564d65;
/** What a read gives where nothing answers. */
const ALL_ONES = 0xffffffff;

/** Reads a register as its dword; what is reserved or absent is 0. */
function readDword(controller: ControllerState, offset: number): number {
  const { registers } = controller;
  switch (offset) {
    case nvme.NVME_REG_CAP:
      return registers.capLo;
    case nvme.NVME_REG_CAP + 4:
      return registers.capHi;
    case nvme.NVME_REG_VS:
      return registers.version;
    case nvme.NVME_REG_INTMS:
    case nvme.NVME_REG_INTMC:
      return controller.intMask;
    case nvme.NVME_REG_CC:
      return registers.cc;
    case nvme.NVME_REG_CSTS:
      return registers.csts;
    case nvme.NVME_REG_AQA:
      return registers.aqa;
    case nvme.NVME_REG_ASQ:
      return registers.asqLo;
    case nvme.NVME_REG_ASQ + 4:
      return registers.asqHi;
    case nvme.NVME_REG_ACQ:
      return registers.acqLo;
    case nvme.NVME_REG_ACQ + 4:
      return registers.acqHi;
    case nvme.NVME_REG_CMBLOC:
      return controller.cmb?.cmbloc ?? 0;
    case nvme.NVME_REG_CMBSZ:
      return controller.cmb?.cmbsz ?? 0;
    case nvme.NVME_REG_CMBMSC:
      return controller.cmb?.cmbmscLo ?? 0;
    case nvme.NVME_REG_CMBMSC + 4:
      return controller.cmb?.cmbmscHi ?? 0;
    case nvme.NVME_REG_CMBSTS:
      return controller.cmb?.cmbsts ?? 0;
    default:
      return 0;
  }
}

/** What the host reads: the register, unless a fault plan has it otherwise. */
function presentDword(controller: ControllerState, offset: number): number {
  const value = readDword(controller, offset);
  if (!controller.faults?.register || offset >= nvme.NVME_REG_DBS) return value;
  const altered = controller.faults.register(offset, value >>> 0, false);
  return controller.isGone ? ALL_ONES : altered;
}

/** Reads size bytes of the register file; any alignment. Doorbells read as 0. */
export function readRegister(controller: ControllerState, offset: number, size: AccessSize): number {
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_READ, offset, size, 0, 0);
  const within = offset & 3;
  const low = presentDword(controller, offset - within);
  const high = within + size > 4 ? presentDword(controller, offset - within + 4) : 0;
  const value = within === 0 ? low : (low >>> (8 * within)) | (high << (32 - 8 * within));
  return (value & (0xffffffff >>> (32 - 8 * size))) >>> 0;
}

/** Reads a register of a secondary controller that is offline: CSTS alone answers. */
export function offlineRegister(controller: ControllerState, offset: number, size: AccessSize): number {
  if (offset === nvme.NVME_REG_CSTS) return readRegister(controller, offset, size);
  ignoreOffline(controller, offset, size);
  return 0;
}

/** Tells that an access came to nothing, the secondary controller being offline. */
export function ignoreOffline(controller: ControllerState, offset: number, size: AccessSize): void {
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_VF_OFFLINE, offset, size, 0, 0);
}

/** Writes a register; only aligned dwords have an effect. */
export function writeRegister(controller: ControllerState, offset: number, written: number, size: AccessSize): void {
  const { registers, host } = controller;
  if (size !== 4 || (offset & 3) !== 0) return;
  const value = controller.faults?.register?.(offset, written >>> 0, true) ?? written;
  if (controller.isGone) return;
  const isEnabled = (registers.cc & nvme.NVME_CC_ENABLE) !== 0;
  switch (offset) {
    case nvme.NVME_REG_INTMS:
    case nvme.NVME_REG_INTMC:
      if (!controller.endpoint.messageSignalled) maskInterrupts(controller, value, offset === nvme.NVME_REG_INTMS);
      return;
    case nvme.NVME_REG_CC:
      writeConfiguration(controller, value >>> 0);
      return;
    case nvme.NVME_REG_CSTS:
      if (controller.description.subsystemReset) registers.csts &= ~(value & nvme.CSTS.NSSRO.mask);
      return;
    case nvme.NVME_REG_NSSR:
      if (controller.description.subsystemReset && value >>> 0 === NSSR_MAGIC) subsystemReset(controller);
      return;
    case nvme.NVME_REG_CMBMSC:
      controller.cmb?.writeCmbmscLo(value >>> 0);
      return;
    case nvme.NVME_REG_CMBMSC + 4:
      controller.cmb?.writeCmbmscHi(value >>> 0);
      return;
    case nvme.NVME_REG_AQA:
      if (isEnabled) return;
      registers.aqa = (value & (nvme.AQA.ACQS.mask | nvme.AQA.ASQS.mask)) >>> 0;
      if (controller.tracing) host?.trace(trace.TRACE_MMIO_AQATTR, registers.aqa, 0, 0, 0);
      return;
    default:
      if (!isEnabled) writeQueueBase(controller, offset, value >>> 0);
  }
}

function writeQueueBase(controller: ControllerState, offset: number, value: number): void {
  const { registers, host } = controller;
  const { tracing } = controller;
  switch (offset) {
    case nvme.NVME_REG_ASQ:
      registers.asqLo = value;
      if (tracing) host?.trace(trace.TRACE_MMIO_ASQADDR, value, 0, 0, 0);
      return;
    case nvme.NVME_REG_ASQ + 4:
      registers.asqHi = value;
      if (tracing) host?.trace(trace.TRACE_MMIO_ASQADDR_HI, value, value * 0x100000000 + registers.asqLo, 0, 0);
      return;
    case nvme.NVME_REG_ACQ:
      registers.acqLo = value;
      if (tracing) host?.trace(trace.TRACE_MMIO_ACQADDR, value, 0, 0, 0);
      return;
    case nvme.NVME_REG_ACQ + 4:
      registers.acqHi = value;
      if (tracing) host?.trace(trace.TRACE_MMIO_ACQADDR_HI, value, value * 0x100000000 + registers.acqLo, 0, 0);
      return;
    default:
  }
}

function writeConfiguration(controller: ControllerState, value: number): void {
  const { registers, host } = controller;
  const old = registers.cc;
  const wasEnabled = (old & nvme.NVME_CC_ENABLE) !== 0;
  const isEnabled = (value & nvme.NVME_CC_ENABLE) !== 0;
  if (controller.tracing) host?.trace(trace.TRACE_MMIO_CFG, value, 0, 0, 0);
  // While enabled, only EN and SHN may change; the rest keeps the value the controller runs with.
  const keep = wasEnabled && isEnabled ? old & ~(nvme.NVME_CC_ENABLE | nvme.NVME_CC_SHN_MASK) : -1;
  registers.cc = (keep === -1 ? value : keep | (value & (nvme.NVME_CC_ENABLE | nvme.NVME_CC_SHN_MASK))) >>> 0;
  const wasShutdown = nvme.CC.SHN.get(old) !== 0;
  const isShutdown = nvme.CC.SHN.get(value) !== 0;
  if (isShutdown && !wasShutdown) beginShutdown(controller);
  if (isEnabled && !wasEnabled) enable(controller);
  if (!isEnabled && wasEnabled) disable(controller);
}

/** CC.EN 0 → 1: checks the admin queues and becomes ready now, later, or fatally not. */
function enable(controller: ControllerState): void {
  const { registers, host } = controller;
  if (!isConfigurationValid(controller)) {
    if (controller.tracing) host?.trace(trace.TRACE_MMIO_START_FAILED, 0, 0, 0, 0);
    registers.csts |= nvme.NVME_CSTS_CFS;
    return;
  }
  controller.pageBytes = 4096 << nvme.CC.MPS.get(registers.cc);
  controller.features.reset(host?.nowNs() ?? 0);
  if (!controller.isSecondary) for (const namespace of controller.namespaces) namespace?.setErrorRecovery(0);
  const acq = registers.acqHi * 0x100000000 + registers.acqLo;
  const asq = registers.asqHi * 0x100000000 + registers.asqLo;
  const cq = new CompletionQueue(0, nvme.AQA.ACQS.get(registers.aqa) + 1, acq, 0, true);
  cq.sqCount = 1;
  controller.completionQueues[0] = cq;
  controller.submissionQueues[0] = new SubmissionQueue(0, nvme.AQA.ASQS.get(registers.aqa) + 1, asq, cq);
  const delayNs = delayOf(controller, controller.faults?.ready?.(), controller.description.readyDelayNs);
  if (delayNs > 0) controller.schedule(delayNs, EVENT_READY, controller.generation);
  else if (delayNs === 0) becomeReady(controller);
}

/** How long CSTS takes to follow; -1: it does not. */
function delayOf(controller: ControllerState, fault: boolean | number | undefined, delayNs: number): number {
  if (fault === false || controller.isGone || (controller.registers.csts & nvme.NVME_CSTS_CFS) !== 0) return -1;
  return typeof fault === 'number' ? delayNs + fault : delayNs;
}

/** Sets CSTS.RDY. */
export function becomeReady(controller: ControllerState): void {
  const { registers, host } = controller;
  registers.csts = nvme.NVME_CSTS_RDY;
  if (!controller.tracing) return;
  host?.trace(trace.TRACE_SETFEAT_TIMESTAMP, 0, 0, 0, 0);
  host?.trace(trace.TRACE_MMIO_START_SUCCESS, 0, 0, 0, 0);
}

function isConfigurationValid(controller: ControllerState): boolean {
  const { cc, aqa, asqLo, acqLo } = controller.registers;
  const mps = nvme.CC.MPS.get(cc);
  const css = nvme.CC.CSS.get(cc);
  if (mps > MPS_MAX) return false;
  if (css !== 0 && (nvme.NVME_CAP_CSS(controller.registers.capLo, controller.registers.capHi) >> css) % 2 === 0)
    return false;
  if (nvme.CC.IOSQES.get(cc) !== nvme.NVME_NVM_IOSQES || nvme.CC.IOCQES.get(cc) !== nvme.NVME_NVM_IOCQES) return false;
  if (nvme.AQA.ASQS.get(aqa) === 0 || nvme.AQA.ACQS.get(aqa) === 0) return false;
  const pageMask = (4096 << mps) - 1;
  return (asqLo & pageMask) === 0 && (acqLo & pageMask) === 0;
}

/** CC.EN 1 → 0: a controller reset; the admin queue registers keep their values. */
function disable(controller: ControllerState): void {
  const { registers } = controller;
  const wasReady = registers.csts & nvme.NVME_CSTS_RDY;
  resetQueues(controller);
  controller.virtualFunctions?.setAllOffline();
  registers.csts &= nvme.CSTS.NSSRO.mask;
  const fault = controller.faults?.unready?.() ?? true;
  if (controller.isGone) return;
  if (fault !== true) registers.csts |= wasReady;
  if (typeof fault === 'number') controller.schedule(fault, EVENT_UNREADY, 0);
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_STOPPED, 0, 0, 0, 0);
}

function beginShutdown(controller: ControllerState): void {
  const { registers } = controller;
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_SHUTDOWN_SET, 0, 0, 0, 0);
  registers.csts = (registers.csts & ~nvme.CSTS.SHST.mask) | nvme.CSTS.SHST.put(1);
  for (const namespace of controller.namespaces) namespace?.store.flush(IGNORE);
  const { shutdownDelayNs } = controller.description;
  const fault = controller.faults?.shutdown?.();
  if (fault === false || controller.isGone) return;
  const delayNs = shutdownDelayNs + (typeof fault === 'number' ? fault : 0);
  if (delayNs > 0) controller.schedule(delayNs, EVENT_SHUTDOWN, controller.generation);
  else shutdownComplete(controller);
}

const IGNORE = { piece: () => 0, done: () => {} };

/** CC.EN = 0 has taken effect, unless the host enabled the controller in the meantime. */
export function becomeUnready(controller: ControllerState): void {
  const { registers } = controller;
  if ((registers.cc & nvme.NVME_CC_ENABLE) === 0) registers.csts &= ~nvme.NVME_CSTS_RDY;
}

/** Sets CSTS.SHST to complete. */
export function shutdownComplete(controller: ControllerState): void {
  const { registers } = controller;
  registers.csts = (registers.csts & ~nvme.CSTS.SHST.mask) | nvme.CSTS.SHST.put(2);
}

/** A failure the controller cannot report in a completion: it stops and sets CSTS.CFS. */
export function fatalError(controller: ControllerState): void {
  controller.registers.csts |= nvme.NVME_CSTS_CFS;
}

function subsystemReset(controller: ControllerState): void {
  resetQueues(controller);
  controller.virtualFunctions?.setAllOffline();
  controller.cmb?.reset();
  controller.registers.cc = 0;
  controller.registers.csts = nvme.CSTS.NSSRO.mask;
}
