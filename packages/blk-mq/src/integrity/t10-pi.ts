/**
 * Making and checking the protection information of a bio, and remapping the reference tags of a request.
 * Kernel counterpart: block/t10-pi.c. [NVM] 5.2.1.
 *
 * What the submitter numbers from the bio's sector on (its seed), the device numbers by its blocks: `blkIntegrityPrepare`
 * goes from the first to the second, `blkIntegrityComplete` back. The guard covers the interval's data and, where the
 * information does not come first, the metadata before it. An interval may lie in several pieces of memory (Linux wants
 * it in one, and relies on who submits).
 */
import type { BioImpl } from '../bio.js';
import type { Blk } from '../blk.js';
import {
  BLK_INTEGRITY_CSUM_CRC64,
  BLK_INTEGRITY_CSUM_NONE,
  BLK_INTEGRITY_REF_TAG,
  BLK_STS_OK,
  BLK_STS_PROTECTION,
  type BlkIntegrity,
  type BlkStatus,
  SECTOR_SHIFT,
} from '../ports.js';
import type { RequestImpl } from '../request.js';
import type { IntegrityPayload } from './payload.js';
import type { TupleFormat } from './tuple.js';

/** A payload whose reference tags the device's blocks have given. @kernel include/linux/bio-integrity.h BIP_MAPPED_INTEGRITY */
export const BIP_MAPPED_INTEGRITY = 1 << 1;

function formatOf(blk: Blk, profile: BlkIntegrity): TupleFormat {
  return profile.csumType === BLK_INTEGRITY_CSUM_CRC64 ? blk.integrity.extTuple : blk.integrity.t10Tuple;
}

function hasRefTag({ flags }: BlkIntegrity): boolean {
  return (flags & BLK_INTEGRITY_REF_TAG) !== 0;
}

/** Goes over the intervals of a bio, and over the tuples of its payload. */
export class IntervalCursor {
  private vec = 0;
  private offset = 0;
  private metadata = 0;

  begin(payload: IntegrityPayload): void {
    this.vec = 0;
    this.offset = 0;
    this.metadata = payload.addr;
  }

  /** Makes the guard of the next interval; where its tuple is, or -1 after the last. */
  next(bytes: Uint8Array, bio: BioImpl, payload: IntegrityPayload, format: TupleFormat): number {
    const { profile, addr, lengthBytes } = payload;
    const { metadata } = this;
    if (metadata >= addr + lengthBytes) return -1;
    format.begin();
    this.feed(bytes, bio, format, 2 ** profile.intervalExp);
    format.update(bytes, metadata, profile.piOffsetBytes);
    this.metadata = metadata + profile.tupleSizeBytes;
    return metadata + profile.piOffsetBytes;
  }

  /** Feeds the next `length` bytes of the bio to a guard. */
  private feed(bytes: Uint8Array, bio: BioImpl, format: TupleFormat, length: number): void {
    let left = length;
    while (left > 0) {
      const here = bio.vecLengthBytes[this.vec] - this.offset;
      const take = Math.min(left, here);
      format.update(bytes, bio.vecAddr[this.vec] + this.offset, take);
      left -= take;
      if (take === here) {
        this.vec++;
        this.offset = 0;
      } else this.offset += take;
    }
  }
}

/** Writes the tuples of a bio that writes. Any context. @kernel block/t10-pi.c blk_integrity_generate */
export function blkIntegrityGenerate(blk: Blk, bio: BioImpl, payload: IntegrityPayload): void {
  const { profile } = payload;
  if (profile.csumType === BLK_INTEGRITY_CSUM_NONE) return;
  const { bytes } = blk.kernel.memory;
  const { cursor } = blk.integrity;
  const format = formatOf(blk, profile);
  const hasRef = hasRefTag(profile);
  let { seed } = payload;
  cursor.begin(payload);
  for (let at = cursor.next(bytes, bio, payload, format); at >= 0; at = cursor.next(bytes, bio, payload, format)) {
    format.writeGuard(bytes, at);
    format.writeRef(bytes, at, hasRef ? seed % format.refModulus : 0);
    seed++;
  }
}

