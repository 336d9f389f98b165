// Protection information: generated, checked, and what it reads as where nothing is written. Eight bytes of each block's
// metadata, big endian: guard, application tag, reference tag.
// Kernel counterpart: the other end of block/t10-pi.c. Spec: [NVM] 1.0 §5.2, §3.2.3.2.1 (deallocated blocks).
import * as nvme from '@nvme-stack/nvme-protocol';
import { PROTECTION_BYTES } from './lba-formats.js';
import type { Namespace } from './namespace.js';
import * as sc from './status.js';
import { crcT10Dif } from './t10-crc.js';

/** PRINFO, four bits: 29:26 of dword 12, or those of a Copy's source. */
const PRCHK_REF = 1;
const PRCHK_APP = 2;
const PRCHK_GUARD = 4;
const PRCHK = PRCHK_REF | PRCHK_APP | PRCHK_GUARD;
const PRACT = 8;
const PRINFO_SHIFT = 26;

const NO_APP_TAG = 0xffff;
const NO_REF_TAG = 0xffffffff;
const { NVME_NS_DPS_PI_TYPE1: TYPE1, NVME_NS_DPS_PI_TYPE3: TYPE3 } = nvme;

/** PRINFO of dword 12. */
export const prinfoOf = (cdw12: number): number => (cdw12 >>> PRINFO_SHIFT) & 0xf;
/** The controller inserts or strips protection information. */
export const acts = (prinfo: number): boolean => (prinfo & PRACT) !== 0;
/** Something is to be checked. */
export const checks = (prinfo: number): boolean => (prinfo & PRCHK) !== 0;

/** Blocks in a buffer: data, one behind the other from dataAt on, and metadata from metadataAt on. */
export class BufferedBlocks {
  bytes: Uint8Array;
  dataAt: number;
  metadataAt: number;
  count: number;

  constructor(bytes: Uint8Array, dataAt: number, metadataAt: number, count: number) {
    this.bytes = bytes;
    this.dataAt = dataAt;
    this.metadataAt = metadataAt;
    this.count = count;
  }
}

/** What a command says of the tags of its blocks. */
export class TagFields {
  prinfo = 0;
  /** Lower half of the first block's address. */
  slbaLow = 0;
  appTag = 0;
  appMask = 0;
  /** Of the first block; counts up with the blocks but for type 3. */
  refTag = 0;

  /** Sets all of them; `tags` is dword 15: application tag and its mask. Returns itself. */
  set(prinfo: number, slbaLow: number, refTag: number, tags: number): this {
    this.prinfo = prinfo;
    this.slbaLow = slbaLow;
    this.refTag = refTag;
    this.appTag = tags & 0xffff;
    this.appMask = tags >>> 16;
    return this;
  }
}

/** A reference tag to be checked must be one that can be right: for type 1 the lower half of the address; type 3 has none. */
export function checkFields({ protectionType }: Namespace, { prinfo, slbaLow, refTag }: TagFields): number {
  if ((prinfo & PRCHK_REF) === 0) return sc.SC_SUCCESS;
  if (protectionType === TYPE3) return sc.SC_INVALID_PROTECTION_RETRY;
  return protectionType === TYPE1 && slbaLow !== refTag ? sc.SC_INVALID_PROTECTION : sc.SC_SUCCESS;
}

/** The guard of one block: of its data, and of the metadata before the protection information. */
function guardOf(
  { blockSize, protectionAt }: Namespace,
  bytes: Uint8Array,
  dataAt: number,
  metadataAt: number,
): number {
  const crc = crcT10Dif(0, bytes, dataAt, blockSize);
  return protectionAt === 0 ? crc : crcT10Dif(crc, bytes, metadataAt, protectionAt);
}

