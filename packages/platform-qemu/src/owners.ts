/** Which function an address belongs to, found by the BARs of every function the kernel has met. Spec: [PCI] 3.0 §6.2.5.1. */
import * as regs from '@nvme-stack/pci-function';
import type { BoardConfig } from './board-config.js';

const SIZE_4G = 0x100000000;
const NO_FUNCTION = 0xffff;

/** A function with the BAR an address lies in. */
export interface Owner {
  readonly bus: number;
  readonly devfn: number;
  readonly barStart: number;
}

/** Buses of the board that are looked through. */
export interface Buses {
  /** The root bus and what the root ports lead to at present. */
  numbers(): readonly number[];
  isGone(bus: number): boolean;
}

export class OwnerTable {
  private readonly config: BoardConfig;
  private readonly buses: Buses;

  constructor(config: BoardConfig, buses: Buses) {
    this.config = config;
    this.buses = buses;
  }

  /** The function whose BAR begins nearest below `address`; null when none does. Control path. */
  find(address: number): Owner | null {
    let best: Owner | null = null;
    for (const bus of this.buses.numbers()) {
      // Behind a root port there is one card.
      for (let devfn = 0; devfn < (bus === 0 ? 256 : 8); devfn++) {
        if (this.config.peek(bus, devfn, regs.PCI_VENDOR_ID, 2) === NO_FUNCTION) continue;
        for (const barStart of this.bars(bus, devfn)) {
          if (barStart <= address && (best === null || barStart > best.barStart)) best = { bus, devfn, barStart };
        }
      }
    }
    return best;
  }

  private bars(bus: number, devfn: number): number[] {
    const isBridge = (this.config.peek(bus, devfn, regs.PCI_HEADER_TYPE, 1) & 0x7f) !== 0;
    const found: number[] = [];
    for (let index = 0; index < (isBridge ? 2 : 6); index++) {
      const offset = regs.PCI_BASE_ADDRESS_0 + 4 * index;
      const low = this.config.peek(bus, devfn, offset, 4);
      if ((low & regs.PCI_BASE_ADDRESS_SPACE) === regs.PCI_BASE_ADDRESS_SPACE_IO) continue;
      const is64Bit = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
      const high = is64Bit ? this.config.peek(bus, devfn, offset + 4, 4) : 0;
      const start = ((low & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0) + high * SIZE_4G;
      if (start !== 0) found.push(start);
      if (is64Bit) index++;
    }
    return found;
  }

  isGone(owner: Owner): boolean {
    return this.buses.isGone(owner.bus);
  }

  /** Whether it answers memory accesses. */
  decodes({ bus, devfn }: Owner): boolean {
    const command = this.config.peek(bus, devfn, regs.PCI_COMMAND, 2);
    return command !== NO_FUNCTION && (command & regs.PCI_COMMAND_MEMORY) !== 0;
  }
}
