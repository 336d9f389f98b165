// A secondary controller goes online and offline. Offline it is its function alone: CSTS says that the controller has
// failed, no other register answers, writes have no effect.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 §8.26.3.
import { NVME_CSTS_CFS } from '@nvme-stack/nvme-protocol';
import type { ControllerState } from '../controller-state.js';
import { resetQueues } from '../reset.js';
import { type SecondaryController, VI, VQ } from './resources.js';

/** Makes the controller what its primary says it is; what it was doing is lost. */
export function followPrimary(controller: ControllerState, secondary: SecondaryController): void {
  resetQueues(controller);
  controller.isOffline = !secondary.online;
  controller.registers.cc = 0;
  controller.registers.csts = secondary.online ? 0 : NVME_CSTS_CFS;
  controller.allotment.change(controller.endpoint, secondary.resources[VQ], secondary.resources[VI]);
  controller.resources.pools[VQ].own = secondary.resources[VQ];
  controller.resources.pools[VI].own = secondary.resources[VI];
}
