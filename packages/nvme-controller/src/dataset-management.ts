// Dataset Management: the deallocate attribute frees ranges; other attributes are hints and change nothing.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_setup_discard. Spec: [NVM] 1.0 §3.2.3.
import { NVME_DSMGMT_AD, NvmeDsmRange } from '@nvme-stack/nvme-protocol';
import { type CommandSlot, MOVE_NOTHING, SLOT_ACTIVE, SLOT_IN_STORE } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { fetchData } from './data.js';
import type { Namespace } from './namespace.js';
import { isInRange } from './nvm.js';
import { PENDING, SC_FORMAT_IN_PROGRESS, SC_NS_WRITE_PROTECTED, SC_SUCCESS } from './status.js';

/** Dataset Management. Ranges beyond the namespace are skipped. */
export function datasetManagement(controller: ControllerState, slot: CommandSlot, namespace: Namespace): number {
  const count = (slot.cdw10 & 0xff) + 1;
  const length = count * NvmeDsmRange.sizeBytes;
  const buffer = slot.needBuffer(length);
  const status = fetchData(controller, slot, buffer, 0, length);
  if (status !== SC_SUCCESS) return status;
  if ((slot.cdw11 & NVME_DSMGMT_AD) === 0) return SC_SUCCESS;
  if (namespace.readOnly) return SC_NS_WRITE_PROTECTED;
  slot.formats = namespace.formats;
  slot.bufferAt = 0;
  slot.step = 0;
  slot.steps = count;
  return continueDatasetManagement(slot);
}

/** Discards the next range, or the metadata of the last; returns PENDING, or success when no range is left. */
export function continueDatasetManagement(slot: CommandSlot): number {
  const namespace = slot.namespace as Namespace;
  if (slot.formats !== namespace.formats) return SC_FORMAT_IN_PROGRESS;
  const range = NvmeDsmRange.cursor(slot.buffer as Uint8Array);
  slot.move = MOVE_NOTHING;
  if (slot.bufferAt !== 0) {
    const { metadataBytes, metadataOffset, store } = namespace;
    const { slba, nlb } = range.at(slot.bufferAt - NvmeDsmRange.sizeBytes);
    slot.bufferAt = 0;
    slot.state = SLOT_IN_STORE;
    store.writeZeroes(metadataOffset + slba * metadataBytes, nlb * metadataBytes, slot);
    return PENDING;
  }
  while (slot.step < slot.steps) {
    range.at(slot.step++ * NvmeDsmRange.sizeBytes);
    const { slba, nlb } = range;
    if (nlb === 0 || !isInRange(namespace, slba, nlb)) continue;
    // The end of a range whose metadata are next.
    slot.bufferAt = namespace.metadataBytes === 0 ? 0 : slot.step * NvmeDsmRange.sizeBytes;
    slot.state = SLOT_IN_STORE;
    namespace.store.discard(slba * namespace.blockSize, nlb * namespace.blockSize, slot);
    return PENDING;
  }
  slot.state = SLOT_ACTIVE;
  return SC_SUCCESS;
}
