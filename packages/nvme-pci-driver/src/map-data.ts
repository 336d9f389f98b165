/**
 * Maps a request's data for the device and describes it in the command; unmaps it when done.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_map_data, nvme_unmap_data.
 */
import {
  BLK_STS_IOERR,
  BLK_STS_OK,
  BLK_STS_RESOURCE,
  type BlkStatus,
  REQ_OP_DRV_IN,
  REQ_OP_MASK,
  REQ_OP_READ,
  type Request,
} from '@nvme-stack/blk-mq/ports';
import {
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  type DmaPool,
  type DmaPoolBlock,
  dmaMapPage,
  dmaMapSgtable,
  dmaPoolAlloc,
  dmaPoolCreate,
  dmaPoolDestroy,
  dmaPoolFree,
  dmaPoolsShow,
  dmaUnmapPage,
  dmaUnmapSg,
} from '@nvme-stack/kernel';
import { NVME_QUIRK_DMAPOOL_ALIGN_512 } from '@nvme-stack/nvme-core/ports';
import { NVME_CTRL_SGLS_BYTE_ALIGNED, NVME_CTRL_SGLS_DWORD_ALIGNED } from '@nvme-stack/nvme-protocol';
import { MAP_METADATA, MAP_NONE, MAP_PAGE, MAP_SG, type NvmeDev, type NvmeIod, nvmeIod } from './dev.js';
import { NVME_CTRL_PAGE_SIZE, NVME_SMALL_POOL_BYTES } from './limits.js';
import { nvmeUnmapMetadata } from './map-metadata.js';
import { buildPrps, PRP_BAD_SG, PRP_OK, type PrpListSource, PrpPair } from './prp.js';
import { buildSgl, CMD_SGL_METABUF, writeSglSimple } from './sgl.js';

/** Words of PRP1 and PRP2 in a command. */
const PRP1_WORD = 6;
const PRP2_WORD = 8;
/** Bits of an address below its page; addresses beyond 32 bits keep them. */
const PAGE_OFFSET_MASK = NVME_CTRL_PAGE_SIZE - 1;
const TWO_32 = 4294967296;
/** SGLS says that I/O commands may have SGLs. @kernel drivers/nvme/host/nvme.h nvme_ctrl_sgl_supported */
const NVME_SGLS_SUPPORTED = NVME_CTRL_SGLS_BYTE_ALIGNED | NVME_CTRL_SGLS_DWORD_ALIGNED;

/** Lists of the request being mapped; one per device, since mapping never sleeps. */
export class PrpMapper implements PrpListSource<DmaPoolBlock> {
  readonly pair = new PrpPair();
  private iod: NvmeIod | null = null;

  take(small: boolean): DmaPoolBlock | null {
    const iod = this.iod as NvmeIod;
    const block = dmaPoolAlloc((small ? iod.dev.prpSmallPool : iod.dev.prpPagePool) as DmaPool);
    if (block !== null) iod.prpLists[iod.nrPrpLists++] = block;
    return block;
  }

  build(iod: NvmeIod, lengthBytes: number): number {
    this.iod = iod;
    const outcome = buildPrps(iod.sg, lengthBytes, this, this.pair);
    publishLists(iod);
    return outcome;
  }

  /** The same as SGL descriptors, the command's among them; false when memory is short. */
  buildSgl(iod: NvmeIod): boolean {
    this.iod = iod;
    const built = buildSgl(iod.nvme.cmd, iod.sg, this);
    publishLists(iod);
    return built;
  }
}

function publishLists(iod: NvmeIod): void {
  for (let i = 0; i < iod.nrPrpLists; i++) {
    const block = iod.prpLists[i] as DmaPoolBlock;
    block.publish(block.u32.byteLength);
  }
}

