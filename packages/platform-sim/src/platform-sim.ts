/**
 * Builds the motherboard from its description and offers it to the PCI subsystem.
 * Kernel counterpart: arch/x86/pci/acpi.c (what firmware tells of the root complex).
 */
import { createDmaDirect, createDmaMirrored, type Item, type Kernel } from '@nvme-stack/kernel';
import type { MmioRegion, PciHostBridge } from '@nvme-stack/pci-bus/ports';
import type { PciFunction } from '@nvme-stack/pci-function';
import { Board } from './board.js';
import type { BoardBus } from './board-bus.js';
import { BoardConfig } from './board-config.js';
import { BoardMmio } from './board-mmio.js';
import { q35Functions } from './chipset.js';
import { mirroredMemory, ramMemory } from './device-memory.js';
import { Iommu } from './iommu.js';
import type { Port } from './port.js';
import { addRootPorts, requireEmpty } from './port-tree.js';
import type { FoundFunction, PlatformSim, PlatformSimDeps, SlotAddress } from './ports.js';

/** Where memory of devices may lie: below 4 GiB above all RAM, and a prefetchable range far above. */
const LOW_WINDOW_START = 0xc0000000;
const LOW_WINDOW_END = 0xfebfffff;
const HIGH_WINDOW_START = 0x800000000;
const HIGH_WINDOW_END = 0xfffffffff;

interface Presence {
  readonly bus: BoardBus;
  readonly devfn: number;
  readonly present: boolean;
}

class PlatformSimImpl implements PlatformSim {
  readonly hostBridge: PciHostBridge;
  private readonly kernel: Kernel;
  private readonly board: Board;
  private readonly presence: Presence[] = [];
  /** The hot-plug interrupt. */
  private readonly presenceItem: Item;

  constructor(deps: PlatformSimDeps) {
    const { kernel } = deps;
    this.kernel = kernel;
    const mirror = deps.weakMemory === true ? mirroredMemory(kernel) : null;
    const memory = mirror === null ? ramMemory(kernel, deps.moveInRam ?? null) : mirror.memory;
    const iommu = kernel.checks === 'off' ? null : new Iommu(kernel, memory.baseAddr, memory.sizeBytes);
    this.board = new Board(kernel, deps.irqs, memory, iommu);
    for (const { devfn, function: fn } of deps.chipset === 'none' ? [] : q35Functions())
      this.board.root.insert(devfn, fn);
    addRootPorts(this.board, deps.rootPorts ?? []);
    const storageD3: { readonly bus: BoardBus; readonly devfn: number }[] = [];
    for (const slot of deps.slots) {
      const place = this.insert(slot, slot.function);
      place.bus.port?.slot?.presentAtPowerOn();
      if (slot.storageD3Enable === true) storageD3.push(place);
    }
    const ops =
      mirror === null
        ? createDmaDirect(kernel.memory, iommu, kernel.live)
        : createDmaMirrored(mirror.transport, kernel.memory, iommu, kernel.live);
    const { board } = this;
    this.hostBridge = {
      name: 'pci0000:00',
      domain: 0,
      busStart: 0,
      busEnd: 0xff,
      config: new BoardConfig(board),
      memoryWindows: windowsFor(kernel),
      ioremap: (physAddr, sizeBytes) => new BoardMmio(board, physAddr, sizeBytes),
      iounmap: (region) => unmap(kernel, region),
      dmaOps: () => ops,
      msiDomain: deps.msi === false ? null : board.vectors,
      intxRoute: (devfn, pin) => ({ hwirq: board.ioApic.lineOf(devfn, pin), chip: board.ioApic }),
      storageD3Enable: (number, devfn) => storageD3.some((at) => at.bus.number === number && at.devfn === devfn),
      numaNode: deps.numaNode ?? -1,
      nativePcieHotplug: true,
      onHotplug: null,
    };
    this.presenceItem = kernel.ex.item('hardirq', 0, (self: PlatformSimImpl) => self.tellPresence(), this);
  }

  get dmaFaults() {
    return this.board.iommu?.faults ?? [];
  }
  get dmaFaultCount() {
    return this.board.iommu?.faultCount ?? 0;
  }
  get dmaAborts() {
    return this.board.dmaAborts;
  }
  get spuriousMessages() {
    return this.board.vectors.spuriousMessages;
  }

  mappedPages(requesterId: number): number {
    return this.board.iommu?.mappedPages(requesterId) ?? 0;
  }

  functionAt(address: SlotAddress): PciFunction | null {
    const { bus, devfn } = this.place(address);
    return (bus.slots[devfn] ?? bus.find(bus.number, devfn))?.function ?? null;
  }

  busNumber(address: SlotAddress): number {
    return this.place(address).bus.number;
  }

