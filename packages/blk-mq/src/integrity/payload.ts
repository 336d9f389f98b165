/**
 * Payloads: the metadata that a bio carries, its buffer, and the work that checks it after a read.
 * Kernel counterpart: include/linux/bio-integrity.h bio_integrity_payload, block/bio-integrity.c bio_integrity_alloc.
 */
import { NO_PAGE, PAGE_SIZE } from '@nvme-stack/kernel';
import {
  type WorkqueueStruct,
  type WorkStruct,
  WQ_CPU_INTENSIVE,
  WQ_HIGHPRI,
  WQ_MEM_RECLAIM,
} from '@nvme-stack/workqueue/ports';
import type { BioImpl } from '../bio.js';
import type { Blk } from '../blk.js';
import type { BioIntegrityPayload, BlkIntegrity } from '../ports.js';
import { IntervalCursor } from './t10-pi.js';
import { ExtTuple, T10Tuple } from './tuple.js';

/** The block layer made it, checks it and frees it. @kernel include/linux/bio-integrity.h BIP_BLOCK_INTEGRITY */
export const BIP_BLOCK_INTEGRITY = 1 << 0;
/** A piece of another payload. */
export const BIP_PART = 1 << 16;
/** The owner of the buffers in memory accounts. */
const OWNER = 'bio_integrity';

/** @kernel include/linux/bio-integrity.h bio_integrity_payload */
export class IntegrityPayload implements BioIntegrityPayload {
  addr = -0;
  lengthBytes = -0;
  seed = -0;
  /** BIP_*. */
  flags = 0;
  /** The disk's profile when it was made: a disk may be given another while this is checked. */
  profile: BlkIntegrity;
  /** The bio that is checked. */
  bio: BioImpl | null = null;
  next: IntegrityPayload | null = null;
  /** Made when it is first checked. */
  work: WorkStruct | null = null;

  constructor(profile: BlkIntegrity) {
    this.profile = profile;
  }
}

/** What belongs to one block layer: free payloads, the workqueue, and what makes and walks tuples. */
export class IntegrityState {
  readonly t10Tuple = new T10Tuple();
  readonly extTuple = new ExtTuple();
  readonly cursor = new IntervalCursor();
  private free: IntegrityPayload | null = null;
  private kintegrityd: WorkqueueStruct | null = null;

  /** A payload without a buffer; it may be an old one. */
  take(profile: BlkIntegrity): IntegrityPayload {
    const payload = this.free ?? new IntegrityPayload(profile);
    this.free = payload.next;
    payload.next = null;
    payload.profile = profile;
    payload.flags = 0;
    return payload;
  }

  give(payload: IntegrityPayload): void {
    payload.bio = null;
    payload.next = this.free;
    this.free = payload;
  }

  /** Made at boot, or with the first disk that has integrity. Task context. @kernel block/bio-integrity.c bio_integrity_init */
  initWorkqueue({ workqueues }: Blk): void {
    this.kintegrityd ??= workqueues.allocWorkqueue('kintegrityd', WQ_MEM_RECLAIM | WQ_HIGHPRI | WQ_CPU_INTENSIVE, 1);
  }

  /** Has `payload` checked by a worker. Any context. */
  queue({ workqueues }: Blk, payload: IntegrityPayload): void {
    workqueues.queueWork(this.kintegrityd as WorkqueueStruct, payload.work as WorkStruct);
  }

  /** Waits until everything queued is checked. Task context. @kernel block/bio-integrity.c blk_flush_integrity */
  async flush({ workqueues }: Blk): Promise<void> {
    if (this.kintegrityd !== null) await workqueues.flushWorkqueue(this.kintegrityd);
  }
}

/** Pages of a buffer. */
function pagesOf(lengthBytes: number): number {
  return Math.floor((lengthBytes + PAGE_SIZE - 1) / PAGE_SIZE);
}

/** Gives `bio` a zeroed payload for all its intervals; false when memory is short. Any context. @kernel block/bio-integrity.c bio_integrity_alloc */
export function bioIntegrityAlloc(blk: Blk, bio: BioImpl, profile: BlkIntegrity): boolean {
  const lengthBytes = (bio.sizeBytes / 2 ** profile.intervalExp) * profile.tupleSizeBytes;
  const addr = blk.kernel.memory.allocPages(pagesOf(lengthBytes), OWNER);
  if (addr === NO_PAGE) return false;
  const payload = blk.integrity.take(profile);
  payload.flags = BIP_BLOCK_INTEGRITY;
  payload.addr = addr;
  payload.lengthBytes = lengthBytes;
  payload.seed = bio.sector;
  payload.bio = bio;
  bio.integrity = payload;
  return true;
}

/** Takes the block layer's payload away from a bio. Any context. @kernel block/bio-integrity.c bio_integrity_free */
export function bioIntegrityFree(blk: Blk, bio: BioImpl): void {
  const payload = bio.integrity;
  if (payload === null) return;
  if ((payload.flags & BIP_BLOCK_INTEGRITY) !== 0)
    blk.kernel.memory.freePages(payload.addr, pagesOf(payload.lengthBytes));
  bio.integrity = null;
  blk.integrity.give(payload);
}

/**
 * Gives a part of a bio the part of its metadata that starts `offsetBytes` of data into it. Any context.
 * @kernel block/bio-integrity.c bio_integrity_clone, bio_integrity_advance, bio_integrity_trim
 */
export function bioIntegrityPart(blk: Blk, part: BioImpl, from: IntegrityPayload, offsetBytes: number): void {
  const { profile } = from;
  const intervals = offsetBytes / 2 ** profile.intervalExp;
  const payload = blk.integrity.take(profile);
  payload.flags = BIP_PART;
  payload.addr = from.addr + intervals * profile.tupleSizeBytes;
  payload.lengthBytes = (part.sizeBytes / 2 ** profile.intervalExp) * profile.tupleSizeBytes;
  payload.seed = from.seed + intervals;
  part.integrity = payload;
}
