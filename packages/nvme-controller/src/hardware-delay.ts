// What a command waits for because of the controller's own state: power, and the map of the medium.
// Kernel counterpart: none. Spec: [NVMe] 2.0 §8.15 (power management), §8.9 (host memory buffer).
import { NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import type { CommandSlot } from './command-slot.js';
import type { ControllerState } from './controller-state.js';

/** Virtual nanoseconds before a fetched command is executed; admin commands are served in every power state. */
export function hardwareDelayNs(controller: ControllerState, slot: CommandSlot): number {
  if (slot.sqid === 0) return 0;
  const { hmb, power, host, namespaces } = controller;
  const delayNs = power.wake(host?.nowNs() ?? 0);
  const isWrite = slot.opcode === NvmeNvmOpcode.write;
  if (hmb === null || (!isWrite && slot.opcode !== NvmeNvmOpcode.read)) return delayNs;
  const namespace = slot.nsid < namespaces.length ? namespaces[slot.nsid] : null;
  if (!namespace) return delayNs;
  const slba = slot.cdw11 * 0x100000000 + slot.cdw10;
  if (slba >= namespace.blocks) return delayNs;
  return delayNs + hmb.delayNs(controller, slot.nsid, slba * namespace.blockSize, isWrite);
}