  find(busNumber: number, devfn: number): FoundFunction | null {
    const slot = this.board.root.find(busNumber, devfn);
    if (slot === null) return null;
    const { port } = slot.bus;
    if (this.board.ports.some((one) => one === slot.function)) return { function: slot.function, address: null };
    const fn = devfn & 7;
    return { function: slot.function, address: port === null ? { slot: devfn >>> 3, fn } : { port: port.name, fn } };
  }

  plug(address: SlotAddress, fn: PciFunction): void {
    const { bus, devfn } = this.insert(address, fn);
    this.changed({ bus, devfn, present: true });
  }

  unplug(address: SlotAddress): void {
    const { bus, devfn } = this.place(address);
    if (bus.slots[devfn] === null)
      throw new RangeError(`${placeName(address)} is empty; allowed: a slot with a function`);
    bus.remove(devfn);
    this.changed({ bus, devfn, present: false });
  }

  pressAttentionButton(address: SlotAddress): void {
    const slot = this.place(address).bus.port?.slot ?? null;
    if (slot === null || !slot.hasButton)
      throw new RangeError(`${placeName(address)} has no attention button; allowed: a port with attentionButton`);
    slot.press();
  }

  private insert(address: SlotAddress, fn: PciFunction): { bus: BoardBus; devfn: number } {
    const place = this.place(address);
    requireEmpty(place.bus, place.devfn, placeName(address));
    place.bus.insert(place.devfn, fn);
    return place;
  }

  private place(address: SlotAddress): { bus: BoardBus; devfn: number } {
    const { slot = 0, fn = 0, behindPort = false, port: name } = address;
    if (!(slot >= 0 && slot < 32) || slot % 1 !== 0) throw new RangeError(`slot is ${slot}; allowed: 0..31`);
    if (!(fn >= 0 && fn < 8) || fn % 1 !== 0) throw new RangeError(`fn is ${fn}; allowed: 0..7`);
    if (name === undefined && !behindPort) return { bus: this.board.root, devfn: (slot << 3) | fn };
    const port = name === undefined ? this.rootPortAt(slot) : this.portNamed(name);
    if (port.slot === null)
      throw new RangeError(`port ${port.name} has a switch behind it; allowed: a port with a slot`);
    return { bus: port.bus, devfn: fn };
  }

  private rootPortAt(slot: number): Port {
    const port = this.board.ports.find(({ devfn, parent }) => parent === this.board.root && devfn === slot << 3);
    if (port === undefined) throw new RangeError(`slot ${slot} is not a root port; allowed: a slot named in rootPorts`);
    return port;
  }

  private portNamed(name: string): Port {
    const port = this.board.ports.find((one) => one.name === name);
    if (port !== undefined) return port;
    const names = this.board.ports.filter(({ slot }) => slot !== null).map((one) => one.name);
    throw new RangeError(
      `there is no port ${name}; allowed: ${names.length === 0 ? 'none, the board has no ports' : names.join(', ')}`,
    );
  }

  /** A port tells of its slot itself; elsewhere the platform does. */
  private changed(event: Presence): void {
    const { port } = event.bus;
    if (port === null) this.tell(event);
    else port.slot?.setPresence(event.present);
  }

  private tell(event: Presence): void {
    this.presence.push(event);
    this.kernel.ex.post(this.presenceItem);
  }

  private tellPresence(): void {
    for (let event = this.presence.shift(); event !== undefined; event = this.presence.shift()) {
      this.hostBridge.onHotplug?.({ bus: event.bus.number, devfn: event.devfn, present: event.present });
    }
  }
}

/** How a place is called in a sentence. */
function placeName({ slot = 0, fn = 0, behindPort = false, port }: SlotAddress): string {
  if (port !== undefined) return `the slot of port ${port}`;
  return behindPort ? `the slot of the root port in slot ${slot}` : `slot ${slot} function ${fn}`;
}

function windowsFor(kernel: Kernel) {
  const { sizeBytes } = kernel.memory;
  if (sizeBytes > LOW_WINDOW_START) {
    throw new RangeError(
      `memory of ${sizeBytes} bytes reaches into the devices' range; allowed: at most ${LOW_WINDOW_START}`,
    );
  }
  return [
    { start: LOW_WINDOW_START, end: LOW_WINDOW_END, prefetchable: false },
    { start: HIGH_WINDOW_START, end: HIGH_WINDOW_END, prefetchable: true },
  ];
}

function unmap(kernel: Kernel, region: MmioRegion): void {
  const mapping = region as BoardMmio;
  if (mapping.unmapped) kernel.ex.bug('iounmap of a region that is unmapped');
  mapping.unmapped = true;
}

/** Makes a motherboard; throws RangeError when the description names a place twice or one that does not exist. */
export function createPlatformSim(deps: PlatformSimDeps): PlatformSim {
  return new PlatformSimImpl(deps);
}
