/**
 * Configuration access by bus, device and function; all ones where nothing is.
 * Kernel counterpart: arch/x86/pci/mmconfig_64.c (the hardware below it). Spec: [PCIe] 5.0 §7.2.2.
 */

import type { PciConfigAccess } from '@nvme-stack/pci-bus/ports';
import { type AccessSize, allOnes } from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import { CONFIG_READ, CONFIG_WRITE } from './trace-events.js';

export class BoardConfig implements PciConfigAccess {
  private readonly board: Board;

  constructor(board: Board) {
    this.board = board;
  }

  read(bus: number, devfn: number, offset: number, size: AccessSize): number {
    const { ex, costs, trace } = this.board.kernel;
    ex.assertAwake('pci_cfg_read');
    ex.charge(costs.mmioReadNs);
    const slot = this.board.root.find(bus, devfn);
    if (slot === null) return allOnes(size);
    const value = slot.function.configRead(offset, size);
    if (trace.events) trace.event(CONFIG_READ, bus * 256 + devfn, offset, value, size);
    return value;
  }

  write(bus: number, devfn: number, offset: number, value: number, size: AccessSize): void {
    const { ex, costs, trace } = this.board.kernel;
    ex.assertAwake('pci_cfg_write');
    ex.charge(costs.mmioWriteNs);
    const slot = this.board.root.find(bus, devfn);
    if (slot === null) return;
    if (trace.events) trace.event(CONFIG_WRITE, bus * 256 + devfn, offset, value, size);
    slot.function.configWrite(offset, value, size);
    // BARs, windows, decoding, power state: any write may have moved something.
    this.board.generation++;
  }
}
