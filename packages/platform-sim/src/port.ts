/**
 * A PCI Express port: a bridge, of the root complex or of a switch, with a hot-plug slot or a switch behind it.
 * Kernel counterpart: what drivers/pci/pcie/portdrv.c binds to. Spec: [PCI-BRIDGE] 1.2 §3.2, [PCIe] 5.0 §7.5.3.
 */

import type { AccessSize, PciFunction, PciHost } from '@nvme-stack/pci-function';
import * as regs from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import { BoardBus } from './board-bus.js';
import { BUTTON_SLOT, HotplugSlot } from './hotplug-slot.js';

const EXPRESS_OFFSET = 0x54;
const POWER_OFFSET = 0x90;
const MSI_OFFSET = 0x98;
/** Generic ports, and those of a switch. @kernel include/linux/pci_ids.h PCI_VENDOR_ID_REDHAT, PCI_VENDOR_ID_TI */
const IDENTITIES = {
  root: { vendorId: 0x1b36, deviceId: 0x000c, revisionId: 0, classCode: 0x060400, interruptPin: 1 },
  upstream: { vendorId: 0x104c, deviceId: 0x8232, revisionId: 2, classCode: 0x060400 },
  downstream: { vendorId: 0x104c, deviceId: 0x8233, revisionId: 1, classCode: 0x060400 },
} as const;
const TYPES = {
  root: regs.PCI_EXP_TYPE_ROOT_PORT,
  upstream: regs.PCI_EXP_TYPE_UPSTREAM,
  downstream: regs.PCI_EXP_TYPE_DOWNSTREAM,
} as const;
const SIZE_4G = 0x100000000;

/** What a port is, and where. */
export interface PortInit {
  readonly kind: 'root' | 'upstream' | 'downstream';
  readonly devfn: number;
  /** What the description calls it; of an upstream port that of the port above. */
  readonly name: string;
  /** Its hot-plug slot; null: something is soldered to it. */
  readonly slot: { readonly number: number; readonly button: boolean } | null;
}

export class Port implements PciFunction {
  readonly devfn: number;
  readonly name: string;
  readonly parent: BoardBus;
  /** The bus behind it. */
  readonly bus: BoardBus;
  /** The card's slot; null: something is soldered to it. */
  readonly slot: HotplugSlot | null;
  private readonly config = new regs.ConfigSpace();
  private readonly msi: regs.MsiCapability;
  private host: PciHost | null = null;
  private inReset = false;

  constructor(board: Board, parent: BoardBus, { kind, devfn, name, slot }: PortInit) {
    this.devfn = devfn;
    this.name = name;
    this.parent = parent;
    this.bus = new BoardBus(board, this);
    regs.writeBridgeHeader(this.config, IDENTITIES[kind]);
    regs.addExpress(this.config, {
      offset: EXPRESS_OFFSET,
      type: TYPES[kind],
      ...(slot === null
        ? {}
        : { slotNumber: slot.number, slotCapabilities: regs.PCI_EXP_SLTCAP_NCCS | (slot.button ? BUTTON_SLOT : 0) }),
      linkSpeed: 4,
      linkWidth: 4,
    });
    regs.addPowerManagement(this.config, POWER_OFFSET);
    this.msi = new regs.MsiCapability(this.config, { offset: MSI_OFFSET, vectors: 1 });
    this.slot =
      slot === null ? null : new HotplugSlot(this.config, EXPRESS_OFFSET, this.bus, (level) => this.interrupt(level));
  }

  /** Whether what is behind it can be reached. */
  get isOpen(): boolean {
    return this.slot === null || this.slot.isPowered;
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

  private interrupt(level: boolean): void {
    if (this.msi.enabled) {
      this.host?.intx(false);
      if (level) this.msi.notify(0);
    } else {
      this.host?.intx(level && (this.config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_INTX_DISABLE) === 0);
    }
  }

  attach(host: PciHost): void {
    this.host = host;
    this.msi.attach(host);
  }

  configRead(offset: number, size: AccessSize): number {
    return this.config.read(offset, size);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    const wasPowered = this.isOpen;
    this.config.write(offset, value, size);
    this.msi.configChanged();
    this.slot?.configWritten(wasPowered);
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
    this.msi.reset();
    this.inReset = false;
    this.bus.reset();
  }
}
