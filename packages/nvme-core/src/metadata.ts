/**
 * A namespace's metadata: how much there is, what protection information it holds, and the disk's integrity profile.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_configure_metadata, nvme_configure_pi_elbas, nvme_init_integrity.
 * [NVM] 5.2, 4.1.5.1.
 */
import {
  BLK_INTEGRITY_CSUM_CRC,
  BLK_INTEGRITY_CSUM_CRC64,
  BLK_INTEGRITY_CSUM_NONE,
  BLK_INTEGRITY_DEVICE_CAPABLE,
  BLK_INTEGRITY_REF_TAG,
  type BlkIntegrity,
} from '@nvme-stack/blk-mq/ports';
import { traced } from '@nvme-stack/kernel';
import {
  Elbaf,
  NVME_NS_DPS_PI_FIRST,
  NVME_NS_DPS_PI_MASK,
  NVME_NS_DPS_PI_TYPE3,
  NVME_NS_FLBAS_META_EXT,
  nvmeLbafIndex,
} from '@nvme-stack/nvme-protocol';
import { type Ns, NVME_NS_EXT_LBAS, NVME_NS_METADATA_SUPPORTED } from './namespace.js';
import type { IdNs, IdNsNvm } from './namespace-update.js';
import { NVME_F_METADATA_SUPPORTED } from './ports.js';

/** @kernel include/linux/nvme.h NVME_NVM_NS_16B_GUARD, NVME_NVM_NS_64B_GUARD, NVME_NVM_NS_QTYPE_GUARD */
const NVME_NVM_NS_16B_GUARD = 0;
const NVME_NVM_NS_64B_GUARD = 2;
const NVME_NVM_NS_QTYPE_GUARD = 3;
/** PIC: qualified formats are supported. @kernel include/linux/nvme.h NVME_ID_NS_NVM_QPIFS */
const NVME_ID_NS_NVM_QPIFS = 1 << 3;
/** Bytes of protection information with a 16-bit and with a 64-bit guard. */
const T10_BYTES = 8;
const CRC64_BYTES = 16;
/** Bytes of the application tag, and of the reference tags, which type 3 leaves to whoever wants them. */
const APP_TAG_BYTES = 2;
const REF_TAG_BYTES = 4;
const EXT_REF_TAG_BYTES = 6;

/** The metadata is protection information and nothing else: the controller may insert and strip it. @kernel drivers/nvme/host/nvme.h nvme_ns_has_pi */
export function nvmeNsHasPi(ns: Ns): boolean {
  return ns.piType !== 0 && ns.metadataBytes === ns.piSizeBytes;
}

/** Takes over what Identify says of the format in use; `nvm` null: nothing of guards. @kernel drivers/nvme/host/core.c nvme_configure_metadata */
export function nvmeConfigureMetadata(ns: Ns, id: IdNs, nvm: IdNsNvm | null): void {
  const { core, ops } = ns.ctrl;
  const { era } = core;
  ns.features &= ~(NVME_NS_METADATA_SUPPORTED | NVME_NS_EXT_LBAS);
  ns.piType = 0;
  ns.piSizeBytes = 0;
  ns.piOffsetBytes = 0;
  ns.hasWideGuard = false;
  ns.hasPi = false;
  ns.metadataBytes = id.lbaf[nvmeLbafIndex(id.flbas)].ms;
  if (ns.metadataBytes === 0 || ((ops.flags ?? 0) & NVME_F_METADATA_SUPPORTED) === 0) return;
  if (nvm === null) ns.piSizeBytes = T10_BYTES;
  else nvmeConfigurePiElbas(ns, id, nvm);
  const { metadataBytes, piSizeBytes } = ns;
  const isFirst = (id.dps & NVME_NS_DPS_PI_FIRST) !== 0;
  const isAlone = metadataBytes === piSizeBytes;
  const fits = era.metadata.piPlaces === 'any' || isAlone || (isFirst && era.metadata.piPlaces === 'first');
  if (piSizeBytes !== 0 && metadataBytes >= piSizeBytes && fits) {
    ns.piType = id.dps & NVME_NS_DPS_PI_MASK;
    if (!isFirst && core.params.disable_pi_offsets === true) ns.piType = 0;
    else if (!isFirst) ns.piOffsetBytes = metadataBytes - piSizeBytes;
  }
  ns.hasPi = nvmeNsHasPi(ns);
  ns.features |= (id.flbas & NVME_NS_FLBAS_META_EXT) !== 0 ? NVME_NS_EXT_LBAS : NVME_NS_METADATA_SUPPORTED;
}