/** The two pools, with the names sysfs shows. Throws ENOMEM. @kernel drivers/nvme/host/pci.c nvme_setup_prp_pools */
export function nvmeSetupPrpPools(dev: NvmeDev, quirks: number): void {
  const align = quirks & NVME_QUIRK_DMAPOOL_ALIGN_512 ? 512 : NVME_SMALL_POOL_BYTES;
  dev.prpPagePool = dmaPoolCreate('prp list page', dev.dma, NVME_CTRL_PAGE_SIZE, NVME_CTRL_PAGE_SIZE, 0);
  dev.prpSmallPool = dmaPoolCreate('prp list 256', dev.dma, NVME_SMALL_POOL_BYTES, align, 0);
  const file = { name: 'pools', mode: 0o444, show: () => dmaPoolsShow(dev.dma) };
  try {
    dev.deps.deviceCore.sysfsCreateFile(dev.pdev.dev.kobj, file);
  } catch (error) {
    nvmeReleasePrpPools(dev);
    throw error;
  }
  dev.poolsFile = file;
}

/** @kernel drivers/nvme/host/pci.c nvme_release_prp_pools */
export function nvmeReleasePrpPools(dev: NvmeDev): void {
  if (dev.poolsFile !== null) dev.deps.deviceCore.sysfsRemoveFile(dev.pdev.dev.kobj, dev.poolsFile);
  dev.poolsFile = null;
  if (dev.prpPagePool !== null) dmaPoolDestroy(dev.prpPagePool);
  if (dev.prpSmallPool !== null) dmaPoolDestroy(dev.prpSmallPool);
  dev.prpPagePool = dev.prpSmallPool = null;
}

/** Maps the data of `rq`, which has some, into its command. Any context. @kernel drivers/nvme/host/pci.c nvme_map_data */
export function nvmeMapData(dev: NvmeDev, rq: Request, mapper: PrpMapper): BlkStatus {
  const iod = nvmeIod(rq);
  const op = rq.cmdFlags & REQ_OP_MASK;
  iod.direction = op === REQ_OP_READ || op === REQ_OP_DRV_IN ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
  const { specialVecAddr, specialVecLengthBytes } = iod.nvme;
  if (specialVecLengthBytes > 0) return nvmeSetupPrpSimple(dev, iod, specialVecAddr, specialVecLengthBytes);
  const threshold = sglThreshold(dev, iod);
  const bio = rq.bio;
  if (rq.nrPhysSegments === 1 && bio !== null) {
    const address = bio.vecAddr[0] as number;
    const length = bio.vecLengthBytes[0] as number;
    if ((address & PAGE_OFFSET_MASK) + length <= 2 * NVME_CTRL_PAGE_SIZE) {
      return nvmeSetupPrpSimple(dev, iod, address, length);
    }
    if (threshold > 0) return nvmeSetupSglSimple(dev, iod, address, length);
  }
  return nvmeSetupList(dev, rq, iod, mapper, threshold);
}

/** Average piece from which on a request of this queue is described by an SGL, bytes; 0: none is. */
function sglThreshold({ ctrl, driver }: NvmeDev, iod: NvmeIod): number {
  if (!driver.features.sgls || iod.nvmeq?.qid === 0 || (ctrl.sgls & NVME_SGLS_SUPPORTED) === 0) return 0;
  return driver.params.sgl_threshold as number;
}

/** Whether the pieces are large enough on average. @kernel drivers/nvme/host/pci.c nvme_pci_use_sgls */
function nvmePciUseSgls(rq: Request, threshold: number): boolean {
  return threshold > 0 && Math.floor((rq.dataLengthBytes + rq.nrPhysSegments - 1) / rq.nrPhysSegments) >= threshold;
}

function nvmeSetupPrpSimple(dev: NvmeDev, iod: NvmeIod, address: number, length: number): BlkStatus {
  const busAddr = dmaMapPage(dev.dma, address, length, iod.direction);
  if (busAddr === DMA_MAPPING_ERROR) return BLK_STS_RESOURCE;
  iod.mapping = MAP_PAGE;
  iod.pageAddr = busAddr;
  iod.pageLengthBytes = length;
  const first = NVME_CTRL_PAGE_SIZE - (busAddr & PAGE_OFFSET_MASK);
  writePrps(iod, busAddr, length > first ? busAddr + first : 0);
  return BLK_STS_OK;
}

