// The register file: reads, writes, and what enabling, disabling and shutting down do.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_enable_ctrl, nvme_disable_ctrl. Spec: [NVMe] 2.0 §3.1.4, §3.5, §3.6.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { AccessSize } from '@nvme-stack/pci-function';
import { type ControllerState, EVENT_READY, EVENT_SHUTDOWN } from './controller-state.js';
import { maskInterrupts } from './interrupts.js';
import { CompletionQueue, SubmissionQueue } from './queues.js';
import { MPS_MAX, VERSION } from './register-state.js';
import { resetQueues } from './reset.js';
import * as trace from './trace-events.js';

/** Magic of NVM Subsystem Reset: "NVMe". */
const NSSR_MAGIC = 0x4e564d65;

/** Reads a register as its dword; what is reserved or absent is 0. */
function readDword(controller: ControllerState, offset: number): number {
  const { registers } = controller;
  switch (offset) {
    case nvme.NVME_REG_CAP:
      return registers.capLo;
    case nvme.NVME_REG_CAP + 4:
      return registers.capHi;
    case nvme.NVME_REG_VS:
      return VERSION;
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
    default:
      return 0;
  }
}

/** Reads size bytes of the register file; any alignment. Doorbells read as 0. */
export function readRegister(controller: ControllerState, offset: number, size: AccessSize): number {
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_READ, offset, size, 0, 0);
  const within = offset & 3;
  const low = readDword(controller, offset - within);
  const high = within + size > 4 ? readDword(controller, offset - within + 4) : 0;
  const value = within === 0 ? low : (low >>> (8 * within)) | (high << (32 - 8 * within));
  return (value & (0xffffffff >>> (32 - 8 * size))) >>> 0;
}

/** Writes a register; only aligned dwords have an effect. */
export function writeRegister(controller: ControllerState, offset: number, value: number, size: AccessSize): void {
  const { registers, host } = controller;
  if (size !== 4 || (offset & 3) !== 0) return;
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
  const acq = registers.acqHi * 0x100000000 + registers.acqLo;
  const asq = registers.asqHi * 0x100000000 + registers.asqLo;
  const cq = new CompletionQueue(0, nvme.AQA.ACQS.get(registers.aqa) + 1, acq, 0, true);
  cq.sqCount = 1;
  controller.completionQueues[0] = cq;
  controller.submissionQueues[0] = new SubmissionQueue(0, nvme.AQA.ASQS.get(registers.aqa) + 1, asq, cq);
  if (controller.faults?.ready?.() === false) return;
  if (controller.description.readyDelayNs > 0) {
    controller.schedule(controller.description.readyDelayNs, EVENT_READY, controller.generation);
  } else {
    becomeReady(controller);
  }
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
  if (css !== 0 && css !== 6 && css !== 7) return false;
  if (nvme.CC.IOSQES.get(cc) !== nvme.NVME_NVM_IOSQES || nvme.CC.IOCQES.get(cc) !== nvme.NVME_NVM_IOCQES) return false;
  if (nvme.AQA.ASQS.get(aqa) === 0 || nvme.AQA.ACQS.get(aqa) === 0) return false;
  const pageMask = (4096 << mps) - 1;
  return (asqLo & pageMask) === 0 && (acqLo & pageMask) === 0;
}

/** CC.EN 1 → 0: a controller reset; the admin queue registers keep their values. */
function disable(controller: ControllerState): void {
  resetQueues(controller);
  controller.registers.csts &= nvme.CSTS.NSSRO.mask;
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_STOPPED, 0, 0, 0, 0);
}

function beginShutdown(controller: ControllerState): void {
  const { registers } = controller;
  if (controller.tracing) controller.host?.trace(trace.TRACE_MMIO_SHUTDOWN_SET, 0, 0, 0, 0);
  registers.csts = (registers.csts & ~nvme.CSTS.SHST.mask) | nvme.CSTS.SHST.put(1);
  for (const namespace of controller.namespaces) namespace?.store.flush(IGNORE);
  if (controller.description.shutdownDelayNs > 0) {
    controller.schedule(controller.description.shutdownDelayNs, EVENT_SHUTDOWN, controller.generation);
  } else {
    shutdownComplete(controller);
  }
}

const IGNORE = { piece: () => 0, done: () => {} };

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
  controller.registers.cc = 0;
  controller.registers.csts = nvme.CSTS.NSSRO.mask;
}
