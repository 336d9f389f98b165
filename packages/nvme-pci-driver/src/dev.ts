/**
 * What the driver keeps: a device, its queues, and the data of each request.
 * Kernel counterpart: drivers/nvme/host/pci.c struct nvme_dev, nvme_queue, nvme_iod.
 */

import type { Request } from '@nvme-stack/blk-mq/ports';
import type { Attribute, AttributeGroup } from '@nvme-stack/device-core/ports';
import {
  type CoherentMemory,
  Completion,
  createScatterList,
  type DmaDevice,
  type DmaPool,
  type DmaPoolBlock,
  type HasKernel,
  type Kernel,
  Mutex,
  type ScatterList,
  SpinLock,
  type Timer,
} from '@nvme-stack/kernel';
import type { NvmeCtrl, NvmePdu, NvmeRequest } from '@nvme-stack/nvme-core/ports';
import type { MmioRegion, PciDev } from '@nvme-stack/pci-bus/ports';
import type { WorkqueueStruct, WorkStruct } from '@nvme-stack/workqueue/ports';
import type { NvmeCmb } from './cmb.js';
import type { NodePages } from './dev-memory.js';
import { NVME_PCI_ERAS, type NvmePciEra } from './eras.js';
import { NVME_PCI_FEATURES, type NvmePciFeatures } from './feature-eras.js';
import type { NvmeHostMem } from './host-mem.js';
import { NVME_MAX_NR_ALLOCATIONS, NVME_MAX_SEGS } from './limits.js';
import type { NvmePciDriverDeps } from './ports.js';

/** The running values of the module's parameters. */
export type NvmeParams = Readonly<Record<string, number | boolean | string>>;

/** One loaded driver. */
export class NvmeDriverState implements HasKernel {
  readonly kernel: Kernel;
  readonly deps: NvmePciDriverDeps;
  readonly era: NvmePciEra;
  readonly features: NvmePciFeatures;
  params: NvmeParams = {};
  /** The module's own workqueue, where the era has one. @kernel drivers/nvme/host/pci.c nvme_workq */
  workqueue: WorkqueueStruct | null = null;
  readonly devices = new Map<NvmeCtrl, NvmeDev>();

  constructor(deps: NvmePciDriverDeps) {
    this.kernel = deps.kernel;
    this.deps = deps;
    this.era = NVME_PCI_ERAS[deps.kernel.profile];
    this.features = NVME_PCI_FEATURES[deps.kernel.profile];
  }
}

/** @kernel drivers/nvme/host/pci.c nvme_dev */
export class NvmeDev implements HasKernel {
  readonly kernel: Kernel;
  readonly driver: NvmeDriverState;
  readonly deps: NvmePciDriverDeps;
  readonly pdev: PciDev;
  readonly dma: DmaDevice;
  /** Set by `nvmeInitCtrl`, right after construction. */
  ctrl: NvmeCtrl = null as unknown as NvmeCtrl;
  /** The structure, and the array of its queues; empty once they are freed. */
  readonly memory: NodePages[] = [];
  /** Admin queue first; made as they are needed. */
  readonly queues: NvmeQueue[] = [];
  bar: MmioRegion | null = null;
  barMappedSizeBytes = 0;
  /** Queues that are up, the admin queue included. */
  onlineQueues = 0;
  maxQid = 0;
  /** I/O queues by kind: default, read, poll. */
  readonly ioQueues = [0, 0, 0];
  numVecs = 0;
  qDepth = 0;
  /** CAP.DSTRD. */
  dbStride = 0;
  nrAllocatedQueues = 0;
  nrWriteQueues = 0;
  nrPollQueues = 0;
  /** CMBSZ and CMBLOC as read; the buffer once it is mapped, and whether submission queues go there. */
  cmbsz = 0;
  cmbloc = 0;
  cmb: NvmeCmb | null = null;
  cmbUseSqes = false;
  /** Files that only PCI controllers have; made when they are first asked for. */
  attributes: AttributeGroup | null = null;
  /** Memory that the controller may use, and whether it does. */
  hostMem: NvmeHostMem | null = null;
  hmb = false;
  /** The controller can be reset as a part of its subsystem, and says so in CSTS.NSSRO. */
  subsystem = false;
  prpPagePool: DmaPool | null = null;
  prpSmallPool: DmaPool | null = null;
  /** /sys/devices/…/pools while there are pools. */
  poolsFile: Attribute | null = null;
  dbbufDbs: CoherentMemory | null = null;
  dbbufEis: CoherentMemory | null = null;
  readonly shutdownLock: Mutex;
  /** Its own in the eras that do not keep it in the controller: see `resetWorkOf`. */
  resetWork: WorkStruct | null = null;
  /** Unbinds the driver from a controller that did not come up, in the eras that do so. */
  removeWork: WorkStruct | null = null;
  /** The power state to go back to after sleep; -1: none, the controller was shut down. @kernel drivers/nvme/host/pci.c last_ps */
  lastPowerState = -1;
  watchdogTimer: Timer | null = null;

