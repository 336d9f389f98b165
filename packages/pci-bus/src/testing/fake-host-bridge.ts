/**
 * A host bridge over plain arrays of functions: enough to enumerate, map, interrupt and hot-plug in tests.
 * Kernel counterpart: none; stands where a platform stands.
 */
import type { IrqChip, IrqDomain } from '@nvme-stack/irq/ports';
import { createDmaDirect, type DmaOps, type Kernel } from '@nvme-stack/kernel';
import type { PciFunction, PciHost } from '@nvme-stack/pci-function';
import * as regs from '@nvme-stack/pci-function';
import type { MmioRegion, PciConfigAccess, PciHostBridge } from '../ports.js';

/** A function and where it stands; `behind` is the devfn of the bridge on bus 0 that leads to it. */
export interface FakeSlot {
  readonly devfn: number;
  readonly function: PciFunction;
  readonly behind?: number;
}

/** What a fake host bridge is made of. */
export interface FakeHostBridgeOptions {
  readonly kernel: Kernel;
  readonly slots: readonly FakeSlot[];
  readonly msiDomain?: IrqDomain | null;
  readonly intxChip?: IrqChip;
  readonly memoryWindows?: PciHostBridge['memoryWindows'];
  readonly numaNode?: number;
}

/** One interrupt message or pin change of a function on the fake board. */
export interface FakeSignal {
  readonly devfn: number;
  readonly kind: 'msi' | 'intx';
  readonly a: number;
  readonly b: number;
}

class FakeRegion implements MmioRegion {
  readonly sizeBytes: number;
  private readonly bridge: FakeHostBridge;
  private readonly physAddr: number;

  constructor(bridge: FakeHostBridge, physAddr: number, sizeBytes: number) {
    this.bridge = bridge;
    this.physAddr = physAddr;
    this.sizeBytes = sizeBytes;
  }

  readl(offset: number): number {
    const hit = this.bridge.decode(this.physAddr + offset);
    return hit === null ? 0xffffffff : hit.function.barRead(hit.bar, hit.offset, 4);
  }

  writel(offset: number, value: number): void {
    const hit = this.bridge.decode(this.physAddr + offset);
    if (hit !== null) hit.function.barWrite(hit.bar, hit.offset, value, 4);
  }
}

/** Slots may be changed while a test runs: `slots` is the truth. */
export class FakeHostBridge implements PciHostBridge {
  readonly name = 'pci0000:00';
  readonly domain = 0;
  readonly busStart = 0;
  readonly busEnd = 0xff;
  readonly numaNode: number;
  readonly memoryWindows: PciHostBridge['memoryWindows'];
  readonly msiDomain: IrqDomain | null;
  readonly slots: FakeSlot[] = [];
  readonly signals: FakeSignal[] = [];
  /** Mapped and not unmapped. */
  readonly mapped = new Set<MmioRegion>();
  readonly config: PciConfigAccess;
  onHotplug: PciHostBridge['onHotplug'] = null;
  private readonly ops: DmaOps;
  private readonly intxChip: IrqChip | null;

  constructor(options: FakeHostBridgeOptions) {
    this.ops = createDmaDirect(options.kernel.memory, null, options.kernel.live);
    this.msiDomain = options.msiDomain ?? null;
    this.intxChip = options.intxChip ?? null;
    this.numaNode = options.numaNode ?? -1;
    this.memoryWindows = options.memoryWindows ?? [
      { start: 0xc0000000, end: 0xcfffffff, prefetchable: false },
      { start: 0x800000000, end: 0x8ffffffff, prefetchable: true },
    ];
    for (const slot of options.slots) this.add(slot);
    this.config = {
      read: (bus, devfn, offset, size) => this.find(bus, devfn)?.configRead(offset, size) ?? regs.allOnes(size),
      write: (bus, devfn, offset, value, size) => this.find(bus, devfn)?.configWrite(offset, value, size),
    };
  }

  /** Attaches a function; nobody is told. */
  add(slot: FakeSlot): void {
    slot.function.attach(this.hostOf(slot));
    this.slots.push(slot);
  }

  /** Takes a function out; nobody is told. */
  take(devfn: number, behind?: number): void {
    const at = this.slots.findIndex((slot) => slot.devfn === devfn && slot.behind === behind);
    if (at >= 0) this.slots.splice(at, 1);
  }

  ioremap(physAddr: number, sizeBytes: number): MmioRegion {
    const region = new FakeRegion(this, physAddr, sizeBytes);
    this.mapped.add(region);
    return region;
  }

  iounmap(region: MmioRegion): void {
    if (!this.mapped.delete(region)) throw new Error('iounmap of what is not mapped');
  }

  dmaOps(): DmaOps {
    return this.ops;
  }

  intxRoute(devfn: number, pin: number): { readonly hwirq: number; readonly chip: IrqChip } | null {
    return this.intxChip === null ? null : { hwirq: 16 + (((devfn >>> 3) + pin - 1) & 3), chip: this.intxChip };
  }

  /** Where an address leads; windows of bridges are not looked at. */
  decode(address: number): { readonly function: PciFunction; readonly bar: number; readonly offset: number } | null {
    for (const { function: fn } of this.slots) {
      if ((fn.configRead(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MEMORY) === 0) continue;
      const hit = decodeBars(fn, address);
      if (hit !== null) return { function: fn, ...hit };
    }
    return null;
  }

  private find(bus: number, devfn: number): PciFunction | null {
    for (const slot of this.slots) if (slot.devfn === devfn && this.busOf(slot) === bus) return slot.function;
    return null;
  }

  private busOf(slot: FakeSlot): number {
    if (slot.behind === undefined) return 0;
    const bridge = this.slots.find((other) => other.behind === undefined && other.devfn === slot.behind);
    // A bridge that has not been given a number leads nowhere.
    return bridge === undefined ? -1 : bridge.function.configRead(regs.PCI_SECONDARY_BUS, 1) || -1;
  }

  private hostOf(slot: FakeSlot): PciHost {
    return {
      dmaRead: () => regs.DMA_MASTER_ABORT,
      dmaWrite: () => regs.DMA_MASTER_ABORT,
      msi: (address, data) => void this.signals.push({ devfn: slot.devfn, kind: 'msi', a: address, b: data }),
      intx: (level) => void this.signals.push({ devfn: slot.devfn, kind: 'intx', a: level ? 1 : 0, b: 0 }),
      nowNs: () => 0,
      alarmAt: () => {},
      defer: () => {},
      random: () => 0,
      tracing: false,
      trace: () => {},
    };
  }
}

function decodeBars(fn: PciFunction, address: number): { bar: number; offset: number } | null {
  for (let bar = 0; bar < 6; bar++) {
    const at = regs.PCI_BASE_ADDRESS_0 + 4 * bar;
    const low = fn.configRead(at, 4);
    const wide = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
    const start = ((low & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0) + (wide ? fn.configRead(at + 4, 4) * 0x100000000 : 0);
    fn.configWrite(at, 0xffffffff, 4);
    const mask = (fn.configRead(at, 4) & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
    fn.configWrite(at, low, 4);
    const size = 0x100000000 - mask;
    if (mask !== 0 && start !== 0 && address >= start && address < start + size)
      return { bar, offset: address - start };
    if (wide) bar++;
  }
  return null;
}
