/**
 * A root port: a bridge with a hot-plug slot behind it.
 * Kernel counterpart: what drivers/pci/pcie/portdrv.c binds to. Spec: [PCI-BRIDGE] 1.2 §3.2, [PCIe] 5.0 §7.5.3.9.
 */

import type { AccessSize, PciFunction, PciHost } from '@nvme-stack/pci-function';
import * as regs from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import { BoardBus } from './board-bus.js';
import type { RootPortDescription } from './ports.js';

const EXPRESS_OFFSET = 0x54;
const POWER_OFFSET = 0x90;
/** A generic root port. @kernel include/linux/pci_ids.h PCI_VENDOR_ID_REDHAT */
const IDENTITY = { vendorId: 0x1b36, deviceId: 0x000c, revisionId: 0, classCode: 0x060400, interruptPin: 1 };
const SIZE_4G = 0x100000000;

export class RootPort implements PciFunction {
  readonly devfn: number;
  readonly parent: BoardBus;
  /** The bus behind it, with its one slot. */
  readonly bus: BoardBus;
  private readonly config = new regs.ConfigSpace();
  private inReset = false;

  constructor(board: Board, parent: BoardBus, description: RootPortDescription) {
    this.devfn = description.slot << 3;
    this.parent = parent;
    this.bus = new BoardBus(board, this);
    regs.writeBridgeHeader(this.config, IDENTITY);
    regs.addExpress(this.config, {
      offset: EXPRESS_OFFSET,
      type: regs.PCI_EXP_TYPE_ROOT_PORT,
      slotNumber: description.physicalSlot ?? description.slot,
      linkSpeed: 4,
      linkWidth: 4,
    });
    regs.addPowerManagement(this.config, POWER_OFFSET);
  }

  get secondaryBus(): number {
    return this.config.read(regs.PCI_SECONDARY_BUS, 1);
  }

  get subordinateBus(): number {
    return this.config.read(regs.PCI_SUBORDINATE_BUS, 1);
  }

  /** Whether an address lies in one of its windows and it forwards memory. */
  forwards(address: number): boolean {
    if ((this.config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MEMORY) === 0) return false;
    return this.inWindow(address, regs.PCI_MEMORY_BASE, 0, 0) || this.inPrefetchableWindow(address);
  }

  private inPrefetchableWindow(address: number): boolean {
    const base = this.config.read(regs.PCI_PREF_BASE_UPPER32, 4);
    const limit = this.config.read(regs.PCI_PREF_LIMIT_UPPER32, 4);
    return this.inWindow(address, regs.PCI_PREF_MEMORY_BASE, base, limit);
  }

  private inWindow(address: number, at: number, upperBase: number, upperLimit: number): boolean {
    const base = (this.config.read(at, 2) & regs.PCI_MEMORY_RANGE_MASK) * 0x10000 + upperBase * SIZE_4G;
    const limit = (this.config.read(at + 2, 2) & regs.PCI_MEMORY_RANGE_MASK) * 0x10000 + 0xfffff + upperLimit * SIZE_4G;
    // Base and limit of zero are what an unprogrammed window reads as.
    return limit > 0xfffff && address >= base && address <= limit;
  }

  /** Shows in the slot and link status whether a card is there. */
  setPresence(present: boolean): void {
    const at = EXPRESS_OFFSET;
    const slot = present ? regs.PCI_EXP_SLTSTA_PDS : 0;
    this.config.set(at + regs.PCI_EXP_SLTSTA, slot | regs.PCI_EXP_SLTSTA_PDC | regs.PCI_EXP_SLTSTA_DLLSC, 2);
    const link = this.config.read(at + regs.PCI_EXP_LNKSTA, 2) & ~regs.PCI_EXP_LNKSTA_DLLLA;
    this.config.set(at + regs.PCI_EXP_LNKSTA, link | (present ? regs.PCI_EXP_LNKSTA_DLLLA : 0), 2);
  }

  attach(_host: PciHost): void {}

  configRead(offset: number, size: AccessSize): number {
    return this.config.read(offset, size);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    this.config.write(offset, value, size);
    this.bus.renumber();
    const asked = (this.config.read(regs.PCI_BRIDGE_CONTROL, 2) & regs.PCI_BRIDGE_CTL_BUS_RESET) !== 0;
    if (asked && !this.inReset) this.bus.reset();
    this.inReset = asked;
  }

  barRead(_bar: number, _offset: number, size: AccessSize): number {
    return regs.allOnes(size);
  }

  barWrite(): void {}
  deferred(): void {}
  alarm(): void {}

  reset(): void {
    regs.resetHeader(this.config);
    this.inReset = false;
    this.bus.reset();
  }
}
