/**
 * Reads what a namespace is now and sets its disk accordingly.
 * Kernel counterpart: drivers/nvme/host/core.c nvme_update_ns_info, nvme_update_ns_info_block, nvme_update_disk_info,
 * nvme_config_discard. [NVM] 4.1.5.
 */
import type { Gendisk, QueueLimits } from '@nvme-stack/blk-mq/ports';
import { Errno, KernelError, traced } from '@nvme-stack/kernel';
import {
  NVME_CSI_NVM,
  NVME_CTRL_ATTR_ELBAS,
  NVME_CTRL_ONCS_DSM,
  NVME_CTRL_VWC_PRESENT,
  NVME_ID_CNS_CS_NS,
  NVME_ID_CNS_NS,
  NVME_NS_FEAT_ATOMICS,
  NVME_NS_FEAT_IO_OPT,
  NvmeIdNs,
  NvmeIdNsNvm,
  nvmeLbafIndex,
} from '@nvme-stack/nvme-protocol';
import type { Ctrl } from './ctrl.js';
import { UINT_MAX } from './identify.js';
import { nvmeCtrlLimits, nvmeSetQueueLimits } from './limits.js';
import { ctrlLog, functionOf } from './log.js';
import { namespaceIntegrity, nvmeConfigureMetadata } from './metadata.js';
import { nvmeMpathRevalidatePaths } from './multipath/paths.js';
import { type Ns, NVME_NS_DEAC } from './namespace.js';
import type { NsInfo } from './namespace-head.js';
import { NVME_QUIRK_DEALLOCATE_ZEROES, NVME_QUIRK_DISABLE_WRITE_ZEROES, NVME_QUIRK_STRIPE_SIZE } from './ports.js';
import { streamDiscardBytes, streamLimits } from './streams.js';
import { identify } from './sync-command.js';

/** Identify Namespace, decoded. */
export type IdNs = ReturnType<typeof NvmeIdNs.decode>;
/** What the NVM command set says of its formats, decoded. */
export type IdNsNvm = ReturnType<typeof NvmeIdNsNvm.decode>;

const SECTOR_SHIFT = 9;
const PAGE_SHIFT = 12;
const DLFEAT_READ_MASK = 7;
const DLFEAT_READS_ZEROES = 1;
const DLFEAT_WZ_DEALLOCATES = 1 << 3;

/** Identify Namespace; the status is logged when it is not 0. @kernel drivers/nvme/host/core.c nvme_identify_ns */
export const nvmeIdentifyNs = traced(
  'nvme_identify_ns',
  async (ctrl: Ctrl, nsid: number): Promise<{ readonly status: number; readonly id: IdNs }> => {
    const { status, data } = await identify(ctrl, NVME_ID_CNS_NS, nsid);
    if (status !== 0) logIdentifyFailure(ctrl, status);
    return { status, id: NvmeIdNs.decode(data) };
  },
);

function logIdentifyFailure(ctrl: Ctrl, status: number): void {
  if (ctrl.core.era.linesOfFunction.includes('identify-namespace'))
    ctrlLog(functionOf(ctrl), 'warn', 'nvme_revalidate_ns: Identify failure');
  else ctrlLog(ctrl, 'warn', `Identify namespace failed (${status})`);
}

/** NVMe status, or a negative errno. Task context. @kernel drivers/nvme/host/core.c nvme_update_ns_info */
export const nvmeUpdateNsInfo = traced('nvme_update_ns_info', async (ns: Ns, info: NsInfo): Promise<number> => {
  if (info.ids.csi === NVME_CSI_NVM) {
    const status = await nvmeUpdateNsInfoBlock(ns, info);
    if (status === 0 && ns.head.disk !== null) await updateHead(ns, ns.head.disk, info);
    return status;
  }
  ctrlLog(ns.ctrl, 'info', `block device for nsid ${info.nsid} not supported (csi ${info.ids.csi})`);
  return -Errno.ENODEV;
});

/**
 * The head's disk follows the namespace: its blocks are as they were just read, and what bounds its bios is what all
 * paths take. @kernel drivers/nvme/host/core.c nvme_update_ns_info
 */
