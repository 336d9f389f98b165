/**
 * RAM, the controllers' staging memory and the media of small namespaces in one ArrayBuffer: a copy between them is
 * then one move within it.
 */
import type { NamespaceDescription } from '@nvme-stack/nvme-controller';
import { MemoryBlockStore, SparseBlockStore } from '@nvme-stack/nvme-controller';
import { type BlockStore, NVME_CONTROLLER_SCRATCH_BYTES, type ScratchMemory } from '@nvme-stack/nvme-controller/ports';
import { type ArenaMove, allocateArena } from './arena-memory.js';
import { HeldStore, type TimeHolder } from './held-store.js';
import type { MachineParts, StoreRequest } from './ports.js';

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

/** Lays out RAM and media; `holder` makes time stand still for media of the user's own. */
export function createArena(
  ramBytes: number,
  plans: readonly NamespacePlan[],
  parts: MachineParts,
  holder: () => TimeHolder,
): Arena {
  const stores = new Map<string, BlockStore>();
  const inArena: { key: string; sizeBytes: number; readOnly: boolean }[] = [];
  let mediaBytes = 0;
  plans.forEach((plan, controller) => {
    plan.namespaces.forEach((namespace, index) => {
      const key = `${controller}/${namespace.nsid}`;
      const { sizeBytes, readOnly = false } = namespace;
      const file = plan.files[index] ?? null;
      const own = ownStore({ controller, nsid: namespace.nsid, sizeBytes, readOnly, file }, parts, holder);
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

/** Media of a controller that comes later: the user's own; undefined: the controller has memory of its own. */
export function laterMedia(
  controller: number,
  plan: NamespacePlan,
  parts: MachineParts,
  holder: () => TimeHolder,
): Pick<Arena, 'store'> {
  const stores = plan.namespaces.map(({ nsid, sizeBytes, readOnly = false }, index) =>
    ownStore({ controller, nsid, sizeBytes, readOnly, file: plan.files[index] ?? null }, parts, holder),
  );
  return { store: (_, nsid) => stores[plan.namespaces.findIndex((one) => one.nsid === nsid)] ?? undefined };
}

/** The medium of the user's own, or null. Throws a RangeError for an image that nobody opens. */
function ownStore(request: StoreRequest, parts: MachineParts, holder: () => TimeHolder): BlockStore | null {
  const own = parts.blockStore?.(request) ?? null;
  if (own !== null) return new HeldStore(own, holder);
  if (request.file === null) return null;
  throw new RangeError(`namespace file ${JSON.stringify(request.file)} needs the entry point @nvme-stack/machine/node`);
}
