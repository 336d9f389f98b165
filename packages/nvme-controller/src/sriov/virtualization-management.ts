// Virtualization Management: resources for the primary and its secondary controllers, online and offline.
// Kernel counterpart: none; Linux leaves it to passthrough. Spec: [NVMe] 2.0 §5.28; the order of refusals is QEMU's.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { CommandSlot } from '../command-slot.js';
import type { ControllerState } from '../controller-state.js';
import * as sc from '../status.js';
import * as trace from '../trace-events.js';
import { type ResourceType, type SecondaryController, VI, VQ } from './resources.js';

/** Virtualization Management; dword 0 of the completion has the number of resources that were given. */
export function virtualizationManagement(controller: ControllerState, slot: CommandSlot): number {
  const action = slot.cdw10 & 0xf;
  const type = (slot.cdw10 >>> 8) & 7;
  const controllerId = slot.cdw10 >>> 16;
  const count = slot.cdw11 & 0xffff;
  if (controller.tracing) controller.host?.trace(trace.TRACE_VIRT_MNGMT, action, controllerId, type, count);
  if (type !== VQ && type !== VI) return sc.SC_RESOURCE_ID;
  if (action === nvme.NVME_VIRT_MGMT_ACT_PRIM_CTRL_FLEX_ALLOC)
    return allocateToPrimary(controller, slot, controllerId, type, count);
  const manage = SECONDARY_ACTIONS.get(action);
  if (manage === undefined) return sc.SC_INVALID_FIELD;
  const secondary = controller.resources.find(controllerId);
  return secondary === undefined ? sc.SC_CONTROLLER_ID : manage(controller, slot, secondary, type, count);
}

/** How many flexible resources the primary has itself, from its next function reset on. */
function allocateToPrimary(
  controller: ControllerState,
  slot: CommandSlot,
  controllerId: number,
  type: ResourceType,
  count: number,
): number {
  if (controllerId !== controller.controllerId) return sc.SC_CONTROLLER_ID;
  const pool = controller.resources.pools[type];
  if (count > pool.flexible) return sc.SC_RESOURCE_COUNT;
  if (count > pool.flexible - pool.assigned) return sc.SC_RESOURCE_ID;
  pool.nextPrimary = count;
  slot.dw0 = count;
  return sc.SC_SUCCESS;
}

type SecondaryAction = (
  controller: ControllerState,
  slot: CommandSlot,
  secondary: SecondaryController,
  type: ResourceType,
  count: number,
) => number;

const SECONDARY_ACTIONS: ReadonlyMap<number, SecondaryAction> = new Map([
  [nvme.NVME_VIRT_MGMT_ACT_ASSIGN_SEC_CTRL, assignToSecondary],
  [nvme.NVME_VIRT_MGMT_ACT_ONLINE_SEC_CTRL, setOnline],
  [nvme.NVME_VIRT_MGMT_ACT_OFFLINE_SEC_CTRL, setOffline],
]);

function assignToSecondary(
  { resources }: ControllerState,
  slot: CommandSlot,
  secondary: SecondaryController,
  type: ResourceType,
  count: number,
): number {
  if (secondary.online) return sc.SC_SECONDARY_STATE;
  if (count > resources.pools[type].perSecondary) return sc.SC_RESOURCE_COUNT;
  if (count - secondary.resources[type] > resources.free(type)) return sc.SC_RESOURCE_ID;
  resources.assign(secondary, type, count);
  slot.dw0 = count;
  return sc.SC_SUCCESS;
}

function setOnline({ virtualFunctions }: ControllerState, _slot: CommandSlot, secondary: SecondaryController): number {
  if (!secondary.isProvided || virtualFunctions?.has(secondary) !== true) return sc.SC_SECONDARY_STATE;
  virtualFunctions.setOnline(secondary);
  return sc.SC_SUCCESS;
}

function setOffline({ virtualFunctions }: ControllerState, _slot: CommandSlot, secondary: SecondaryController): number {
  virtualFunctions?.setOffline(secondary);
  return sc.SC_SUCCESS;
}
