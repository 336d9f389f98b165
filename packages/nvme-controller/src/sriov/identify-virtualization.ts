// What Identify says of virtualization, and of the other controllers of the subsystem.
// Kernel counterpart: none; Linux leaves it to passthrough. Spec: [NVMe] 2.0 §5.17.2.11-14.
import * as nvme from '@nvme-stack/nvme-protocol';
import type { ControllerState } from '../controller-state.js';
import * as sc from '../status.js';
import { VI, VQ } from './resources.js';

/** Primary Controller Capabilities, CNS 14h. */
export function primaryControllerCapabilities({ controllerId, resources, isSecondary }: ControllerState): Uint8Array {
  const vq = resources.pools[VQ];
  const vi = resources.pools[VI];
  // A secondary controller has nothing that could come in pieces.
  const granularity = isSecondary ? 0 : 1;
  return nvme.NvmePrimaryCtrlCap.encode({
    cntlid: controllerId,
    crt: nvme.NVME_CTRL_CRT_VQ | nvme.NVME_CTRL_CRT_VI,
    vqfrt: vq.flexible,
    vqrfa: vq.assigned,
    vqrfap: vq.primary,
    vqprt: vq.own,
    vqfrsm: vq.perSecondary,
    vqgran: granularity,
    vifrt: vi.flexible,
    virfa: vi.assigned,
    virfap: vi.primary,
    viprt: vi.own,
    vifrsm: vi.perSecondary,
    vigran: granularity,
  });
}

/** Secondary Controller List, CNS 15h: those from an identifier on. */
export function secondaryControllerList({ controllerId, resources }: ControllerState, first: number): Uint8Array {
  const list = resources.secondaries.filter((secondary) => secondary.controllerId >= first);
  return nvme.NvmeSecondaryCtrlList.encode({
    num: list.length,
    sc_entry: list.map((secondary) => ({
      scid: secondary.controllerId,
      pcid: controllerId,
      scs: secondary.online ? 1 : 0,
      vfn: secondary.vfNumber,
      nvq: secondary.resources[VQ],
      nvi: secondary.resources[VI],
    })),
  });
}

/** Controllers of the subsystem from an identifier on, CNS 13h; with a namespace identifier those it is attached to, CNS 12h. */
export function controllerList(controller: ControllerState, first: number, nsid: number | null): Uint8Array | number {
  if (!controller.isShared) return sc.SC_INVALID_FIELD;
  const namespace = nsid === null ? null : (controller.namespaces[nsid] ?? undefined);
  if (namespace === undefined) return sc.SC_INVALID_FIELD;
  const ids = controller.subsystem.map(({ controllerId }) => controllerId).filter((id) => id >= first);
  const cntlid = namespace === null || namespace.isActive ? ids.sort((a, b) => a - b) : [];
  return nvme.NvmeCtrlList.encode({ num: cntlid.length, cntlid });
}
