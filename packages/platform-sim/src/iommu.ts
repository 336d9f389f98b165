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
  PAGE_SIZE,
} from '@nvme-stack/kernel';
import type { DmaFault } from './ports.js';

const DIRECTIONS = 4;
const FAULTS_KEPT = 1024;

/** Mapped pages of one requester; index `page * 4 + direction`. */
class Domain {
  readonly counts: Uint16Array;
  mapped = 0;

  constructor(pages: number) {
    this.counts = new Uint16Array(pages * DIRECTIONS);
  }
}

/** Stands behind the DMA API as its observer, and before memory as the devices' gate. */
export class Iommu implements DmaMappingObserver {
  readonly faults: DmaFault[] = [];
  faultCount = 0;
  private readonly kernel: Kernel;
  private readonly baseAddr: number;
  private readonly pages: number;
  /** By bus number, then devfn. */
  private readonly domains: ((Domain | null)[] | null)[] = new Array(256).fill(null);

  /** Checks addresses from `baseAddr` on, `sizeBytes` of them. */
  constructor(kernel: Kernel, baseAddr: number, sizeBytes: number) {
    this.kernel = kernel;
    this.baseAddr = baseAddr;
    this.pages = Math.floor((sizeBytes + PAGE_SIZE - 1) / PAGE_SIZE);
  }

  map(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    const domain = this.domainFor(requesterId);
    const last = this.pageOf(busAddr + lengthBytes - 1);
    for (let page = this.pageOf(busAddr); page <= last; page++) {
      const at = page * DIRECTIONS + direction;
      domain.counts[at] = (domain.counts[at] as number) + 1;
      domain.mapped++;
    }
  }

  unmap(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): void {
    const domain = this.domainFor(requesterId);
    const last = this.pageOf(busAddr + lengthBytes - 1);
    for (let page = this.pageOf(busAddr); page <= last; page++) {
      const at = page * DIRECTIONS + direction;
      const count = domain.counts[at] as number;
      if (!(count > 0)) this.unmapBug(requesterId, busAddr, lengthBytes, direction);
      domain.counts[at] = count - 1;
      domain.mapped--;
    }
  }

  /** Whether a device may do this; a refusal is recorded. Device context. */
  allows(requesterId: number, busAddr: number, lengthBytes: number, isWrite: boolean): boolean {
    const bus = this.domains[requesterId >>> 8] as (Domain | null)[] | null;
    const domain = bus === null ? null : (bus[requesterId & 0xff] as Domain | null);
    if (domain !== null) {
      const { counts } = domain;
      const oneWay = isWrite ? DMA_FROM_DEVICE : DMA_TO_DEVICE;
      const last = this.pageOf(busAddr + lengthBytes - 1);
      let page = this.pageOf(busAddr);
      while (page <= last) {
        const at = page * DIRECTIONS;
        if (!((counts[at + DMA_BIDIRECTIONAL] as number) > 0) && !((counts[at + oneWay] as number) > 0)) break;
        page++;
      }
      if (page > last) return true;
    }
    this.fault(requesterId, busAddr, lengthBytes, isWrite);
    return false;
  }

  /** Pages mapped at present. */
  mappedPages(requesterId: number): number {
    return this.domains[requesterId >>> 8]?.[requesterId & 0xff]?.mapped ?? 0;
  }

  private pageOf(busAddr: number): number {
    return Math.floor((busAddr - this.baseAddr) / PAGE_SIZE);
  }

  private domainFor(requesterId: number): Domain {
    const number = requesterId >>> 8;
    let bus = this.domains[number] as (Domain | null)[] | null;
    if (bus === null) {
      bus = new Array<Domain | null>(256).fill(null);
      this.domains[number] = bus;
    }
    let domain = bus[requesterId & 0xff] as Domain | null;
    if (domain === null) {
      domain = new Domain(this.pages);
      bus[requesterId & 0xff] = domain;
    }
    return domain;
  }

  private unmapBug(requesterId: number, busAddr: number, lengthBytes: number, direction: DmaDirection): never {
    const what = `${lengthBytes} bytes at 0x${busAddr.toString(16)}, direction ${direction}`;
    return this.kernel.ex.bug(`${bdfText(requesterId)}: DMA unmap of what is not mapped: ${what}`);
  }

  /** @kernel drivers/iommu/intel/dmar.c dmar_fault_do_one */
  private fault(requesterId: number, busAddr: number, lengthBytes: number, isWrite: boolean): void {
    this.faultCount++;
    if (this.faults.length >= FAULTS_KEPT) return;
    const { printk, ex, profile } = this.kernel;
    this.faults.push({ timeNs: ex.now(), requesterId, busAddr, lengthBytes, isWrite });
    const page = (busAddr - (busAddr % PAGE_SIZE)).toString(16);
    const access = isWrite ? 'Write' : 'Read';
    const why = `PTE ${access} access is not set`;
    const modern = profile === '6.1' || profile === '6.12';
    const code = isWrite ? '05' : '06';
    printk.print('err', 'DMAR: DRHD: handling fault status reg 2');
    printk.print(
      'err',
      modern
        ? `DMAR: [DMA ${access} NO_PASID] Request device [${bdfText(requesterId)}] fault addr 0x${page} [fault reason 0x${code}] ${why}`
        : `DMAR: [DMA ${access}] Request device [${bdfText(requesterId)}] fault addr ${page} [fault reason ${code}] ${why}`,
    );
  }
}

/** `00:04.0`. */
export function bdfText(requesterId: number): string {
  const two = (value: number): string => value.toString(16).padStart(2, '0');
  return `${two(requesterId >>> 8)}:${two((requesterId >>> 3) & 31)}.${requesterId & 7}`;
}
