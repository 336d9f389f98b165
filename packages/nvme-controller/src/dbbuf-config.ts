// Doorbell Buffer Config: from here on doorbells have shadows in host memory, the admin queue's included.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_dbbuf_set. Spec: [NVMe] 2.0 §5.8.
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { bindShadow } from './shadow-doorbells.js';
import { SC_INVALID_FIELD, SC_SUCCESS } from './status.js';
import * as trace from './trace-events.js';

/** Doorbell Buffer Config; both buffers must be page aligned. */
export function doorbellBufferConfig(controller: ControllerState, slot: CommandSlot): number {
  const pageMask = controller.pageBytes - 1;
  const shadow = slot.prp1Hi * 0x100000000 + slot.prp1Lo;
  const eventIdx = slot.prp2Hi * 0x100000000 + slot.prp2Lo;
  if (controller.tracing) controller.host?.trace(trace.TRACE_DBBUF_CONFIG, shadow, eventIdx, 0, 0);
  if ((slot.prp1Lo & pageMask) !== 0 || (slot.prp2Lo & pageMask) !== 0) return SC_INVALID_FIELD;
  controller.shadowBase = shadow;
  controller.eventIdxBase = eventIdx;
  controller.shadowDoorbells = true;
  for (const sq of controller.submissionQueues) if (sq !== null) bindShadow(controller, sq);
  for (const cq of controller.completionQueues) if (cq !== null) bindShadow(controller, cq);
  return SC_SUCCESS;
}
