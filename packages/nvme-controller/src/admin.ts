// The admin command set's way in: one function per opcode.
// Kernel counterpart: the other end of drivers/nvme/host/core.c's admin commands. Spec: [NVMe] 2.0 §5.
import * as nvme from '@nvme-stack/nvme-protocol';
import { abort } from './abort.js';
import { hasAdminOpcode } from './admin-opcodes.js';
import { asyncEventRequest } from './async-events.js';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { doorbellBufferConfig } from './dbbuf-config.js';
import { directiveReceive, directiveSend } from './directives.js';
import { formatNvm } from './format.js';
import { getFeatures } from './get-features.js';
import { identify } from './identify.js';
import { getLogPage } from './log-pages.js';
import { isNsidValid } from './namespace.js';
import {
  createCompletionQueue,
  createSubmissionQueue,
  deleteCompletionQueue,
  deleteSubmissionQueue,
} from './queue-commands.js';
import { setFeatures } from './set-features.js';
import { virtualizationManagement } from './sriov/virtualization-management.js';
import * as sc from './status.js';
import type { Streams } from './streams.js';

/** Executes an admin command; returns its status or PENDING. */
export function adminCommand(controller: ControllerState, slot: CommandSlot): number {
  const { opcode } = slot;
  if (!hasAdminOpcode(controller, opcode)) return sc.SC_INVALID_OPCODE;
  if (slot.flags >> 6 !== 0) return sc.SC_INVALID_FIELD;
  if ((slot.flags & 3) !== 0) return sc.SC_INVALID_FIELD_RETRY;
  switch (opcode) {
    case nvme.NvmeAdminOpcode.deleteSq:
      return deleteSubmissionQueue(controller, slot);
    case nvme.NvmeAdminOpcode.createSq:
      return createSubmissionQueue(controller, slot);
    case nvme.NvmeAdminOpcode.getLogPage:
      return getLogPage(controller, slot);
    case nvme.NvmeAdminOpcode.deleteCq:
      return deleteCompletionQueue(controller, slot);
    case nvme.NvmeAdminOpcode.createCq:
      return createCompletionQueue(controller, slot);
    case nvme.NvmeAdminOpcode.identify:
      return identify(controller, slot);
    case nvme.NvmeAdminOpcode.abortCmd:
      return abort(controller, slot);
    case nvme.NvmeAdminOpcode.setFeatures:
      return setFeatures(controller, slot);
    case nvme.NvmeAdminOpcode.getFeatures:
      return getFeatures(controller, slot);
    case nvme.NvmeAdminOpcode.asyncEvent:
      return asyncEventRequest(controller, slot);
    case nvme.NvmeAdminOpcode.dbbuf:
      return doorbellBufferConfig(controller, slot);
    case nvme.NvmeAdminOpcode.formatNvm:
      return formatNvm(controller, slot);
    case nvme.NvmeAdminOpcode.directiveSend:
      return directiveSend(controller, slot, controller.streams as Streams);
    case nvme.NvmeAdminOpcode.directiveRecv:
      return directiveReceive(controller, slot, controller.streams as Streams);
    case nvme.NvmeAdminOpcode.nsAttach:
      // Without a subsystem there is no other namespace to attach and no other controller to attach one to.
      return isNsidValid(controller, slot.nsid) ? sc.SC_INVALID_FIELD : sc.SC_INVALID_NS;
    default:
      return virtualizationManagement(controller, slot);
  }
}
