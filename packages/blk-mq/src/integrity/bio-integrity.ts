/**
 * Bios of disks with metadata: the block layer makes it before a write and checks it after a read, unless their submitter does.
 * Kernel counterpart: block/bio-integrity.c.
 */
import { type BioImpl, bioEndio, bioEndWith } from '../bio.js';
import type { Blk } from '../blk.js';
import {
  type Bio,
  type BioIntegrityPayload,
  BLK_INTEGRITY_CSUM_NONE,
  BLK_INTEGRITY_NOGENERATE,
  BLK_INTEGRITY_NOVERIFY,
  BLK_STS_OK,
  type BlkIntegrity,
  REQ_INTEGRITY,
  REQ_OP_MASK,
  REQ_OP_READ,
  REQ_OP_WRITE,
} from '../ports.js';
import type { Queue } from '../queue.js';
import {
  BIP_BLOCK_INTEGRITY,
  BIP_PART,
  bioIntegrityAlloc,
  bioIntegrityFree,
  type IntegrityPayload,
} from './payload.js';
import { NO_PROFILE } from './profile.js';
import { blkIntegrityGenerate, blkIntegrityVerify } from './t10-pi.js';

/** Gives a bio its metadata where the disk wants it; false: memory was short, and the bio has ended. Any context. @kernel block/bio-integrity.c bio_integrity_prep */
export function bioIntegrityPrep(blk: Blk, q: Queue, bio: BioImpl): boolean {
  const { trace } = blk;
  const { asksFirst } = blk.era.integrity;
  if (blk.functions) trace.enter(asksFirst ? 'bio_integrity_enabled' : 'bio_integrity_prep');
  const profile = q.limits.integrity;
  const isWanted = profile !== null && wants(profile, bio);
  if (blk.functions && asksFirst) {
    trace.exit();
    if (isWanted) trace.enter('bio_integrity_prep');
  }
  const goesOn = !isWanted || prepare(blk, bio, profile);
  if (blk.functions && (isWanted || !asksFirst)) trace.exit();
  return goesOn;
}

/** Reads and writes with data whose submitter has not brought any, unless a switch of the disk forbids it. */
function wants(profile: BlkIntegrity, bio: BioImpl): boolean {
  const op = bio.opf & REQ_OP_MASK;
  if (op > REQ_OP_WRITE || bio.sizeBytes === 0) return false;
  if (bio.integrity !== null) {
    bio.opf |= REQ_INTEGRITY;
    bio.integrity.profile = profile;
    return false;
  }
  return (profile.flags & (op === REQ_OP_READ ? BLK_INTEGRITY_NOVERIFY : BLK_INTEGRITY_NOGENERATE)) === 0;
}

function prepare(blk: Blk, bio: BioImpl, profile: BlkIntegrity): boolean {
  if (!bioIntegrityAlloc(blk, bio, profile)) {
    const { noMemoryLine, noMemoryStatus } = blk.era.integrity;
    if (noMemoryLine !== null) blk.kernel.printk.print('err', noMemoryLine);
    bioEndWith(blk, bio, noMemoryStatus);
    return false;
  }
  bio.opf |= REQ_INTEGRITY;
  if ((bio.opf & REQ_OP_MASK) === REQ_OP_WRITE) blkIntegrityGenerate(blk, bio, bio.integrity as IntegrityPayload);
  return true;
}

/** Of a bio with metadata; false: a worker checks it, and ends the bio then. Any context. @kernel block/bio-integrity.c __bio_integrity_endio */
export function bioIntegrityEndio(blk: Blk, bio: BioImpl): boolean {
  const { trace } = blk;
  if (blk.functions) trace.enter('__bio_integrity_endio');
  const ends = !startVerify(blk, bio);
  if (blk.functions) trace.exit();
  return ends;
}

function startVerify(blk: Blk, bio: BioImpl): boolean {
  const payload = bio.integrity as IntegrityPayload;
  const isOwn = (payload.flags & BIP_BLOCK_INTEGRITY) !== 0;
  const isChecked = payload.profile.csumType !== BLK_INTEGRITY_CSUM_NONE || blk.era.integrity.verifiesNop;
  if (isOwn && isChecked && bio.status === BLK_STS_OK && (bio.opf & REQ_OP_MASK) === REQ_OP_READ) {
    payload.work ??= blk.workqueues.initWork('bio_integrity_verify_fn', payload, (own) => verifyFn(blk, own));
    blk.integrity.queue(blk, payload);
    return true;
  }
  release(blk, bio, payload);
  return false;
}

/** What the submitter brought stays with the bio, for another time. */
function release(blk: Blk, bio: BioImpl, payload: IntegrityPayload): void {
  bio.opf &= ~REQ_INTEGRITY;
  if ((payload.flags & (BIP_BLOCK_INTEGRITY | BIP_PART)) !== 0) bioIntegrityFree(blk, bio);
  else payload.flags = 0;
}

/** Task context (kintegrityd). @kernel block/bio-integrity.c bio_integrity_verify_fn */
function verifyFn(blk: Blk, payload: IntegrityPayload): void {
  const bio = payload.bio as BioImpl;
  bio.status = blkIntegrityVerify(blk, bio, payload);
  release(blk, bio, payload);
  bioEndio(blk, bio);
}

/** Metadata of the submitter's own; null takes it away. The bio must not be in flight. @kernel block/bio-integrity.c bio_integrity_add_page */
export function bioIntegrityAttach(blk: Blk, to: Bio, metadata: BioIntegrityPayload | null): void {
  const bio = to as BioImpl;
  if (bio.inFlight) blk.ex.bug(`bio_integrity_add_page: bio at sector ${bio.sector} is in flight`);
  bioIntegrityFree(blk, bio);
  if (metadata === null) return;
  const payload = blk.integrity.take(NO_PROFILE);
  payload.addr = metadata.addr;
  payload.lengthBytes = metadata.lengthBytes;
  payload.seed = metadata.seed;
  bio.integrity = payload;
}