/** Generates the protection information of all blocks. */
export function generate(namespace: Namespace, blocks: BufferedBlocks, appTag: number, firstRefTag: number): void {
  const { bytes, dataAt, metadataAt, count } = blocks;
  const { blockSize, metadataBytes, protectionAt, protectionType } = namespace;
  for (let i = 0; i < count; i++) {
    const metadata = metadataAt + i * metadataBytes;
    const guard = guardOf(namespace, bytes, dataAt + i * blockSize, metadata);
    put(bytes, metadata + protectionAt, guard, appTag, protectionType === TYPE3 ? firstRefTag : firstRefTag + i);
  }
}

/** The same for blocks and metadata of zeroes, whose guard is 0; `bytes` are their metadata, cleared. */
export function generateZeroed(
  namespace: Namespace,
  bytes: Uint8Array,
  count: number,
  appTag: number,
  firstRefTag: number,
): void {
  const { metadataBytes, protectionAt, protectionType } = namespace;
  for (let i = 0; i < count; i++) {
    put(bytes, i * metadataBytes + protectionAt, 0, appTag, protectionType === TYPE3 ? firstRefTag : firstRefTag + i);
  }
}

function put(bytes: Uint8Array, at: number, guard: number, appTag: number, refTag: number): void {
  bytes[at] = guard >>> 8;
  bytes[at + 1] = guard;
  bytes[at + 2] = appTag >>> 8;
  bytes[at + 3] = appTag;
  for (let i = 0; i < 4; i++) bytes[at + 4 + i] = refTag >>> (24 - 8 * i);
}

/** Checks all blocks in order; returns the status of the first that fails. */
export function check(namespace: Namespace, blocks: BufferedBlocks, tags: TagFields): number {
  const refusal = checkFields(namespace, tags);
  if (refusal !== sc.SC_SUCCESS) return refusal;
  const { blockSize, metadataBytes, protectionType } = namespace;
  for (let i = 0; i < blocks.count; i++) {
    const refTag = protectionType === TYPE3 ? tags.refTag : (tags.refTag + i) % 0x100000000;
    const dataAt = blocks.dataAt + i * blockSize;
    const status = checkBlock(namespace, blocks.bytes, dataAt, blocks.metadataAt + i * metadataBytes, tags, refTag);
    if (status !== sc.SC_SUCCESS) return status;
  }
  return sc.SC_SUCCESS;
}

function checkBlock(
  namespace: Namespace,
  bytes: Uint8Array,
  dataAt: number,
  metadataAt: number,
  { prinfo, appTag, appMask }: TagFields,
  refTag: number,
): number {
  const at = metadataAt + namespace.protectionAt;
  const storedApp = half(bytes, at + 2);
  const storedRef = half(bytes, at + 4) * 0x10000 + half(bytes, at + 6);
  const isUnchecked = storedApp === NO_APP_TAG && (namespace.protectionType !== TYPE3 || storedRef === NO_REF_TAG);
  if (isUnchecked) return sc.SC_SUCCESS;
  if ((prinfo & PRCHK_GUARD) !== 0 && half(bytes, at) !== guardOf(namespace, bytes, dataAt, metadataAt)) {
    return sc.SC_GUARD_CHECK;
  }
  if ((prinfo & PRCHK_APP) !== 0 && (storedApp & appMask) !== (appTag & appMask)) return sc.SC_APPTAG_CHECK;
  return (prinfo & PRCHK_REF) !== 0 && storedRef !== refTag ? sc.SC_REFTAG_CHECK : sc.SC_SUCCESS;
}

const half = (bytes: Uint8Array, at: number): number => (bytes[at] as number) * 256 + (bytes[at + 1] as number);

/** Deallocated blocks from slba on have protection information of all ones, which nothing checks. */
export function fillDeallocated(namespace: Namespace, blocks: BufferedBlocks, slba: number): void {
  const { metadataBytes, protectionAt } = namespace;
  for (let i = 0; i < blocks.count; i++) {
    if (namespace.isAllocated(slba + i, 1)) continue;
    const at = blocks.metadataAt + i * metadataBytes + protectionAt;
    blocks.bytes.fill(0xff, at, at + PROTECTION_BYTES);
  }
}