function nvmeSetupSglSimple(dev: NvmeDev, iod: NvmeIod, address: number, length: number): BlkStatus {
  const busAddr = dmaMapPage(dev.dma, address, length, iod.direction);
  if (busAddr === DMA_MAPPING_ERROR) return BLK_STS_RESOURCE;
  iod.mapping = MAP_PAGE;
  iod.pageAddr = busAddr;
  iod.pageLengthBytes = length;
  writeSglSimple(iod.nvme.cmd, busAddr, length);
  return BLK_STS_OK;
}

function nvmeSetupList(dev: NvmeDev, rq: Request, iod: NvmeIod, mapper: PrpMapper, threshold: number): BlkStatus {
  if (dev.deps.blkMq.blkRqMapSg(rq, iod.sg) === 0) return BLK_STS_IOERR;
  if (dmaMapSgtable(dev.dma, iod.sg, iod.direction) === 0) return BLK_STS_RESOURCE;
  iod.mapping = MAP_SG;
  if (nvmePciUseSgls(rq, threshold)) {
    if (mapper.buildSgl(iod)) return BLK_STS_OK;
    nvmeUnmapData(dev, rq);
    return BLK_STS_RESOURCE;
  }
  const outcome = mapper.build(iod, rq.dataLengthBytes);
  if (outcome === PRP_OK) {
    writePrps(iod, mapper.pair.prp1, mapper.pair.prp2);
    return BLK_STS_OK;
  }
  nvmeUnmapData(dev, rq);
  if (outcome !== PRP_BAD_SG) return BLK_STS_RESOURCE;
  dev.kernel.printk.print('warn', `Invalid SGL for payload:${rq.dataLengthBytes} nents:${iod.sg.nents}`);
  return BLK_STS_IOERR;
}

/** Bits 63 to 32 of an address; a store into a word keeps the rest by itself. */
function highWord(address: number): number {
  return address < TWO_32 ? 0 : Math.floor(address / TWO_32);
}

function writePrps(iod: NvmeIod, prp1: number, prp2: number): void {
  const { cmd } = iod.nvme;
  // A passthrough command that is mapped again may have had an SGL before.
  cmd[0] = (cmd[0] as number) & ~CMD_SGL_METABUF;
  cmd[PRP1_WORD] = prp1;
  cmd[PRP1_WORD + 1] = highWord(prp1);
  cmd[PRP2_WORD] = prp2;
  cmd[PRP2_WORD + 1] = highWord(prp2);
}

/** Whether a request moves data: its own, or a payload the core made for it. @kernel include/linux/blk-mq.h blk_rq_nr_phys_segments */
export function hasPayload(rq: Request): boolean {
  return rq.nrPhysSegments > 0 || nvmeIod(rq).nvme.specialVecLengthBytes > 0;
}

/** Ends the mapping of a request's data. Any context. @kernel drivers/nvme/host/pci.c nvme_unmap_data */
export function nvmeUnmapData(dev: NvmeDev, rq: Request): void {
  const iod = nvmeIod(rq);
  const { trace } = dev.kernel;
  if (trace.functions) trace.enter('nvme_unmap_data');
  if (iod.mapping >= MAP_METADATA) nvmeUnmapMetadata(dev, iod);
  if (iod.mapping === MAP_PAGE) dmaUnmapPage(dev.dma, iod.pageAddr, iod.pageLengthBytes, iod.direction);
  else if (iod.mapping === MAP_SG) dmaUnmapSg(dev.dma, iod.sg, iod.direction);
  iod.mapping = MAP_NONE;
  for (let i = 0; i < iod.nrPrpLists; i++) {
    const block = iod.prpLists[i] as DmaPoolBlock;
    iod.prpLists[i] = null;
    dmaPoolFree(block.pool, block);
  }
  iod.nrPrpLists = 0;
  if (trace.functions) trace.exit();
}