  constructor(driver: NvmeDriverState, pdev: PciDev, dma: DmaDevice) {
    this.kernel = driver.kernel;
    this.driver = driver;
    this.deps = driver.deps;
    this.pdev = pdev;
    this.dma = dma;
    this.shutdownLock = new Mutex(driver.kernel, 'nvme_dev.shutdown_lock');
  }
}

/** The work that resets it: its own, or the controller's. @kernel drivers/nvme/host/nvme.h nvme_ctrl.reset_work */
export function resetWorkOf(dev: NvmeDev): WorkStruct {
  return (dev.resetWork ?? dev.ctrl.resetWork) as WorkStruct;
}

/** Where its resets run: the module's own workqueue, or the core's. */
export function resetWqOf(dev: NvmeDev): WorkqueueStruct {
  return dev.driver.workqueue ?? dev.deps.nvmeCore.nvmeResetWq;
}

/** @kernel drivers/nvme/host/pci.c nvme_queue */
export class NvmeQueue implements HasKernel {
  readonly kernel: Kernel;
  readonly dev: NvmeDev;
  readonly qid: number;
  readonly qDepth: number;
  readonly sqLock: SpinLock;
  readonly sqMemory: CoherentMemory;
  readonly cqMemory: CoherentMemory;
  /** The queues as words: `sqeWords` an entry in the SQ, 4 in the CQ. */
  readonly sqWords: Uint32Array;
  readonly cqWords: Uint32Array;
  readonly sqeWords: number;
  /** Offset of the SQ tail doorbell in the BAR; the CQ head doorbell follows one stride later. */
  dbOffset = 0;
  cqDbOffset = 0;
  cqVector = -1;
  sqTail = 0;
  lastSqTail = 0;
  cqHead = 0;
  cqPhase = 1;
  enabled = false;
  polled = false;
  /** Its entries are being handled; and some were since the last interrupt. @kernel drivers/nvme/host/pci.c nvme_queue.cqe_seen */
  isProcessing = false;
  cqeSeen = false;
  deleteError = false;
  /** Words in the shadow doorbell and event index pages; -1: none. */
  dbbufSqWord = -1;
  dbbufCqWord = -1;
  readonly deleteDone: Completion;

  constructor(dev: NvmeDev, qid: number, qDepth: number, sq: CoherentMemory, cq: CoherentMemory, entryBytes: number) {
    this.kernel = dev.kernel;
    this.dev = dev;
    this.qid = qid;
    this.qDepth = qDepth;
    this.sqLock = new SpinLock(dev.kernel, `nvme_queue.${dev.driver.era.queueLock}`);
    this.sqMemory = sq;
    this.cqMemory = cq;
    this.sqWords = sq.u32;
    this.sqeWords = entryBytes / 4;
    this.cqWords = cq.u32;
    this.deleteDone = new Completion(dev.kernel, `nvme_queue.delete_done of queue ${qid}`);
  }
}

/** How a request's data is mapped at present. */
export const MAP_NONE = 0;
export const MAP_PAGE = 1;
export const MAP_SG = 2;
/** Beside one of them: its metadata is mapped too. */
export const MAP_METADATA = 4;

/** Per-request data, made once per tag. @kernel drivers/nvme/host/pci.c nvme_iod */
export class NvmeIod implements NvmePdu {
  readonly nvme: NvmeRequest;
  readonly dev: NvmeDev;
  /** The queue the request goes to; set by the tag set's hardware queue. */
  nvmeq: NvmeQueue | null = null;
  /** Made when the tag first needs one: most requests are one piece. */
  private pieces: ScatterList | null = null;
  mapping = MAP_NONE;
  /** Bus address and length of a MAP_PAGE mapping. */
  pageAddr = 0;
  pageLengthBytes = 0;
  direction: 0 | 1 | 2 = 0;
  /** Bus address and length of the metadata with MAP_METADATA. @kernel drivers/nvme/host/pci.c nvme_iod.meta_dma */
  metaAddr = -0;
  metaLengthBytes = -0;
  /** PRP list pages in use, in order. */
  readonly prpLists: (DmaPoolBlock | null)[] = new Array<DmaPoolBlock | null>(NVME_MAX_NR_ALLOCATIONS).fill(null);
  nrPrpLists = 0;
  aborted = false;

  constructor(nvme: NvmeRequest, dev: NvmeDev) {
    this.nvme = nvme;
    this.dev = dev;
  }

  get sg(): ScatterList {
    this.pieces ??= createScatterList(NVME_MAX_SEGS + 1);
    return this.pieces;
  }
}

/** The driver's data of a request. @kernel include/linux/blk-mq.h blk_mq_rq_to_pdu */
export function nvmeIod(rq: Request): NvmeIod {
  return rq.pdu as NvmeIod;
}
