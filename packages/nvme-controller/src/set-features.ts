// Set Features: what the host may change, and the refusals in their order.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_set_features. Spec: [NVMe] 2.0 §5.27.
import * as nvme from '@nvme-stack/nvme-protocol';
import { checkTemperature } from './async-events.js';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { fetchData } from './data.js';
import { capabilitiesOf } from './features.js';
import { setHardwareFeature } from './hardware-features.js';
import { isNsidValid, type Namespace } from './namespace.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

const SAVE = 0x80000000;
/** Timestamp origin: set by the host. */
const ORIGIN_HOST = 1;

/** Set Features. */
export function setFeatures(controller: ControllerState, slot: CommandSlot): number {
  const fid = slot.cdw10 & 0xff;
  if (controller.tracing) controller.host?.trace(trace.TRACE_SETFEAT, slot.cid, slot.nsid, fid, slot.cdw11);
  const refusal = refuse(controller, slot, fid);
  if (refusal !== sc.SC_SUCCESS) return refusal;
  const { features } = controller;
  switch (fid) {
    case nvme.NVME_FEAT_TEMP_THRESH:
      return setTemperatureThreshold(controller, slot.cdw11);
    case nvme.NVME_FEAT_ERR_RECOVERY:
      return setErrorRecovery(controller, slot);
    case nvme.NVME_FEAT_VOLATILE_WC:
      return setWriteCache(controller, (slot.cdw11 & 1) !== 0);
    case nvme.NVME_FEAT_NUM_QUEUES:
      return setNumberOfQueues(controller, slot);
    case nvme.NVME_FEAT_ASYNC_EVENT:
      features.asyncEvents = slot.cdw11;
      return sc.SC_SUCCESS;
    case nvme.NVME_FEAT_TIMESTAMP:
      return setTimestamp(controller, slot);
    case nvme.NVME_FEAT_HOST_BEHAVIOR:
      return setHostBehavior(controller, slot);
    case nvme.NVME_FEAT_POWER_MGMT:
    case nvme.NVME_FEAT_IRQ_COALESCE:
    case nvme.NVME_FEAT_IRQ_CONFIG:
    case nvme.NVME_FEAT_AUTO_PST:
    case nvme.NVME_FEAT_HOST_MEM_BUF:
      return setHardwareFeature(controller, slot, fid);
    default:
      return (slot.cdw11 & 0x1ff) === 0 ? sc.SC_SUCCESS : sc.SC_IOCS_COMBINATION_REJECTED;
  }
}

function refuse(controller: ControllerState, slot: CommandSlot, fid: number): number {
  if ((slot.cdw10 & SAVE) !== 0) return sc.SC_FEATURE_NOT_SAVEABLE;
  const capabilities = capabilitiesOf(controller.description, fid);
  if (capabilities === undefined) return sc.SC_INVALID_FIELD;
  if (nvme.FeatureCapabilities.NSSPEC.get(capabilities) !== 0) {
    if (!isNsidValid(controller, slot.nsid)) return sc.SC_INVALID_NS;
    const isActive = slot.nsid === nvme.NVME_NSID_ALL || controller.namespaces[slot.nsid]?.isActive;
    if (!isActive) return sc.SC_INVALID_FIELD;
  } else if (slot.nsid !== 0 && slot.nsid !== nvme.NVME_NSID_ALL) {
    return isNsidValid(controller, slot.nsid) ? sc.SC_FEATURE_NOT_PER_NS : sc.SC_INVALID_NS;
  }
  return nvme.FeatureCapabilities.CHANGEABLE.get(capabilities) !== 0 ? sc.SC_SUCCESS : sc.SC_FEATURE_NOT_CHANGEABLE;
}

function setTemperatureThreshold(controller: ControllerState, cdw11: number): number {
  // Sensors other than the composite one are not implemented; their thresholds are accepted and have no effect.
  if (nvme.TemperatureThreshold.TMPSEL.get(cdw11) !== 0) return sc.SC_SUCCESS;
  const kelvin = nvme.TemperatureThreshold.TMPTH.get(cdw11);
  const kind = nvme.TemperatureThreshold.THSEL.get(cdw11);
  if (kind > 1) return sc.SC_INVALID_FIELD;
  if (kind === 1) controller.features.temperatureUnder = kelvin;
  else controller.features.temperatureOver = kelvin;
  checkTemperature(controller);
  return sc.SC_SUCCESS;
}

function setErrorRecovery(controller: ControllerState, slot: CommandSlot): number {
  for (const namespace of controller.namespaces as (Namespace | null)[]) {
    if (namespace === null || (slot.nsid !== nvme.NVME_NSID_ALL && slot.nsid !== namespace.nsid)) continue;
    namespace.setErrorRecovery(slot.cdw11);
  }
  return sc.SC_SUCCESS;
}

/** Turning the cache off makes what is in it durable. */
function setWriteCache(controller: ControllerState, isOn: boolean): number {
  const { features } = controller;
  if (features.writeCache && !isOn) for (const namespace of controller.namespaces) namespace?.store.flush(IGNORE);
  features.writeCache = isOn;
  return sc.SC_SUCCESS;
}

const IGNORE = { piece: () => 0, done: () => {} };

function setNumberOfQueues(controller: ControllerState, slot: CommandSlot): number {
  const { description } = controller;
  for (let qid = 1; qid <= description.maxIoQueuePairs; qid++) {
    if (controller.completionQueues[qid] || controller.submissionQueues[qid]) return sc.SC_CMD_SEQ_ERROR;
  }
  if (controller.allotment.ioQueuePairs === 0) return sc.SC_INVALID_FIELD;
  const wantedCq = nvme.NumberOfQueues.NCQ.get(slot.cdw11);
  const wantedSq = nvme.NumberOfQueues.NSQ.get(slot.cdw11);
  if (wantedCq === 0xffff || wantedSq === 0xffff) return sc.SC_INVALID_FIELD;
  slot.dw0 = controller.features.numberOfQueues;
  const granted = controller.allotment.ioQueuePairs;
  if (controller.tracing) {
    controller.host?.trace(trace.TRACE_SETFEAT_NUMQ, wantedCq + 1, wantedSq + 1, granted, granted);
  }
  return sc.SC_SUCCESS;
}

function setTimestamp(controller: ControllerState, slot: CommandSlot): number {
  const { features, stage, host } = controller;
  const status = fetchData(controller, slot, stage.bytes, stage.dataOffset, 8);
  if (status !== sc.SC_SUCCESS) return status;
  let ms = 0;
  for (let i = 5; i >= 0; i--) ms = ms * 256 + (stage.data[i] as number);
  features.timestampMs = ms;
  features.timestampSetAtNs = host?.nowNs() ?? 0;
  features.timestampOrigin = ORIGIN_HOST;
  if (controller.tracing) host?.trace(trace.TRACE_SETFEAT_TIMESTAMP, ms, 0, 0, 0);
  return sc.SC_SUCCESS;
}

function setHostBehavior(controller: ControllerState, slot: CommandSlot): number {
  const { features, stage } = controller;
  const status = fetchData(controller, slot, stage.bytes, stage.dataOffset, 512);
  if (status === sc.SC_SUCCESS) features.hostBehavior.set(stage.data.subarray(0, 512));
  return status;
}
