/**
 * A list of reads and writes for one queue in one piece, taken when nothing is traced: equals the steps of submit.ts for
 * each request, then their copies and one doorbell.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_queue_rqs, nvme_prep_rq_batch, nvme_map_data, nvme_submit_cmds.
 *
 * Hazard: whoever changes a step in submit.ts or map-data.ts changes it here; a test runs both and compares.
 */
import { BLK_STS_OK, type BlkMq, REQ_OP_MASK, REQ_OP_READ, type Request } from '@nvme-stack/blk-mq/ports';
import {
  DMA_FROM_DEVICE,
  DMA_MAPPING_ERROR,
  DMA_TO_DEVICE,
  dmaMapPage,
  spinLockIrq,
  spinUnlockIrq,
} from '@nvme-stack/kernel';
import type { NvmeCore } from '@nvme-stack/nvme-core/ports';
import { MAP_PAGE, type NvmeDev, type NvmeIod, type NvmeQueue } from './dev.js';
import { NVME_CTRL_PAGE_SIZE, SQE_BYTES } from './limits.js';
import { hasPayload, nvmeMapData, type PrpMapper } from './map-data.js';
import { copySqe, nvmeWriteSqDb } from './submit.js';

const PAGE_OFFSET_MASK = NVME_CTRL_PAGE_SIZE - 1;
const HIGH_WORD = 1 / 4294967296;

/** The short way of one device's submissions. */
export class NvmeFastSubmission {
  private readonly dev: NvmeDev;
  private readonly mapper: PrpMapper;
  private readonly core: NvmeCore;
  private readonly blk: BlkMq;
  /** What `queueRqs` could not map, in its order. */
  refused: Request | null = null;

  constructor(dev: NvmeDev, mapper: PrpMapper) {
    this.dev = dev;
    this.mapper = mapper;
    this.core = dev.deps.nvmeCore;
    this.blk = dev.deps.blkMq;
  }

  /** Takes the list and sets `refused`; false when it must go the long way. Any context. */
  queueRqs(list: Request): boolean {
    const { core, blk } = this;
    const hctx = list.mqHctx;
    const nvmeq = hctx.driverData as NvmeQueue;
    if (!nvmeq.enabled || !core.nvmeSetupCmds(this.dev.ctrl, hctx, list)) return false;
    const first = this.mapAll(nvmeq, list);
    if (first === null) return true;
    blk.blkMqStartRequests(first);
    spinLockIrq(nvmeq.sqLock);
    copyAll(nvmeq, first);
    nvmeWriteSqDb(nvmeq, true);
    spinUnlockIrq(nvmeq.sqLock);
    return true;
  }

  /** Returns what is mapped; the rest stands in `refused`. */
  private mapAll(nvmeq: NvmeQueue, list: Request): Request | null {
    const { dev } = this;
    const { dma } = dev;
    let first: Request | null = list;
    let before: Request | null = null;
    let refusedLast: Request | null = null;
    this.refused = null;
    for (let rq: Request | null = list; rq !== null; ) {
      const next: Request | null = rq.next;
      const iod = rq.pdu as NvmeIod;
      iod.aborted = false;
      if (iod.nvmeq !== nvmeq) iod.nvmeq = nvmeq;
      const { bio } = rq;
      let mapped = false;
      if (rq.nrPhysSegments === 1 && bio !== null && iod.nvme.specialVecLengthBytes === 0) {
        const address = bio.vecAddr[0] as number;
        const length = bio.vecLengthBytes[0] as number;
        const room = 2 * NVME_CTRL_PAGE_SIZE - (address & PAGE_OFFSET_MASK);
        if (length <= room) {
          const direction = (rq.cmdFlags & REQ_OP_MASK) === REQ_OP_READ ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
          iod.direction = direction;
          const busAddr = dmaMapPage(dma, address, length, direction);
          if (busAddr !== DMA_MAPPING_ERROR) {
            mapped = true;
            writePage(iod, busAddr, length);
          }
        } else mapped = nvmeMapData(dev, rq, this.mapper) === BLK_STS_OK;
      } else mapped = !hasPayload(rq) || nvmeMapData(dev, rq, this.mapper) === BLK_STS_OK;
      if (mapped) {
        before = rq;
      } else {
        this.core.nvmeCleanupCmd(rq);
        if (before === null) first = next;
        else before.next = next;
        rq.next = null;
        if (refusedLast === null) this.refused = rq;
        else refusedLast.next = rq;
        refusedLast = rq;
      }
      rq = next;
    }
    return first;
  }
}

/** One piece of at most two pages. */
function writePage(iod: NvmeIod, busAddr: number, length: number): void {
  const { cmd } = iod.nvme;
  iod.mapping = MAP_PAGE;
  iod.pageAddr = busAddr;
  iod.pageLengthBytes = length;
  cmd[6] = busAddr;
  cmd[7] = busAddr * HIGH_WORD;
  const inPage = NVME_CTRL_PAGE_SIZE - (busAddr & PAGE_OFFSET_MASK);
  if (length > inPage) {
    const second = busAddr + inPage;
    cmd[8] = second;
    cmd[9] = second * HIGH_WORD;
  } else {
    cmd[8] = 0;
    cmd[9] = 0;
  }
}

/** Copies the commands of a list into the next slots and takes the list apart. Under sq_lock. */
function copyAll(nvmeq: NvmeQueue, list: Request): void {
  const { sqWords, sqMemory, sqeWords, qDepth } = nvmeq;
  const { isShared } = sqMemory;
  let tail = nvmeq.sqTail;
  for (let rq: Request | null = list; rq !== null; ) {
    const next: Request | null = rq.next;
    rq.next = null;
    const at = tail * sqeWords;
    copySqe(sqWords, at, (rq.pdu as NvmeIod).nvme.cmd);
    if (!isShared) sqMemory.publish(at * 4, SQE_BYTES);
    tail = tail + 1 === qDepth ? 0 : tail + 1;
    rq = next;
  }
  nvmeq.sqTail = tail;
}
