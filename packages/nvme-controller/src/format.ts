// Format NVM: another block size and an empty medium; formats with metadata are refused.
// Kernel counterpart: none in the driver (passthrough). Spec: [NVMe] 2.0 §5.14.
import * as nvme from '@nvme-stack/nvme-protocol';
import { namespaceChanged } from './async-events.js';
import { type CommandSlot, MOVE_NOTHING, SLOT_IN_STORE } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { isNsidValid, type Namespace } from './namespace.js';
import * as sc from './status.js';

/** Block sizes of LBA formats 0..7: data bytes and metadata bytes. */
export const LBA_FORMATS: readonly { readonly dataShift: number; readonly metadataBytes: number }[] = [
  { dataShift: 9, metadataBytes: 0 },
  { dataShift: 9, metadataBytes: 8 },
  { dataShift: 9, metadataBytes: 16 },
  { dataShift: 9, metadataBytes: 64 },
  { dataShift: 12, metadataBytes: 0 },
  { dataShift: 12, metadataBytes: 8 },
  { dataShift: 12, metadataBytes: 16 },
  { dataShift: 12, metadataBytes: 64 },
];

/** Format NVM of one namespace or of all. */
export function formatNvm(controller: ControllerState, slot: CommandSlot): number {
  const { nsid } = slot;
  if (!isNsidValid(controller, nsid)) return sc.SC_INVALID_NS;
  const index = slot.cdw10 & 0xf;
  const protection = (slot.cdw10 >>> 5) & 7;
  const format = LBA_FORMATS[index];
  const targets = controller.namespaces.filter(
    (namespace): namespace is Namespace =>
      namespace?.isActive === true && (nsid === nvme.NVME_NSID_ALL || namespace.nsid === nsid),
  );
  if (targets.length === 0) return sc.SC_INVALID_FIELD;
  if (format === undefined || format.metadataBytes !== 0 || protection !== 0) return sc.SC_INVALID_FORMAT;
  if (targets.some((namespace) => namespace.readOnly)) return sc.SC_NS_WRITE_PROTECTED;
  if (targets.some((namespace) => namespace.sizeBytes % (1 << format.dataShift) !== 0)) return sc.SC_INVALID_FORMAT;
  slot.state = SLOT_IN_STORE;
  slot.move = MOVE_NOTHING;
  slot.steps = targets.length;
  for (const namespace of targets) {
    namespace.store.discard(0, namespace.sizeBytes, {
      piece: () => 0,
      done: (status) => formatted(controller, slot, namespace, status, index),
    });
  }
  return sc.PENDING;
}

function formatted(
  controller: ControllerState,
  slot: CommandSlot,
  namespace: Namespace,
  status: number,
  index: number,
): void {
  slot.steps--;
  const blockSize = 1 << (LBA_FORMATS[index]?.dataShift ?? 9);
  if (status !== 0) slot.status = sc.SC_WRITE_FAULT;
  else if (namespace.blockSize !== blockSize) {
    namespace.reshape(namespace.sizeBytes, blockSize, index);
    namespaceChanged(controller, namespace.nsid);
  }
  if (slot.steps === 0) slot.done(0);
}
