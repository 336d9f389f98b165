/**
 * RAM, the controllers' staging memory and the media of small namespaces in one ArrayBuffer: a copy between them is
 * then one move within it.
 */
import type { NamespaceDescription } from '@nvme-stack/nvme-controller';
import { MemoryBlockStore, SparseBlockStore } from '@nvme-stack/nvme-controller';
import { type BlockStore, NVME_CONTROLLER_SCRATCH_BYTES, type ScratchMemory } from '@nvme-stack/nvme-controller/ports';
import { type ArenaMove, allocateArena } from './arena-memory.js';
import type { MachineParts } from './ports.js';

/** Media above this, taken together, are sparse and stand apart. */
const ARENA_MEDIA_BYTES = 1 << 28;

/** The arena: RAM first, media behind it. */
export interface Arena {
  readonly bytes: Uint8Array;
  readonly ramBytes: number;
  /** Moves bytes within the arena; null: `bytes.copyWithin` does. */
  readonly move: ArenaMove | null;
  /** The medium of a namespace of a controller. */
  store(controller: number, nsid: number): BlockStore | undefined;
  /** Staging memory of a controller. */
  scratch(controller: number): ScratchMemory;
}

/** A controller's namespaces with the image paths their description named. */
export interface NamespacePlan {
  readonly namespaces: readonly (NamespaceDescription & { readonly nsid: number })[];
  readonly files: readonly (string | null)[];
}

/** Lays out RAM and media. */
export function createArena(ramBytes: number, plans: readonly NamespacePlan[], parts: MachineParts): Arena {
  const stores = new Map<string, BlockStore>();
  const inArena: { key: string; sizeBytes: number; readOnly: boolean }[] = [];
  let mediaBytes = 0;
  plans.forEach((plan, controller) => {
    plan.namespaces.forEach((namespace, index) => {
      const key = `${controller}/${namespace.nsid}`;
      const { sizeBytes, readOnly = false } = namespace;
      const file = plan.files[index] ?? null;
      const own = parts.blockStore?.({ controller, nsid: namespace.nsid, sizeBytes, readOnly, file }) ?? null;
      if (own === null && file !== null) {
        throw new RangeError(`namespace file ${JSON.stringify(file)} needs the entry point @nvme-stack/machine/node`);
      }
      if (own !== null) {
        stores.set(key, own);
      } else if (mediaBytes + sizeBytes <= ARENA_MEDIA_BYTES) {
        inArena.push({ key, sizeBytes, readOnly });
        mediaBytes += sizeBytes;
      } else {
        stores.set(key, new SparseBlockStore(sizeBytes, readOnly));
      }
    });
  });
  const scratchBytes = plans.length * NVME_CONTROLLER_SCRATCH_BYTES;
  const { bytes, move } = allocateArena(ramBytes + scratchBytes + mediaBytes);
  let offset = ramBytes + scratchBytes;
  for (const { key, sizeBytes, readOnly } of inArena) {
    stores.set(key, new MemoryBlockStore(bytes, offset, sizeBytes, readOnly));
    offset += sizeBytes;
  }
  return {
    bytes,
    ramBytes,
    move,
    store: (controller, nsid) => stores.get(`${controller}/${nsid}`),
    scratch: (controller) => ({
      bytes,
      offset: ramBytes + controller * NVME_CONTROLLER_SCRATCH_BYTES,
      length: NVME_CONTROLLER_SCRATCH_BYTES,
    }),
  };
}
