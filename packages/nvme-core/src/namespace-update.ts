/**
 * Reads what a namespace is now and sets its disk accordingly.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_update_ns_info, nvme_update_ns_info_block, nvme_update_disk_info,
 * nvme_config_discard. [NVM] 4.1.5.
 */
import type { QueueLimits } from '@nvme-stack/blk-mq/ports';
import { Errno, KernelError, traced } from '@nvme-stack/kernel';
import {
  Elbaf,
  NVME_CSI_NVM,
  NVME_CTRL_ATTR_ELBAS,
  NVME_CTRL_ONCS_DSM,
  NVME_CTRL_VWC_PRESENT,
  NVME_DSM_MAX_RANGES,
  NVME_ID_CNS_CS_NS,
  NVME_ID_CNS_NS,
  NVME_NS_DPS_PI_MASK,
  NVME_NS_FEAT_ATOMICS,
  NVME_NS_FEAT_IO_OPT,
  NVME_NS_FLBAS_META_EXT,
  NvmeIdNs,
  NvmeIdNsNvm,
  nvmeLbafIndex,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { UINT_MAX } from './identify.js';
import { nvmeCtrlLimits, nvmeSetQueueLimits } from './limits.js';
import { ctrlLog } from './log.js';
import { type Ns, NVME_NS_DEAC } from './namespace.js';
import type { NsInfo } from './namespace-head.js';
import { NVME_QUIRK_DEALLOCATE_ZEROES, NVME_QUIRK_DISABLE_WRITE_ZEROES, NVME_QUIRK_STRIPE_SIZE } from './ports.js';
import { identify } from './sync-command.js';

/** Identify Namespace, decoded. */
export type IdNs = ReturnType<typeof NvmeIdNs.decode>;
type IdNsNvm = ReturnType<typeof NvmeIdNsNvm.decode>;

const SECTOR_SHIFT = 9;
const PAGE_SHIFT = 12;
const DLFEAT_READ_MASK = 7;
const DLFEAT_READS_ZEROES = 1;
const DLFEAT_WZ_DEALLOCATES = 1 << 3;
/** Bytes of protection information by guard: 16-bit, else 32- or 64-bit. */
const PI_BYTES = 8;
const PI_BYTES_WIDE = 16;

/** Identify Namespace; the status is logged when it is not 0. @kernel drivers/nvme/host/core.c nvme_identify_ns */
export const nvmeIdentifyNs = traced(
  'nvme_identify_ns',
  async (ctrl: Ctrl, nsid: number): Promise<{ readonly status: number; readonly id: IdNs }> => {
    const { status, data } = await identify(ctrl, NVME_ID_CNS_NS, nsid);
    if (status !== 0) ctrlLog(ctrl, 'warn', `Identify namespace failed (${status})`);
    return { status, id: NvmeIdNs.decode(data) };
  },
);

/** NVMe status, or a negative errno. Task context. @kernel drivers/nvme/host/core.c nvme_update_ns_info */
export const nvmeUpdateNsInfo = traced('nvme_update_ns_info', async (ns: Ns, info: NsInfo): Promise<number> => {
  if (info.ids.csi === NVME_CSI_NVM) return await nvmeUpdateNsInfoBlock(ns, info);
  ctrlLog(ns.ctrl, 'info', `block device for nsid ${info.nsid} not supported (csi ${info.ids.csi})`);
  return -Errno.ENODEV;
});

/** @kernel drivers/nvme/host/core.c nvme_update_ns_info_block */
const nvmeUpdateNsInfoBlock = traced('nvme_update_ns_info_block', async (ns: Ns, info: NsInfo): Promise<number> => {
  const { ctrl } = ns;
  const known = info.identified;
  const { status, id } = known === null ? await nvmeIdentifyNs(ctrl, info.nsid) : { status: 0, id: known };
  if (status !== 0) return status;
  if (id.ncap === 0) {
    info.removed = true;
    return -Errno.ENXIO;
  }
  if (ctrl.core.era.readsMetadataFrozen) return await applyFrozen(ns, info, id);
  const nvm = await identifyNvm(ns);
  return typeof nvm === 'number' ? nvm : await applyFrozen(ns, info, id, nvm);
});

/** What the command set says of the formats' metadata; null: nothing; a negative errno when it could not be asked. */
async function identifyNvm({ ctrl, nsid }: Ns): Promise<IdNsNvm | null | number> {
  if (!ctrl.core.era.commandSets || (ctrl.ctratt & NVME_CTRL_ATTR_ELBAS) === 0) return null;
  const { status, data } = await identify(ctrl, NVME_ID_CNS_CS_NS, nsid, NVME_CSI_NVM);
  if (status < 0) return status;
  return status === 0 ? NvmeIdNsNvm.decode(data) : null;
}

/** While nothing is in flight: geometry, limits, capacity; `known` is what was read of the metadata before. */
async function applyFrozen(ns: Ns, info: NsInfo, id: IdNs, known?: IdNsNvm | null): Promise<number> {
  const { blkMq } = ns.ctrl.core;
  await blkMq.blkMqFreezeQueue(ns.queue);
  try {
    if (known === undefined) nvmeSetQueueLimits(ns.ctrl, ns.queue);
    const nvm = known === undefined ? await identifyNvm(ns) : known;
    if (typeof nvm === 'number') return nvm;
    const usable = takeFormat(ns, id, nvm);
    try {
      nvmeUpdateDiskInfo(ns, id);
    } catch (error) {
      if (!KernelError.is(error)) throw error;
      return error.errno;
    }
    blkMq.setCapacityAndNotify(ns.disk, usable ? lbaToSect(ns, id.nsze) : 0);
    const zeroes = (id.dlfeat & DLFEAT_READ_MASK) === DLFEAT_READS_ZEROES && (id.dlfeat & DLFEAT_WZ_DEALLOCATES) !== 0;
    ns.features = zeroes ? ns.features | NVME_NS_DEAC : ns.features & ~NVME_NS_DEAC;
    blkMq.setDiskRo(ns.disk, info.readOnly);
    ns.ready = true;
    return 0;
  } finally {
    blkMq.blkMqUnfreezeQueue(ns.queue);
  }
}

/** @kernel drivers/nvme/host/core.c nvme_update_disk_info */
const nvmeUpdateDiskInfo = traced('nvme_update_disk_info', (ns: Ns, id: IdNs): void => {
  ns.ctrl.core.blkMq.queueLimitsCommitUpdate(ns.queue, namespaceLimits(ns, id));
});

/** Block size and metadata; whether the block layer can use the format. @kernel drivers/nvme/host/core.c nvme_configure_metadata */
function takeFormat(ns: Ns, id: IdNs, nvm: IdNsNvm | null): boolean {
  const index = nvmeLbafIndex(id.flbas);
  const { ds, ms } = id.lbaf[index];
  const fits = ds >= SECTOR_SHIFT && ds <= PAGE_SHIFT;
  ns.lbaShift = ds;
  ns.lbaPerSector = 2 ** (SECTOR_SHIFT - ds);
  ns.nuse = id.nuse;
  ns.metadataBytes = ms;
  ns.extendedLbas = ms !== 0 && (id.flbas & NVME_NS_FLBAS_META_EXT) !== 0;
  const wideGuard = nvm !== null && Elbaf.PIF.get(nvm.elbaf[index]) !== 0;
  const piType = id.dps & NVME_NS_DPS_PI_MASK;
  ns.hasPi = piType !== 0 && ms === (wideGuard ? PI_BYTES_WIDE : PI_BYTES);
  ns.piType = ns.hasPi ? piType : 0;
  return fits && (ms === 0 || ns.hasPi);
}

/** @kernel drivers/nvme/host/nvme.h nvme_lba_to_sect */
function lbaToSect(ns: Ns, blocks: number): number {
  return blocks / ns.lbaPerSector;
}

function namespaceLimits(ns: Ns, id: IdNs): Partial<QueueLimits> {
  const { ctrl } = ns;
  const writeCache = (ctrl.vwc & NVME_CTRL_VWC_PRESENT) !== 0;
  return {
    ...nvmeCtrlLimits(ctrl),
    ...blockSizes(ns, id),
    ...discardLimits(ns),
    chunkSectors: chunkSectors(ns, id),
    maxWriteZeroesSectors: writeZeroesSectors(ctrl),
    writeCache,
    fua: writeCache,
  };
}

function writeZeroesSectors(ctrl: Ctrl): number {
  if (ctrl.quirks & NVME_QUIRK_DISABLE_WRITE_ZEROES) return 0;
  if (ctrl.quirks & NVME_QUIRK_DEALLOCATE_ZEROES && ctrl.oncs & NVME_CTRL_ONCS_DSM) return UINT_MAX;
  return ctrl.maxZeroesSectors;
}

/** A physical block is what is written atomically; a preferred size is only a hint. */
function blockSizes(ns: Ns, id: IdNs): Partial<QueueLimits> {
  const fits = ns.lbaShift >= SECTOR_SHIFT && ns.lbaShift <= PAGE_SHIFT;
  const block = fits ? 2 ** ns.lbaShift : 2 ** SECTOR_SHIFT;
  let atomic = block;
  if (id.nabo === 0) {
    const own = (id.nsfeat & NVME_NS_FEAT_ATOMICS) !== 0 && id.nawupf !== 0;
    atomic = block * (1 + (own ? id.nawupf : (ns.ctrl.subsys?.awupf ?? 0)));
  }
  const preferred = (id.nsfeat & NVME_NS_FEAT_IO_OPT) !== 0;
  const physical = preferred ? block * (1 + id.npwg) : block;
  return {
    logicalBlockSizeBytes: block,
    physicalBlockSizeBytes: Math.min(physical, atomic),
    ioMinBytes: physical,
    ioOptBytes: preferred ? block * (1 + id.nows) : 0,
  };
}

/** Only where the controller has Dataset Management. @kernel drivers/nvme/host/core.c nvme_config_discard */
function discardLimits(ns: Ns): Partial<QueueLimits> {
  const { ctrl } = ns;
  let sectors = ctrl.oncs & NVME_CTRL_ONCS_DSM ? UINT_MAX : 0;
  if (ctrl.dmrsl !== 0 && lbaToSect(ns, ctrl.dmrsl) <= UINT_MAX) sectors = lbaToSect(ns, ctrl.dmrsl);
  return {
    maxDiscardSectors: sectors,
    maxDiscardSegments: ctrl.dmrl !== 0 ? ctrl.dmrl : NVME_DSM_MAX_RANGES,
    discardGranularityBytes:
      sectors === 0 ? 0 : Math.max(2 ** SECTOR_SHIFT, Math.min(2 ** ns.lbaShift, 2 ** PAGE_SHIFT)),
  };
}

/** Requests do not cross this boundary. @kernel drivers/nvme/host/core.c nvme_set_chunk_sectors */
function chunkSectors(ns: Ns, id: IdNs): number {
  const { ctrl } = ns;
  const striped = (ctrl.quirks & NVME_QUIRK_STRIPE_SIZE) !== 0 && isPowerOfTwo(ctrl.maxHwSectors);
  const sectors = striped ? ctrl.maxHwSectors : lbaToSect(ns, id.noiob);
  if (sectors === 0 || isPowerOfTwo(sectors)) return sectors;
  ctrl.kernel.printk.print('warn', `${ns.disk.name}: ignoring unaligned IO boundary:${sectors}`);
  return 0;
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && n <= 0x80000000 && (n & (n - 1)) === 0;
}
