// Features of the optional hardware: power states, interrupt coalescing, host memory buffer.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_set_host_mem and core.c nvme_configure_apst.
// Spec: [NVMe] 2.0 §5.27.1.2 (02h), §5.27.1.6-7 (08h, 09h), §5.27.1.9 (0Ch), §5.27.1.10 (0Dh).
import * as nvme from '@nvme-stack/nvme-protocol';
import { configureVector } from './coalescing.js';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { fetchData, sendData } from './data.js';
import { APST_TABLE_BYTES } from './power.js';
import * as sc from './status.js';

const HMB_ATTRIBUTES_BYTES = 4096;
/** HMDLAL is 16-byte aligned. */
const LIST_ALIGNMENT_MASK = 0xf;

/** Sets one of them; refused before when the controller lacks it. */
export function setHardwareFeature(controller: ControllerState, slot: CommandSlot, fid: number): number {
  switch (fid) {
    case nvme.NVME_FEAT_POWER_MGMT: {
      const state = nvme.PowerManagement.PS.get(slot.cdw11);
      return controller.power.choose(state, now(controller)) ? sc.SC_SUCCESS : sc.SC_INVALID_FIELD;
    }
    case nvme.NVME_FEAT_IRQ_COALESCE:
      if (controller.coalescing !== null) controller.coalescing.value = slot.cdw11 & 0xffff;
      return sc.SC_SUCCESS;
    case nvme.NVME_FEAT_IRQ_CONFIG:
      if (controller.coalescing === null || !configureVector(controller.coalescing, slot.cdw11))
        return sc.SC_INVALID_FIELD;
      return sc.SC_SUCCESS;
    case nvme.NVME_FEAT_AUTO_PST:
      return setApst(controller, slot);
    default:
      return setHostMemory(controller, slot);
  }
}

/** The current value of one of them as a status; null when the feature is another's. */
export function getHardwareFeature(controller: ControllerState, slot: CommandSlot, fid: number): number | null {
  const { power, coalescing, hmb, stage } = controller;
  switch (fid) {
    case nvme.NVME_FEAT_POWER_MGMT:
      slot.dw0 = power.stateAt(now(controller));
      return sc.SC_SUCCESS;
    case nvme.NVME_FEAT_IRQ_COALESCE:
      slot.dw0 = coalescing?.value ?? 0;
      return sc.SC_SUCCESS;
    case nvme.NVME_FEAT_IRQ_CONFIG: {
      const vector = nvme.InterruptVectorConfiguration.IV.get(slot.cdw11);
      if (coalescing === null) return null;
      const disabled = coalescing.disabled[vector];
      if (disabled === undefined) return sc.SC_INVALID_FIELD;
      slot.dw0 = vector | (disabled !== 0 ? nvme.InterruptVectorConfiguration.CD.mask : 0);
      return sc.SC_SUCCESS;
    }
    case nvme.NVME_FEAT_AUTO_PST:
      slot.dw0 = power.autonomous ? 1 : 0;
      stage.data.set(power.apstTable);
      return sendData(controller, slot, stage.bytes, stage.dataOffset, APST_TABLE_BYTES);
    case nvme.NVME_FEAT_HOST_MEM_BUF: {
      if (hmb === null) return null;
      slot.dw0 = hmb.enabled ? nvme.NVME_HOST_MEM_ENABLE : 0;
      const attributes = new DataView(stage.bytes.buffer, stage.bytes.byteOffset + stage.dataOffset, 16);
      stage.data.fill(0, 0, HMB_ATTRIBUTES_BYTES);
      attributes.setUint32(0, hmb.sizeBytes / controller.pageBytes, true);
      attributes.setUint32(4, hmb.listLo, true);
      attributes.setUint32(8, hmb.listHi, true);
      attributes.setUint32(12, hmb.listCount, true);
      return sendData(controller, slot, stage.bytes, stage.dataOffset, HMB_ATTRIBUTES_BYTES);
    }
    default:
      return null;
  }
}

function now(controller: ControllerState): number {
  return controller.host?.nowNs() ?? 0;
}

function setApst(controller: ControllerState, slot: CommandSlot): number {
  const { stage, power } = controller;
  const status = fetchData(controller, slot, stage.bytes, stage.dataOffset, APST_TABLE_BYTES);
  if (status !== sc.SC_SUCCESS) return status;
  const table = stage.data.slice(0, APST_TABLE_BYTES);
  return power.setTable(table, (slot.cdw11 & 1) !== 0, now(controller)) ? sc.SC_SUCCESS : sc.SC_INVALID_FIELD;
}

/** A buffer that is lent may not be lent again; taking back what was not lent is no error. */
function setHostMemory(controller: ControllerState, slot: CommandSlot): number {
  const { hmb } = controller;
  if (hmb === null) return sc.SC_INVALID_FIELD;
  if ((slot.cdw11 & nvme.NVME_HOST_MEM_ENABLE) === 0) {
    hmb.disable();
    return sc.SC_SUCCESS;
  }
  if (hmb.enabled) return sc.SC_CMD_SEQ_ERROR;
  if ((slot.cdw13 & LIST_ALIGNMENT_MASK) !== 0) return sc.SC_INVALID_FIELD;
  hmb.listLo = slot.cdw13;
  hmb.listHi = slot.cdw14;
  hmb.listCount = slot.cdw15;
  const returned = (slot.cdw11 & nvme.NVME_HOST_MEM_RETURN) !== 0;
  return hmb.enable(controller, slot.cdw12, returned) ? sc.SC_SUCCESS : sc.SC_INVALID_FIELD;
}