/** The guard that the format has; information with a storage tag is not supported. @kernel drivers/nvme/host/core.c nvme_configure_pi_elbas */
function nvmeConfigurePiElbas(ns: Ns, id: IdNs, nvm: IdNsNvm): void {
  const elbaf = nvm.elbaf[nvmeLbafIndex(id.flbas)];
  if (Elbaf.STS.get(elbaf) !== 0) return;
  let guard = Elbaf.PIF.get(elbaf);
  const { qualifiedGuards } = ns.ctrl.core.era.metadata;
  if (qualifiedGuards && (nvm.pic & NVME_ID_NS_NVM_QPIFS) !== 0 && guard === NVME_NVM_NS_QTYPE_GUARD)
    guard = Elbaf.QPIF.get(elbaf);
  ns.hasWideGuard = guard === NVME_NVM_NS_64B_GUARD;
  if (guard === NVME_NVM_NS_64B_GUARD) ns.piSizeBytes = CRC64_BYTES;
  else if (guard === NVME_NVM_NS_16B_GUARD) ns.piSizeBytes = T10_BYTES;
}

/** What a disk's metadata is to the block layer, and whether its blocks can be used at all. */
export interface NsIntegrity {
  readonly profile: BlkIntegrity | null;
  readonly usable: boolean;
}

const NOTHING_TO_DO: NsIntegrity = { profile: null, usable: true };

/** The profile, where the block layer handles metadata; where it cannot, only what the controller inserts and strips is usable. */
export function namespaceIntegrity(ns: Ns): NsIntegrity {
  const hasProfile = ns.metadataBytes !== 0 && (ns.features & NVME_NS_METADATA_SUPPORTED) !== 0;
  if (hasProfile || ns.ctrl.core.era.metadata.alwaysInits) return nvmeInitIntegrity(ns);
  return ns.metadataBytes === 0 ? NOTHING_TO_DO : { profile: null, usable: ns.hasPi };
}

/** @kernel drivers/nvme/host/core.c nvme_init_integrity */
const nvmeInitIntegrity = traced('nvme_init_integrity', (ns: Ns): NsIntegrity => {
  if (ns.metadataBytes === 0) return NOTHING_TO_DO;
  if ((ns.features & NVME_NS_METADATA_SUPPORTED) === 0) return { profile: null, usable: ns.hasPi };
  return { profile: profileOf(ns), usable: true };
});

/** Metadata without protection information is kept for whoever brings some. */
function profileOf({ metadataBytes, piType, piOffsetBytes, hasWideGuard }: Ns): BlkIntegrity {
  const plain = { tupleSizeBytes: metadataBytes, piOffsetBytes, intervalExp: 0 };
  if (piType === 0) return { ...plain, piOffsetBytes: 0, csumType: BLK_INTEGRITY_CSUM_NONE, flags: 0, tagSizeBytes: 0 };
  const isType3 = piType === NVME_NS_DPS_PI_TYPE3;
  const refTagBytes = hasWideGuard ? EXT_REF_TAG_BYTES : REF_TAG_BYTES;
  return {
    ...plain,
    csumType: hasWideGuard ? BLK_INTEGRITY_CSUM_CRC64 : BLK_INTEGRITY_CSUM_CRC,
    flags: isType3 ? BLK_INTEGRITY_DEVICE_CAPABLE : BLK_INTEGRITY_DEVICE_CAPABLE | BLK_INTEGRITY_REF_TAG,
    tagSizeBytes: isType3 ? APP_TAG_BYTES + refTagBytes : APP_TAG_BYTES,
  };
}
