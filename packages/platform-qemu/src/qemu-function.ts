/** One of QEMU's functions as the bench sees it: its registers, reached as the board reaches them. */

import * as regs from '@nvme-stack/pci-function';
import { type AccessSize, allOnes, type PciFunction } from '@nvme-stack/pci-function';
import type { BoardConfig } from './board-config.js';
import type { QemuLink } from './ports.js';

const SIZE_4G = 0x100000000;

export class QemuFunction implements PciFunction {
  private readonly config: BoardConfig;
  private readonly link: QemuLink;
  private readonly bus: number;
  private readonly devfn: number;

  constructor(config: BoardConfig, link: QemuLink, bus: number, devfn: number) {
    this.config = config;
    this.link = link;
    this.bus = bus;
    this.devfn = devfn;
  }

  configRead(offset: number, size: AccessSize): number {
    return this.config.peek(this.bus, this.devfn, offset, size);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    this.config.poke(this.bus, this.devfn, offset, value, size);
  }

  barRead(bar: number, offset: number, size: AccessSize): number {
    const start = this.barStart(bar);
    return start === 0 ? allOnes(size) : this.link.read(start + offset, size);
  }

  barWrite(bar: number, offset: number, value: number, size: AccessSize): void {
    const start = this.barStart(bar);
    if (start !== 0) this.link.write(start + offset, value, size);
  }

  /** Where a BAR lies; 0 while the function decodes nothing. */
  private barStart(bar: number): number {
    if ((this.configRead(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MEMORY) === 0) return 0;
    const offset = regs.PCI_BASE_ADDRESS_0 + 4 * bar;
    const low = this.configRead(offset, 4);
    const is64Bit = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
    const high = is64Bit ? this.configRead(offset + 4, 4) : 0;
    return ((low & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0) + high * SIZE_4G;
  }

  /** It stands on QEMU's board already, which calls and resets it. */
  attach(): void {}
  deferred(): void {}
  alarm(): void {}
  reset(): void {}
}
