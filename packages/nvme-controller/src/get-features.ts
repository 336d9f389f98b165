// Get Features: current, default and saved values, and what a feature can do.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_get_features. Spec: [NVMe] 2.0 §5.15.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { sendData } from './data.js';
import { capabilitiesOf } from './features.js';
import { getHardwareFeature } from './hardware-features.js';
import { isNsidValid } from './namespace.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

/** Get Features; nothing is saveable, so the saved value is the default. */
export function getFeatures(controller: ControllerState, slot: CommandSlot): number {
  const fid = slot.cdw10 & 0xff;
  const select = (slot.cdw10 >>> 8) & 7;
  if (controller.tracing) controller.host?.trace(trace.TRACE_GETFEAT, slot.cid, slot.nsid, fid, select);
  const capabilities = capabilitiesOf(controller.description, fid);
  if (capabilities === undefined || select > nvme.NVME_GETFEAT_SELECT_CAP) return sc.SC_INVALID_FIELD;
  if (nvme.FeatureCapabilities.NSSPEC.get(capabilities) !== 0) {
    if (!isNsidValid(controller, slot.nsid) || slot.nsid === nvme.NVME_NSID_ALL) return sc.SC_INVALID_NS;
    if (!controller.namespaces[slot.nsid]?.isActive) return sc.SC_INVALID_FIELD;
  }
  if (select === nvme.NVME_GETFEAT_SELECT_CAP) {
    slot.dw0 = capabilities;
    return sc.SC_SUCCESS;
  }
  const isCurrent = select === nvme.NVME_GETFEAT_SELECT_CURRENT;
  const hardware = isCurrent ? getHardwareFeature(controller, slot, fid) : null;
  if (hardware !== null) return hardware;
  if (fid === nvme.NVME_FEAT_TIMESTAMP) return sendTimestamp(controller, slot, isCurrent);
  if (fid === nvme.NVME_FEAT_HOST_BEHAVIOR) return sendHostBehavior(controller, slot, isCurrent);
  if (fid === nvme.NVME_FEAT_ERR_RECOVERY) {
    slot.dw0 = isCurrent ? (controller.namespaces[slot.nsid]?.errorRecovery ?? 0) : 0;
    return sc.SC_SUCCESS;
  }
  if (fid === nvme.NVME_FEAT_IRQ_CONFIG && (slot.cdw11 & 0xffff) > controller.allotment.ioQueuePairs) {
    return sc.SC_INVALID_FIELD;
  }
  if (fid === nvme.NVME_FEAT_TEMP_THRESH && isReservedThreshold(slot.cdw11)) return sc.SC_INVALID_FIELD;
  slot.dw0 = controller.features.value(fid, slot.cdw11, isCurrent);
  return sc.SC_SUCCESS;
}

/** Of the composite temperature there are an over and an under threshold, and no third. */
function isReservedThreshold(cdw11: number): boolean {
  const { TMPSEL, THSEL } = nvme.TemperatureThreshold;
  return TMPSEL.get(cdw11) === 0 && THSEL.get(cdw11) > 1;
}

function sendTimestamp(controller: ControllerState, slot: CommandSlot, isCurrent: boolean): number {
  const { features, stage, host } = controller;
  const ms = isCurrent ? features.timestampNow(host?.nowNs() ?? 0) : 0;
  stage.data.fill(0, 0, 8);
  for (let i = 0, left = ms; i < 6; i++, left = Math.floor(left / 256)) stage.data[i] = left % 256;
  stage.data[6] = isCurrent ? features.timestampOrigin << 1 : 0;
  return sendData(controller, slot, stage.bytes, stage.dataOffset, 8);
}

function sendHostBehavior(controller: ControllerState, slot: CommandSlot, isCurrent: boolean): number {
  const { features, stage } = controller;
  if (isCurrent) stage.data.set(features.hostBehavior);
  else stage.data.fill(0, 0, 512);
  return sendData(controller, slot, stage.bytes, stage.dataOffset, 512);
}
