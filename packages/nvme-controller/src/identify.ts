// Identify: which structure a CNS value means and for which namespace identifiers it exists.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_identify_*. Spec: [NVMe] 2.0 §5.17.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { sendData } from './data.js';
import * as structures from './identify-structures.js';
import { isNsidValid } from './namespace.js';
import * as virtualization from './sriov/identify-virtualization.js';
import * as sc from './status.js';
import * as trace from './trace-events.js';

/** Identify. */
export function identify(controller: ControllerState, slot: CommandSlot): number {
  const cns = slot.cdw10 & 0xff;
  const cntid = slot.cdw10 >>> 16;
  const csi = slot.cdw11 >>> 24;
  if (controller.tracing) controller.host?.trace(trace.TRACE_IDENTIFY, slot.cid, cns, cntid, csi);
  const bytes = structureOf(controller, slot.nsid, cns, cntid, csi);
  if (typeof bytes === 'number') return bytes;
  return sendData(controller, slot, bytes, 0, nvme.NVME_IDENTIFY_DATA_SIZE);
}

/** The structure's bytes, or the status that refuses it. */
function structureOf(
  controller: ControllerState,
  nsid: number,
  cns: number,
  cntid: number,
  csi: number,
): Uint8Array | number {
  switch (cns) {
    case nvme.NVME_ID_CNS_CTRL:
      return structures.identifyController(controller);
    case nvme.NVME_ID_CNS_CS_CTRL:
      return csi === nvme.NVME_CSI_NVM ? structures.identifyNvmController() : sc.SC_INVALID_FIELD;
    case nvme.NVME_ID_CNS_PRIMARY_CTRL_CAP:
      return virtualization.primaryControllerCapabilities(controller);
    case nvme.NVME_ID_CNS_SCNDRY_CTRL_LIST:
      return virtualization.secondaryControllerList(controller, cntid);
    case nvme.NVME_ID_CNS_CTRL_NS_LIST:
      return virtualization.controllerList(controller, cntid, nsid);
    case nvme.NVME_ID_CNS_CTRL_LIST:
      return virtualization.controllerList(controller, cntid, null);
    case nvme.NVME_ID_CNS_CSI_LIST:
      return structures.commandSetList();
    case nvme.NVME_ID_CNS_NS_ACTIVE_LIST_CS:
    case nvme.NVME_ID_CNS_CS_NS_PRESENT_LIST:
      if (csi !== nvme.NVME_CSI_NVM && !isBeyondLists(nsid)) return sc.SC_INVALID_FIELD;
      return namespaceList(controller, nsid, cns === nvme.NVME_ID_CNS_NS_ACTIVE_LIST_CS);
    case nvme.NVME_ID_CNS_NS_ACTIVE_LIST:
    case nvme.NVME_ID_CNS_NS_PRESENT_LIST:
      return namespaceList(controller, nsid, cns === nvme.NVME_ID_CNS_NS_ACTIVE_LIST);
    case nvme.NVME_ID_CNS_NS:
    case nvme.NVME_ID_CNS_NS_PRESENT:
    case nvme.NVME_ID_CNS_CS_NS:
    case nvme.NVME_ID_CNS_CS_NS_PRESENT:
    case nvme.NVME_ID_CNS_NS_DESC_LIST:
      return namespaceStructure(controller, nsid, cns, csi);
    default:
      return sc.SC_INVALID_FIELD;
  }
}

/** Lists start after nsid; the two largest values leave no room for any. */
const isBeyondLists = (nsid: number): boolean => nsid >= 0xfffffffe;

function namespaceList(controller: ControllerState, nsid: number, activeOnly: boolean): Uint8Array | number {
  if (isBeyondLists(nsid)) return sc.SC_INVALID_NS;
  return structures.namespaceList(controller, nsid, activeOnly);
}

function namespaceStructure(controller: ControllerState, nsid: number, cns: number, csi: number): Uint8Array | number {
  if (!isNsidValid(controller, nsid) || nsid === nvme.NVME_NSID_ALL) return sc.SC_INVALID_NS;
  const namespace = controller.namespaces[nsid];
  const isPresent = cns === nvme.NVME_ID_CNS_NS_PRESENT || cns === nvme.NVME_ID_CNS_CS_NS_PRESENT;
  const exists = namespace !== null && namespace !== undefined && (namespace.isActive || isPresent);
  if (cns === nvme.NVME_ID_CNS_NS_DESC_LIST) {
    return exists ? structures.namespaceDescriptors(namespace) : sc.SC_INVALID_FIELD;
  }
  const isCommandSet = cns === nvme.NVME_ID_CNS_CS_NS || cns === nvme.NVME_ID_CNS_CS_NS_PRESENT;
  if (isCommandSet && csi !== nvme.NVME_CSI_NVM) return sc.SC_INVALID_FIELD;
  // An inactive namespace's structure is all zeroes, as is the NVM command set's for one without protection.
  return exists && !isCommandSet ? structures.identifyNamespace(namespace, controller.isShared) : new Uint8Array(4096);
}
