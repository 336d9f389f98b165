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
  dmaUnmapPage,
  dmaUnmapSg,
} from '@nvme-stack/kernel';
import { MAP_NONE, MAP_PAGE, MAP_SG, type NvmeDev, type NvmeIod, nvmeIod } from './dev.js';
import { NVME_CTRL_PAGE_SIZE, NVME_SMALL_POOL_BYTES } from './limits.js';
import { buildPrps, PRP_BAD_SG, PRP_OK, type PrpListSource, PrpPair } from './prp.js';

/** Words of PRP1 and PRP2 in a command. */
const PRP1_WORD = 6;
const PRP2_WORD = 8;
/** Bits of an address below its page; addresses beyond 32 bits keep them. */
const PAGE_OFFSET_MASK = NVME_CTRL_PAGE_SIZE - 1;
const TWO_32 = 4294967296;

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
    for (let i = 0; i < iod.nrPrpLists; i++) {
      const block = iod.prpLists[i] as DmaPoolBlock;
      block.publish(block.u32.byteLength);
    }
    return outcome;
  }
}

/** The two pools, with the names sysfs shows. Throws ENOMEM. @kernel drivers/nvme/host/pci.c nvme_setup_prp_pools */
export function nvmeSetupPrpPools(dev: NvmeDev): void {
  dev.prpPagePool = dmaPoolCreate('prp list page', dev.dma, NVME_CTRL_PAGE_SIZE, NVME_CTRL_PAGE_SIZE, 0);
  dev.prpSmallPool = dmaPoolCreate('prp list 256', dev.dma, NVME_SMALL_POOL_BYTES, NVME_SMALL_POOL_BYTES, 0);
}

/** @kernel drivers/nvme/host/pci.c nvme_release_prp_pools */
export function nvmeReleasePrpPools(dev: NvmeDev): void {
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
  const bio = rq.bio;
  if (rq.nrPhysSegments === 1 && bio !== null) {
    const address = bio.vecAddr[0] as number;
    const length = bio.vecLengthBytes[0] as number;
    if ((address & PAGE_OFFSET_MASK) + length <= 2 * NVME_CTRL_PAGE_SIZE) {
      return nvmeSetupPrpSimple(dev, iod, address, length);
    }
  }
  return nvmeSetupPrpList(dev, rq, iod, mapper);
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

function nvmeSetupPrpList(dev: NvmeDev, rq: Request, iod: NvmeIod, mapper: PrpMapper): BlkStatus {
  if (dev.deps.blkMq.blkRqMapSg(rq, iod.sg) === 0) return BLK_STS_IOERR;
  if (dmaMapSgtable(dev.dma, iod.sg, iod.direction) === 0) return BLK_STS_RESOURCE;
  iod.mapping = MAP_SG;
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
