/**
 * The controller memory buffer: finding it, mapping it, and submission queues in it.
 * Kernel counterpart: drivers/nvme/host/pci.c nvme_map_cmb, nvme_cmb_qdepth, nvme_alloc_sq_cmds. [NVMe] 8.2 (CMB).
 *
 * A submission queue in the buffer is memory of the device: what is written goes over the bus, a dword at a time, and
 * the controller fetches it without any. The driver keeps a copy, and publishing moves it.
 */
import type { CoherentMemory } from '@nvme-stack/kernel';
import { NVME_QUIRK_128_BYTES_SQES } from '@nvme-stack/nvme-core/ports';
import {
  CMBLOC,
  CMBSZ,
  NVME_CAP_CMBS,
  NVME_CMBMSC_CMSE,
  NVME_CMBMSC_CRE,
  NVME_CMBSZ_SQS,
  NVME_REG_CMBLOC,
  NVME_REG_CMBMSC,
  NVME_REG_CMBSZ,
} from '@nvme-stack/nvme-protocol';
import type { MmioRegion } from '@nvme-stack/pci-bus/ports';
import type { NvmeDev } from './dev.js';
import { NVME_CTRL_PAGE_SIZE, SQE_BYTES } from './limits.js';

const TWO_32 = 4294967296;
/** A shallower queue is better kept in host memory. */
const MIN_CMB_QUEUE_DEPTH = 64;

/** A mapped buffer and who has its pages. */
export class NvmeCmb {
  readonly region: MmioRegion;
  /** Where the buffer begins in the region, and on the bus. */
  readonly offset: number;
  readonly busAddr: number;
  readonly sizeBytes: number;
  /** 1 for a page in use. */
  private readonly pages: Uint8Array;

  constructor(region: MmioRegion, offset: number, busAddr: number, sizeBytes: number) {
    this.region = region;
    this.offset = offset;
    this.busAddr = busAddr;
    this.sizeBytes = sizeBytes;
    this.pages = new Uint8Array(Math.floor(sizeBytes / NVME_CTRL_PAGE_SIZE));
  }

  /** Whole pages, the first that are free; null: there are not so many in a row. @kernel drivers/pci/p2pdma.c pci_alloc_p2pmem */
  alloc(sizeBytes: number): CmbMemory | null {
    const count = pagesOf(sizeBytes);
    let run = 0;
    for (let page = 0; page < this.pages.length; page++) {
      run = this.pages[page] === 0 ? run + 1 : 0;
      if (run < count) continue;
      const first = page - count + 1;
      this.pages.fill(1, first, page + 1);
      return new CmbMemory(this, first * NVME_CTRL_PAGE_SIZE, sizeBytes);
    }
    return null;
  }

  /** The same memory in a mapping made anew. */
  claim(memory: CmbMemory): void {
    const first = memory.offset / NVME_CTRL_PAGE_SIZE;
    this.pages.fill(1, first, first + pagesOf(memory.sizeBytes));
    memory.cmb = this;
  }

  /** @kernel drivers/pci/p2pdma.c pci_free_p2pmem */
  free(memory: CmbMemory): void {
    const first = memory.offset / NVME_CTRL_PAGE_SIZE;
    this.pages.fill(0, first, first + pagesOf(memory.sizeBytes));
  }
}

function pagesOf(sizeBytes: number): number {
  return Math.floor((sizeBytes + NVME_CTRL_PAGE_SIZE - 1) / NVME_CTRL_PAGE_SIZE);
}

/** Memory of the device that only the CPU writes; publishing puts it on the bus. */
export class CmbMemory implements CoherentMemory {
  readonly busAddr: number;
  readonly sizeBytes: number;
  readonly bytes: Uint8Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  readonly isShared = false;
  /** Within the buffer. */
  readonly offset: number;
  cmb: NvmeCmb;

  constructor(cmb: NvmeCmb, offset: number, sizeBytes: number) {
    this.cmb = cmb;
    this.offset = offset;
    this.busAddr = cmb.busAddr + offset;
    this.sizeBytes = sizeBytes;
    this.bytes = new Uint8Array(sizeBytes);
    this.u32 = new Uint32Array(this.bytes.buffer);
    this.view = new DataView(this.bytes.buffer);
  }

  /** @kernel include/linux/io.h memcpy_toio */
  publish(offset: number, lengthBytes: number): void {
    const { cmb, u32 } = this;
    const base = cmb.offset + this.offset;
    for (let at = offset; at < offset + lengthBytes; at += 4) cmb.region.writel(base + at, u32[at >>> 2] as number);
  }

  /** The controller never writes a submission queue. */
  acquire(): void {}
}

/** Bytes of the buffer and where it begins in its BAR. */
function extent(dev: NvmeDev): { readonly sizeBytes: number; readonly offset: number } {
  const unit = 4096 * 16 ** CMBSZ.SZU.get(dev.cmbsz);
  return { sizeBytes: unit * CMBSZ.SZ.get(dev.cmbsz), offset: unit * CMBLOC.OFST.get(dev.cmbloc) };
}