/** Checks the tuples of a bio that has read; the first that is wrong is logged. Any context. @kernel block/t10-pi.c blk_integrity_verify */
export function blkIntegrityVerify(blk: Blk, bio: BioImpl, payload: IntegrityPayload): BlkStatus {
  const { profile } = payload;
  if (profile.csumType === BLK_INTEGRITY_CSUM_NONE) return BLK_STS_OK;
  const { bytes } = blk.kernel.memory;
  const { cursor } = blk.integrity;
  const format = formatOf(blk, profile);
  const hasRef = hasRefTag(profile);
  let { seed } = payload;
  cursor.begin(payload);
  for (let at = cursor.next(bytes, bio, payload, format); at >= 0; at = cursor.next(bytes, bio, payload, format)) {
    const wrong = format.isEscaped(bytes, at, hasRef) ? null : mismatch(format, bytes, at, seed, hasRef);
    if (wrong !== null) return logError(blk, bio, wrong);
    seed++;
  }
  return BLK_STS_OK;
}

/** What the log says of a tuple that is not as it should be; null: it is. */
function mismatch(format: TupleFormat, bytes: Uint8Array, at: number, seed: number, hasRef: boolean): string | null {
  const ref = format.readRef(bytes, at);
  if (hasRef && ref !== seed % format.refModulus) return `ref tag error at location ${seed} (rcvd ${ref})`;
  if (format.guardMatches(bytes, at)) return null;
  const [received, wanted] = format.guardText(bytes, at);
  return `guard tag error at sector ${seed} (rcvd ${received}, want ${wanted})`;
}

function logError(blk: Blk, bio: BioImpl, what: string): BlkStatus {
  blk.kernel.printk.print('err', `${bio.disk?.name ?? '?'}: ${what}`);
  return BLK_STS_PROTECTION;
}

/** Number of a bio's first block, as reference tags count. @kernel include/linux/t10-pi.h t10_pi_ref_tag, ext_pi_ref_tag */
function firstRef(bio: BioImpl, profile: BlkIntegrity, format: TupleFormat): number {
  return Math.floor(bio.sector / 2 ** (profile.intervalExp - SECTOR_SHIFT)) % format.refModulus;
}

/** The profile of a request whose reference tags are remapped, or null. */
function remapped(rq: RequestImpl): BlkIntegrity | null {
  const profile = rq.q.limits.integrity;
  return profile !== null && hasRefTag(profile) ? profile : null;
}

/** Before a write is sent; does nothing to what was prepared before. Any context. @kernel block/t10-pi.c blk_integrity_prepare */
export function blkIntegrityPrepare(blk: Blk, rq: RequestImpl): void {
  const profile = remapped(rq);
  if (profile === null) return;
  for (let bio = rq.bio; bio !== null; bio = bio.next) {
    const payload = bio.integrity;
    if (payload === null || (payload.flags & BIP_MAPPED_INTEGRITY) !== 0) return;
    const format = formatOf(blk, profile);
    remapPayload(blk, payload, profile, payload.seed % format.refModulus, firstRef(bio, profile, format));
    payload.flags |= BIP_MAPPED_INTEGRITY;
  }
}

/** After a read has been done well. Any context. @kernel block/t10-pi.c blk_integrity_complete */
export function blkIntegrityComplete(blk: Blk, rq: RequestImpl): void {
  const profile = remapped(rq);
  if (profile === null) return;
  for (let bio = rq.bio; bio !== null; bio = bio.next) {
    const payload = bio.integrity;
    if (payload === null) return;
    const format = formatOf(blk, profile);
    remapPayload(blk, payload, profile, firstRef(bio, profile, format), payload.seed % format.refModulus);
  }
}

/** Exchanges reference tags that count from `from` on for such from `to` on; tags that are others stay. */
function remapPayload(blk: Blk, payload: IntegrityPayload, profile: BlkIntegrity, from: number, to: number): void {
  if (from === to) return;
  const { bytes } = blk.kernel.memory;
  const format = formatOf(blk, profile);
  const end = payload.addr + payload.lengthBytes;
  let expected = from;
  let wanted = to;
  for (let metadata = payload.addr; metadata < end; metadata += profile.tupleSizeBytes) {
    const at = metadata + profile.piOffsetBytes;
    if (format.readRef(bytes, at) === expected) format.writeRef(bytes, at, wanted);
    expected = expected + 1 === format.refModulus ? 0 : expected + 1;
    wanted = wanted + 1 === format.refModulus ? 0 : wanted + 1;
  }
}
