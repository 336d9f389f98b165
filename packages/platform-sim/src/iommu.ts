/**
 * Checks what devices do with memory against what is mapped for them: pages, counted by direction, one domain for
 * each requester. Bus addresses are physical ones; nothing is translated.
 * Kernel counterpart: drivers/iommu/intel/ (the checks of a DMAR), kernel/dma/debug.c.
 */
import {
  DMA_BIDIRECTIONAL,
  DMA_FROM_DEVICE,
  DMA_TO_DEVICE,
  type DmaDirection,
  type DmaMappingObserver,
  type Kernel,
  PAGE_SHIFT,
  PAGE_SIZE,
} from '@nvme-stack/kernel';
import { PLATFORM_SIM_ERAS, type PlatformSimEra } from './eras.js';
import type { DmaFault } from './ports.js';

const DIRECTIONS = 4;
const FAULTS_KEPT = 1024;

/** Mapped pages of one requester; index `page * 4 + direction`. */
export class IommuDomain {
  readonly counts: Uint16Array;
  mapped = 0;
  private readonly baseAddr: number;

  constructor(baseAddr: number, pages: number) {
    this.baseAddr = baseAddr;
    this.counts = new Uint16Array(pages * DIRECTIONS);
  }

  /** The page of an address within the checked range, which is at most 4 GiB. */
  pageOf(busAddr: number): number {
    return (busAddr - this.baseAddr) >>> PAGE_SHIFT;
  }

  /** Whether every page of an access within the checked range is mapped that way. */
  allows(busAddr: number, lengthBytes: number, isWrite: boolean): boolean {
    const { counts } = this;
    const oneWay = isWrite ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
    const last = this.pageOf(busAddr + lengthBytes - 1);
    for (let page = this.pageOf(busAddr); page <= last; page++) {
      const at = page * DIRECTIONS;
      if (counts[at + DMA_BIDIRECTIONAL] === 0 && counts[at + oneWay] === 0) return false;
    }
    return true;
  }
}

/** Stands behind the DMA API as its observer, and before memory as the devices' gate. */
export class Iommu implements DmaMappingObserver {
  readonly faults: DmaFault[] = [];
  faultCount = 0;
  private readonly kernel: Kernel;
  private readonly era: PlatformSimEra;
  private readonly baseAddr: number;
  private readonly pages: number;
  /** By bus number, then devfn. */
  private readonly domains: ((IommuDomain | null)[] | null)[] = new Array(256).fill(null);

  /** Checks addresses from `baseAddr` on, `sizeBytes` of them. */
  constructor(kernel: Kernel, baseAddr: number, sizeBytes: number) {
    this.kernel = kernel;
    this.era = PLATFORM_SIM_ERAS[kernel.profile];
    this.baseAddr = baseAddr;
    this.pages = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
  }

  map(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    const domain = this.domainFor(requesterId);
    const last = domain.pageOf(busAddr + lengthBytes - 1);
    for (let page = domain.pageOf(busAddr); page <= last; page++) {
      const at = page * DIRECTIONS + direction;
      domain.counts[at] = (domain.counts[at] as number) + 1;
      domain.mapped++;
    }
  }

  unmap(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    const domain = this.domainFor(requesterId);
    const last = domain.pageOf(busAddr + lengthBytes - 1);
    for (let page = domain.pageOf(busAddr); page <= last; page++) {
      const at = page * DIRECTIONS + direction;
      const count = domain.counts[at] as number;
      if (!(count > 0)) this.unmapBug(requesterId, busAddr, lengthBytes, direction);
      domain.counts[at] = count - 1;
      domain.mapped--;
    }
  }

  /** Pages mapped at present. */
  mappedPages(requesterId: number): number {
    return this.domains[requesterId >>> 8]?.[requesterId & 0xff]?.mapped ?? 0;
  }

  /** What is mapped for a requester; made when it is met. */
  domainFor(requesterId: number): IommuDomain {
    const number = requesterId >>> 8;
    let bus = this.domains[number] as (IommuDomain | null)[] | null;
    if (bus === null) {
      bus = new Array<IommuDomain | null>(256).fill(null);
      this.domains[number] = bus;
    }
    let domain = bus[requesterId & 0xff] as IommuDomain | null;
    if (domain === null) {
      domain = new IommuDomain(this.baseAddr, this.pages);
      bus[requesterId & 0xff] = domain;
    }
    return domain;
  }

  private unmapBug(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): never {
    const what = `${lengthBytes} bytes at 0x${busAddr.toString(16)}, direction ${direction}`;
    return this.kernel.ex.bug(`${bdfText(requesterId)}: DMA unmap of what is not mapped: ${what}`);
  }

  /** Records a refusal. Device context. @kernel drivers/iommu/intel/dmar.c dmar_fault_do_one */
  fault(requesterId: number, busAddr: number, lengthBytes: number, isWrite: boolean): void {
    this.faultCount++;
    if (this.faults.length >= FAULTS_KEPT) return;
    const { printk, ex } = this.kernel;
    const { pasid, prefix } = this.era.dmaFault;
    this.faults.push({ timeNs: ex.now(), requesterId, busAddr, lengthBytes, isWrite });
    const page = (busAddr - (busAddr % PAGE_SIZE)).toString(16);
    const access = isWrite ? 'Write' : 'Read';
    const why = `PTE ${access} access is not set`;
    const code = isWrite ? '05' : '06';
    printk.print('err', 'DMAR: DRHD: handling fault status reg 2');
    printk.print(
      'err',
      `DMAR: [DMA ${access}${pasid}] Request device [${bdfText(requesterId)}] fault addr ${prefix}${page} [fault reason ${prefix}${code}] ${why}`,
    );
  }
}

/** `00:04.0`. */
export function bdfText(requesterId: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  return `${two(requesterId >>> 8)}:${two((requesterId >>> 3) & 31)}.${requesterId & 7}`;
}