/**
 * Looks for a buffer and maps it. A buffer that is kept over resets is mapped once; what does not fit its BAR is cut off.
 * Without one, or when it cannot be mapped, the driver does without. @kernel drivers/nvme/host/pci.c nvme_map_cmb
 */
export function nvmeMapCmb(dev: NvmeDev): void {
  const { features, params } = dev.driver;
  const { cmb } = features;
  const { bar } = dev;
  if (dev.cmb !== null || bar === null) return;
  const needsEnable = cmb.enables && NVME_CAP_CMBS(dev.ctrl.cap.lo, dev.ctrl.cap.hi) === 1;
  if (needsEnable) bar.writel(NVME_REG_CMBMSC, NVME_CMBMSC_CRE);
  dev.cmbsz = bar.readl(NVME_REG_CMBSZ);
  if (cmb.enables ? dev.cmbsz === 0 : CMBSZ.SZ.get(dev.cmbsz) === 0) return;
  dev.cmbloc = bar.readl(NVME_REG_CMBLOC);
  if (!cmb.enables && params.use_cmb_sqes !== true) return;
  const { sizeBytes, offset } = extent(dev);
  const index = CMBLOC.BIR.get(dev.cmbloc);
  const resource = dev.pdev.bars[index] ?? null;
  if (resource === null || offset > resource.sizeBytes) return;
  const busAddr = resource.start + offset;
  if (needsEnable) {
    // High half first: the low one takes effect.
    bar.writel(NVME_REG_CMBMSC + 4, Math.floor(busAddr / TWO_32));
    bar.writel(NVME_REG_CMBMSC, ((busAddr % TWO_32) | NVME_CMBMSC_CRE | NVME_CMBMSC_CMSE) >>> 0);
  }
  const fitting = Math.min(sizeBytes, resource.sizeBytes - offset);
  const region = dev.deps.pciBus.ioremap(dev.pdev, index, offset + fitting);
  if (region === null) {
    if (cmb.enables) dev.kernel.printk.print('warn', `nvme ${dev.ctrl.name}: failed to register the CMB`);
    return;
  }
  const mapped = new NvmeCmb(region, offset, busAddr, fitting);
  for (const { sqMemory } of dev.queues) if (sqMemory instanceof CmbMemory) mapped.claim(sqMemory);
  dev.cmb = mapped;
  dev.cmbUseSqes = params.use_cmb_sqes === true && (dev.cmbsz & NVME_CMBSZ_SQS) !== 0;
}

/** Ends the mapping; no queue is used any more. Task context. @kernel drivers/nvme/host/pci.c nvme_release_cmb */
export function nvmeReleaseCmb(dev: NvmeDev): void {
  if (dev.cmb === null) return;
  dev.deps.pciBus.iounmap(dev.pdev, dev.cmb.region);
  dev.cmb = null;
  dev.cmbUseSqes = false;
}

/** Where the mapping does not outlive a disabled controller, it ends here; true: its file is to go. Task context. */
export function releaseCmbOnDisable(dev: NvmeDev): boolean {
  if (dev.driver.features.cmb.keeps || dev.cmb === null) return false;
  nvmeReleaseCmb(dev);
  dev.cmbsz = 0;
  return true;
}

/** Fits the depth of the I/O queues to the buffer; when they would be too shallow they go to host memory. @kernel drivers/nvme/host/pci.c nvme_cmb_qdepth */
export function nvmeCmbQdepth(dev: NvmeDev, nrIoQueues: number): void {
  const { cmb } = dev;
  if (cmb === null || !dev.cmbUseSqes) return;
  const entryBytes = sqeBytesOf(dev);
  const aligned = pagesOf(dev.qDepth * entryBytes) * NVME_CTRL_PAGE_SIZE;
  if (aligned * nrIoQueues <= cmb.sizeBytes) return;
  const perQueue = Math.floor(cmb.sizeBytes / nrIoQueues / NVME_CTRL_PAGE_SIZE) * NVME_CTRL_PAGE_SIZE;
  const depth = Math.floor(perQueue / entryBytes);
  if (depth < MIN_CMB_QUEUE_DEPTH) {
    dev.cmbUseSqes = false;
    return;
  }
  dev.qDepth = depth;
  dev.ctrl.sqsize = depth - 1;
}

/** From one entry of an I/O queue to the next; some of Apple's controllers take twice what a command fills. @kernel drivers/nvme/host/pci.c nvme_dev.io_sqes */
export function sqeBytesOf(dev: NvmeDev): number {
  return dev.ctrl.quirks & NVME_QUIRK_128_BYTES_SQES ? 2 * SQE_BYTES : SQE_BYTES;
}

/** Memory for a submission queue in the buffer; null: it has to be host memory. @kernel drivers/nvme/host/pci.c nvme_alloc_sq_cmds */
export function allocSqInCmb(dev: NvmeDev, qid: number, sizeBytes: number): CmbMemory | null {
  return qid > 0 && dev.cmbUseSqes && dev.cmb !== null ? dev.cmb.alloc(sizeBytes) : null;
}
