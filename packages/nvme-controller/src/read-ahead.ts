// Tells stores which reads of a batch follow, before the first of them begins: a memory store then waits for all of them at
// once where it would wait for each. Kernel counterpart: none (the hardware's own look-ahead).
import { NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import type { ControllerState } from './controller-state.js';
import type { Namespace } from './namespace.js';

/** The staged entries [from, count), as far as they are reads of namespaces whose stores want to know. */
export function readAhead(controller: ControllerState, from: number, count: number): void {
  const { namespaces } = controller;
  const { sqes } = controller.stage;
  for (let i = from; i < count; i++) {
    const at = i * 16;
    const nsid = sqes[at + 1] as number;
    if (((sqes[at] as number) & 0xff) !== NvmeNvmOpcode.read || nsid >= namespaces.length) return;
    const namespace = namespaces[nsid] as Namespace | null;
    if (namespace === null || namespace.store.willRead === undefined) return;
    const slba = (sqes[at + 11] as number) * 0x100000000 + (sqes[at + 10] as number);
    const blocks = ((sqes[at + 12] as number) & 0xffff) + 1;
    if (slba + blocks > namespace.plainBlocks) return;
    namespace.store.willRead(slba * namespace.blockSize, blocks * namespace.blockSize);
  }
}
