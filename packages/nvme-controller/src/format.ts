// Format NVM: another block size, metadata and protection information, and an empty medium, whatever erase is asked for.
// Kernel counterpart: none in the driver (passthrough). Spec: [NVMe] 2.0 §5.14, [NVM] 1.0 §5.1 (LBA format, protection).
import * as nvme from '@nvme-stack/nvme-protocol';
import { namespaceChanged } from './async-events.js';
import { type CommandSlot, MOVE_NOTHING, SLOT_IN_STORE } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { LBA_FORMATS, PROTECTION_BYTES } from './lba-formats.js';
import { isNsidValid, type Namespace } from './namespace.js';
import * as sc from './status.js';

/** Byte of Host Behavior Support that makes the upper bits of the format index count. */
const LBAFEE = 2;

/** Format NVM of one namespace or of all. Every erase setting empties the medium: none promises to keep anything. */
export function formatNvm(controller: ControllerState, slot: CommandSlot): number {
  const { nsid, cdw10 } = slot;
  if (!isNsidValid(controller, nsid)) return sc.SC_INVALID_NS;
  const upper = (controller.features.hostBehavior[LBAFEE] as number) === 0 ? 0 : (cdw10 >>> 12) & 3;
  const index = (cdw10 & 0xf) | (upper << 4);
  const isExtended = (cdw10 & (1 << 4)) !== 0;
  const protection = (cdw10 >>> 5) & 7;
  const isFirst = (cdw10 & (1 << 8)) !== 0;
  const format = LBA_FORMATS[index];
  const targets = controller.namespaces.filter(
    (namespace): namespace is Namespace =>
      namespace?.isActive === true && (nsid === nvme.NVME_NSID_ALL || namespace.nsid === nsid),
  );
  if (targets.length === 0) return sc.SC_INVALID_FIELD;
  if (format === undefined) return sc.SC_INVALID_FORMAT;
  if (protection !== 0 && format.metadataBytes < PROTECTION_BYTES) return sc.SC_INVALID_FORMAT;
  if (protection > nvme.NVME_NS_DPS_PI_TYPE3) return sc.SC_INVALID_FIELD;
  if (targets.some((namespace) => namespace.readOnly)) return sc.SC_NS_WRITE_PROTECTED;
  if (targets.some(({ sizeBytes }) => sizeBytes < (1 << format.dataShift) + format.metadataBytes))
    return sc.SC_INVALID_FORMAT;
  if (targets.some((namespace) => namespace.isFormatting)) return sc.SC_FORMAT_IN_PROGRESS;
  const flbas = index | (isExtended ? nvme.NVME_NS_FLBAS_META_EXT : 0);
  const dps = protection | (isFirst ? nvme.NVME_NS_DPS_PI_FIRST : 0);
  slot.state = SLOT_IN_STORE;
  slot.move = MOVE_NOTHING;
  slot.steps = targets.length;
  for (const namespace of targets) {
    namespace.setFormatting(true);
    const end = namespace.metadataOffset + namespace.blocks * namespace.metadataBytes;
    namespace.store.discard(0, Math.max(namespace.sizeBytes, end), {
      piece: () => 0,
      done: (status) => formatted(controller, slot, namespace, status, flbas, dps),
    });
  }
  return sc.PENDING;
}

function formatted(
  controller: ControllerState,
  slot: CommandSlot,
  namespace: Namespace,
  status: number,
  flbas: number,
  dps: number,
): void {
  slot.steps--;
  namespace.setFormatting(false);
  if (status !== 0) slot.status = sc.SC_WRITE_FAULT;
  else {
    const hasChanged = namespace.flbas !== flbas || namespace.dps !== dps;
    namespace.format(flbas, dps);
    if (hasChanged) namespaceChanged(controller, namespace.nsid);
  }
  if (slot.steps === 0) slot.done(0);
}
