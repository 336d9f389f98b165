/**
 * Maps a request's metadata for the device and names it in the command; unmaps it with the data.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_map_metadata, nvme_pci_unmap_rq; until 4.14 in nvme_map_data, nvme_unmap_data.
 */
import {
  BLK_STS_IOERR,
  BLK_STS_OK,
  type BlkStatus,
  REQ_OP_MASK,
  REQ_OP_WRITE,
  type Request,
} from '@nvme-stack/blk-mq/ports';
import { DMA_MAPPING_ERROR, dmaMapPage, dmaUnmapPage } from '@nvme-stack/kernel';
import { MAP_METADATA, type NvmeDev, type NvmeIod, nvmeIod } from './dev.js';
import { nvmeUnmapData } from './map-data.js';

/** Words of the metadata pointer in a command. */
const MPTR_WORD = 4;
const TWO_32 = 4294967296;

/**
 * Of a request whose data is mapped already; a failure unmaps that again. Reference tags are remapped first, as 4.10 and
 * 4.13 do it (nvme_dif_remap): later kernels leave that to blk_mq_start_request, and what a bounce buffer has copied by
 * then stays as it was. Any context. @kernel drivers/nvme/host/pci.c nvme_map_metadata
 */
export function nvmeMapMetadata(dev: NvmeDev, rq: Request): BlkStatus {
  const { blkMq } = dev.deps;
  const iod = nvmeIod(rq);
  const vec = blkMq.rqIntegrityVec(rq);
  if (vec !== null) {
    if ((rq.cmdFlags & REQ_OP_MASK) === REQ_OP_WRITE) blkMq.blkIntegrityPrepare(rq);
    const busAddr = dmaMapPage(dev.dma, vec.addr, vec.lengthBytes, iod.direction);
    if (busAddr !== DMA_MAPPING_ERROR) {
      iod.mapping |= MAP_METADATA;
      iod.metaAddr = busAddr;
      iod.metaLengthBytes = vec.lengthBytes;
      const { cmd } = iod.nvme;
      cmd[MPTR_WORD] = busAddr;
      cmd[MPTR_WORD + 1] = Math.floor(busAddr / TWO_32);
      return BLK_STS_OK;
    }
  }
  nvmeUnmapData(dev, rq);
  return BLK_STS_IOERR;
}

/** The data's mapping is what is left. Any context. @kernel drivers/nvme/host/pci.c nvme_pci_unmap_rq */
export function nvmeUnmapMetadata(dev: NvmeDev, iod: NvmeIod): void {
  dmaUnmapPage(dev.dma, iod.metaAddr, iod.metaLengthBytes, iod.direction);
  iod.mapping &= ~MAP_METADATA;
}
