// Abort: ends a command that waits for its time or for an event; what a store works on is past aborting.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_timeout. Spec: [NVMe] 2.0 §5.1.
import { type CommandSlot, SLOT_ACTIVE, SLOT_PARKED } from './command-slot.js';
import { completeCommand } from './completion.js';
import type { ControllerState } from './controller-state.js';
import { endTimed } from './queue-commands.js';
import { SC_ABORT_REQ, SC_INVALID_FIELD, SC_SUCCESS } from './status.js';

/** Abort. Dword 0 of the completion is 0 if the command was aborted, else 1; aborts complete at once, so ACL holds. */
export function abort(controller: ControllerState, slot: CommandSlot): number {
  const sqid = slot.cdw10 & 0xffff;
  const cid = slot.cdw10 >>> 16;
  slot.dw0 = 1;
  if (!controller.submissionQueues[sqid]) return SC_INVALID_FIELD;
  for (const other of controller.slots) {
    if (other === slot || other.sqid !== sqid || other.cid !== cid) continue;
    if (other.state === SLOT_PARKED) {
      controller.parkedRequests.splice(controller.parkedRequests.indexOf(other), 1);
      completeCommand(controller, other, SC_ABORT_REQ);
    } else if (other.state === SLOT_ACTIVE) {
      endTimed(controller, other, SC_ABORT_REQ);
    } else {
      continue;
    }
    slot.dw0 = 0;
    break;
  }
  return SC_SUCCESS;
}
