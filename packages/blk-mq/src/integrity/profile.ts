/**
 * A disk's profile: completed and checked, its name, and what it lets merge.
 * Kernel counterpart: block/blk-settings.c blk_validate_integrity_limits, block/blk-integrity.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { BioImpl } from '../bio.js';
import {
  type BioIntegrityPayload,
  BLK_INTEGRITY_CSUM_CRC,
  BLK_INTEGRITY_CSUM_CRC64,
  BLK_INTEGRITY_CSUM_NONE,
  BLK_INTEGRITY_REF_TAG,
  type BlkIntegrity,
  REQ_INTEGRITY,
  SECTOR_SHIFT,
} from '../ports.js';
import type { RequestImpl } from '../request.js';
import { IntegrityPayload } from './payload.js';

const PI_BYTES = { [BLK_INTEGRITY_CSUM_NONE]: 0, [BLK_INTEGRITY_CSUM_CRC]: 8, [BLK_INTEGRITY_CSUM_CRC64]: 16 } as const;

/** With its interval filled in. Throws EINVAL for what no disk can have. @kernel block/blk-settings.c blk_validate_integrity_limits */
export function validateIntegrity(profile: BlkIntegrity, logicalBlockSizeBytes: number): BlkIntegrity {
  const { csumType, flags, tupleSizeBytes, piOffsetBytes, intervalExp } = profile;
  if (!(tupleSizeBytes >= 1)) refuse('tuple size', tupleSizeBytes, 'at least 1');
  if (csumType === BLK_INTEGRITY_CSUM_NONE && (flags & BLK_INTEGRITY_REF_TAG) !== 0)
    refuse('reference tag', 'set', 'only with a checksum');
  const largest = tupleSizeBytes - PI_BYTES[csumType];
  if (!(piOffsetBytes >= 0 && piOffsetBytes <= Math.max(largest, 0)) || largest < 0)
    refuse('offset', piOffsetBytes, `one that leaves ${PI_BYTES[csumType]} of ${tupleSizeBytes} bytes`);
  if (intervalExp !== 0) return profile;
  let shift = SECTOR_SHIFT;
  while (2 ** shift < logicalBlockSizeBytes) shift++;
  return { ...profile, intervalExp: shift };
}

function refuse(field: string, value: number | string, allowed: string): never {
  throw new KernelError('EINVAL', `integrity ${field} is ${value}; allowed: ${allowed}`);
}

/** As `integrity/format` shows it. @kernel block/blk-integrity.c blk_integrity_profile_name */
export function profileName(profile: BlkIntegrity | null): string {
  if (profile === null) return 'none';
  if (profile.csumType === BLK_INTEGRITY_CSUM_NONE) return 'nop';
  const type = (profile.flags & BLK_INTEGRITY_REF_TAG) !== 0 ? 'TYPE1' : 'TYPE3';
  return profile.csumType === BLK_INTEGRITY_CSUM_CRC ? `T10-DIF-${type}-CRC` : `EXT-DIF-${type}-CRC64`;
}

/** Whether a bio's metadata may go with a request's; both carry the same flags. Any context. @kernel block/blk-integrity.c blk_integrity_merge_bio */
export function integrityMergeBio(rq: RequestImpl, bio: BioImpl): boolean {
  if ((rq.cmdFlags & REQ_INTEGRITY) === 0) return true;
  const first = rq.bio?.integrity ?? null;
  if (first === null || bio.integrity === null || first.flags !== bio.integrity.flags) return false;
  let segments = 1;
  for (let each = rq.bio; each !== null; each = each.next) segments++;
  return segments <= rq.q.limits.maxIntegritySegments;
}

/** Null: it has none. Any context. @kernel include/linux/blk-integrity.h rq_integrity_vec */
export function rqIntegrityVec(rq: RequestImpl): BioIntegrityPayload | null {
  return (rq.cmdFlags & REQ_INTEGRITY) === 0 ? null : (rq.bio?.integrity ?? null);
}

/** A driver-private request's metadata, whose owner the caller stays; the request has data already. @kernel block/blk-integrity.c blk_rq_integrity_map_user */
export function rqIntegrityMapKern(rq: RequestImpl, physAddr: number, lengthBytes: number, seed: number): void {
  const bio = rq.ownBio;
  if (bio === null || rq.bio !== bio)
    throw new KernelError('EINVAL', 'blk_rq_integrity_map_user: a request without data has no metadata');
  const payload = bio.integrity ?? new IntegrityPayload(NO_PROFILE);
  payload.addr = physAddr;
  payload.lengthBytes = lengthBytes;
  payload.seed = seed;
  bio.integrity = payload;
  rq.cmdFlags |= REQ_INTEGRITY;
}

/** Of metadata that nobody here looks into. */
export const NO_PROFILE: BlkIntegrity = {
  csumType: BLK_INTEGRITY_CSUM_NONE,
  flags: 0,
  tupleSizeBytes: 0,
  piOffsetBytes: 0,
  intervalExp: SECTOR_SHIFT,
  tagSizeBytes: 0,
};