async function updateHead(ns: Ns, disk: Gendisk, info: NsInfo): Promise<void> {
  const { blkMq } = ns.ctrl.core;
  const own = ns.queue.limits;
  await blkMq.blkMqFreezeQueue(disk.queue);
  try {
    const now: QueueLimits = {
      ...disk.queue.limits,
      logicalBlockSizeBytes: own.logicalBlockSizeBytes,
      physicalBlockSizeBytes: own.physicalBlockSizeBytes,
      ioMinBytes: own.ioMinBytes,
      ioOptBytes: own.ioOptBytes,
      integrity: own.integrity,
      maxIntegritySegments: own.maxIntegritySegments,
    };
    blkMq.queueLimitsCommitUpdate(disk.queue, {
      ...blkMq.blkStackLimits(now, own),
      maxIntegritySegments: own.maxIntegritySegments,
      integrity: namespaceIntegrity(ns).profile,
    });
    if (!ns.queue.canPoll) blkMq.setQueuePoll(disk.queue, false);
    blkMq.setCapacityAndNotify(disk, ns.disk.capacitySectors);
    blkMq.setDiskRo(disk, info.readOnly);
    nvmeMpathRevalidatePaths(ns);
  } finally {
    blkMq.blkMqUnfreezeQueue(disk.queue);
  }
}

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
    const fits = takeFormat(ns, id);
    nvmeConfigureMetadata(ns, id, nvm);
    let usable: boolean;
    try {
      usable = nvmeUpdateDiskInfo(ns, id) && fits;
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

/** Whether the metadata lets its blocks be used. @kernel drivers/nvme/host/core.c nvme_update_disk_info */
const nvmeUpdateDiskInfo = traced('nvme_update_disk_info', (ns: Ns, id: IdNs): boolean => {
  const { profile, usable } = namespaceIntegrity(ns);
  const segments = profile === null ? {} : { maxIntegritySegments: ns.ctrl.maxIntegritySegments };
  ns.ctrl.core.blkMq.queueLimitsCommitUpdate(ns.queue, {
    ...namespaceLimits(ns, id),
    ...segments,
    integrity: profile,
  });
  return usable;
});

/** Block size; whether the block layer can have such blocks. */
function takeFormat(ns: Ns, id: IdNs): boolean {
  const { ds } = id.lbaf[nvmeLbafIndex(id.flbas)];
  ns.lbaShift = ds;
  ns.lbaPerSector = 2 ** (SECTOR_SHIFT - ds);
  ns.nuse = id.nuse;
  return ds >= SECTOR_SHIFT && ds <= PAGE_SHIFT;
}

/** @kernel drivers/nvme/host/nvme.h nvme_lba_to_sect */
function lbaToSect(ns: Ns, blocks: number): number {
  return blocks / ns.lbaPerSector;
}

function namespaceLimits(ns: Ns, id: IdNs): Partial<QueueLimits> {
  const { ctrl } = ns;
  const writeCache = (ctrl.vwc & NVME_CTRL_VWC_PRESENT) !== 0;
  const sizes = blockSizes(ns, id);
  return {
    ...nvmeCtrlLimits(ctrl),
    ...sizes,
    ...streamLimits(ns, sizes.ioMinBytes),
    ...discardLimits(ns),
    chunkSectors: chunkSectors(ns, id),
    maxWriteZeroesSectors: writeZeroesSectors(ctrl),
    writeCache,
    fua: writeCache,
  };
}

function writeZeroesSectors(ctrl: Ctrl): number {
  if (ctrl.quirks & NVME_QUIRK_DISABLE_WRITE_ZEROES) return 0;
  const deallocates = ctrl.core.era.limits.deallocatesForZeroes && (ctrl.quirks & NVME_QUIRK_DEALLOCATE_ZEROES) !== 0;
  if (deallocates && ctrl.oncs & NVME_CTRL_ONCS_DSM) return UINT_MAX;
  return ctrl.maxZeroesSectors;
}

/** A physical block is what is written atomically; a preferred size is only a hint. */
function blockSizes(ns: Ns, id: IdNs) {
  const fits = ns.lbaShift >= SECTOR_SHIFT && ns.lbaShift <= PAGE_SHIFT;
  const block = fits ? 2 ** ns.lbaShift : 2 ** SECTOR_SHIFT;
  if (!ns.ctrl.core.era.limits.preferredSizes)
    return { logicalBlockSizeBytes: block, physicalBlockSizeBytes: block, ioMinBytes: block, ioOptBytes: 0 };
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
  const granularity = Math.max(2 ** SECTOR_SHIFT, Math.min(2 ** ns.lbaShift, 2 ** PAGE_SHIFT));
  return {
    maxDiscardSectors: sectors,
    maxDiscardSegments: ctrl.dmrl !== 0 ? ctrl.dmrl : ctrl.core.era.limits.discardRanges,
    discardGranularityBytes: sectors === 0 ? 0 : Math.max(granularity, streamDiscardBytes(ns)),
  };
}

/** Requests do not cross this boundary. @kernel drivers/nvme/host/core.c nvme_set_chunk_sectors */
function chunkSectors(ns: Ns, id: IdNs): number {
  const { ctrl } = ns;
  const { noiob } = ctrl.core.era.limits;
  const striped = (ctrl.quirks & NVME_QUIRK_STRIPE_SIZE) !== 0 && isPowerOfTwo(ctrl.maxHwSectors);
  const stripe = striped ? ctrl.maxHwSectors : 0;
  const boundary = noiob === 'ignored' ? 0 : lbaToSect(ns, id.noiob);
  if (noiob === 'rounded-down') return boundary >= 1 ? powerOfTwoBelow(boundary) : stripe;
  const sectors = stripe === 0 ? boundary : stripe;
  if (sectors === 0 || isPowerOfTwo(sectors)) return sectors;
  // Said once, before the disk is there.
  if (!ns.disk.live) ctrl.kernel.printk.print('warn', `${ns.disk.name}: ignoring unaligned IO boundary:${sectors}`);
  return 0;
}

/** @kernel include/linux/log2.h rounddown_pow_of_two */
function powerOfTwoBelow(n: number): number {
  let power = 1;
  while (power * 2 <= n) power *= 2;
  return power;
}

function isPowerOfTwo(n: number): boolean {
  return n > 0 && n <= 0x80000000 && (n & (n - 1)) === 0;
}
