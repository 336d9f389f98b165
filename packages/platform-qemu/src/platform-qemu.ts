/**
 * Builds the motherboard over a running QEMU and offers it to the PCI subsystem.
 * Kernel counterpart: arch/x86/pci/acpi.c (what firmware tells of the root complex).
 */
import { createDmaMirrored, type Item, type Kernel } from '@nvme-stack/kernel';
import type { MmioRegion, PciHostBridge } from '@nvme-stack/pci-bus/ports';
import type { PciFunction } from '@nvme-stack/pci-function';
import * as regs from '@nvme-stack/pci-function';
import { Bells } from './bells.js';
import { BoardConfig } from './board-config.js';
import { BoardMmio } from './board-mmio.js';
import { GuestMemory } from './guest-memory.js';
import { MessageDomain } from './message-domain.js';
import { OwnerTable } from './owners.js';
import { PinLines } from './pin-lines.js';
import {
  HIGH_WINDOW,
  LOW_WINDOW,
  type PlatformQemu,
  type PlatformQemuDeps,
  type QemuBoard,
  type QemuFoundFunction,
  type QemuSlotAddress,
} from './ports.js';
import { QemuFunction } from './qemu-function.js';
import { portName, RootSlots } from './root-slots.js';

const NO_FUNCTION = 0xffff;

/** A place with everything said. */
interface Place {
  readonly slot: number;
  readonly fn: number;
  readonly behindPort: boolean;
}

interface Presence {
  readonly bus: number;
  readonly present: boolean;
}

class PlatformQemuImpl implements PlatformQemu {
  readonly hostBridge: PciHostBridge;
  readonly dmaFaults: readonly never[] = [];
  readonly dmaFaultCount = 0;
  readonly dmaAborts = 0;
  private readonly kernel: Kernel;
  private readonly qemu: QemuBoard;
  private readonly config: BoardConfig;
  private readonly slots: RootSlots;
  private readonly messages: MessageDomain;
  private readonly pins: PinLines;
  private readonly presence: Presence[] = [];
  private readonly presenceItem: Item;
  private plugged = 0;

  constructor({ kernel, irqs, qemu, clock, msi = true }: PlatformQemuDeps) {
    const { link } = qemu;
    this.kernel = kernel;
    this.qemu = qemu;
    this.slots = new RootSlots(qemu);
    this.config = new BoardConfig(kernel, link, (bdf) => this.slots.isGone(bdf >>> 8));
    this.slots.config = this.config;
    this.messages = new MessageDomain(kernel, irqs, new Bells(qemu, this.config));
    this.pins = new PinLines(kernel, irqs, link);
    const owners = new OwnerTable(this.config, this.slots);
    const parts = { kernel, link, clock, owners };
    const ops = createDmaMirrored(new GuestMemory(qemu), kernel.memory, null, kernel.live);
    this.hostBridge = {
      name: 'pci0000:00',
      domain: 0,
      busStart: 0,
      busEnd: 0xff,
      config: this.config,
      memoryWindows: [LOW_WINDOW, HIGH_WINDOW],
      ioremap: (physAddr, sizeBytes) => new BoardMmio(parts, physAddr, sizeBytes),
      iounmap: (region) => unmap(kernel, region),
      dmaOps: () => ops,
      msiDomain: msi ? this.messages : null,
      intxRoute: (devfn, pin) => ({ hwirq: this.pins.lineOf(devfn, pin), chip: this.pins }),
      numaNode: -1,
      onHotplug: null,
    };
    this.presenceItem = kernel.ex.item('hardirq', 0, (self: PlatformQemuImpl) => self.tellPresence(), this);
    clock.look = () => this.look();
  }

  /** Asks QEMU, which meanwhile works, and posts the interrupts it has; returns whether there were any. */
  private look(): boolean {
    if (this.qemu.link.failure !== null) return false;
    const messages = this.messages.collect();
    return this.pins.collect() || messages;
  }

  get spuriousMessages(): number {
    return this.messages.spuriousMessages;
  }

  mappedPages(_requesterId: number): number {
    return 0;
  }

  functionAt(address: QemuSlotAddress): PciFunction | null {
    const { slot, fn, behindPort } = this.place(address);
    const bus = this.busNumber(address);
    if (behindPort && bus === 0) return null;
    return this.functionOn(bus, behindPort ? fn : slot * 8 + fn);
  }

  busNumber(address: QemuSlotAddress): number {
    const { slot, behindPort } = this.place(address);
    return behindPort ? this.slots.busOf(slot) : 0;
  }

  find(bus: number, devfn: number): QemuFoundFunction | null {
    const fn = this.functionOn(bus, devfn);
    if (fn === null) return null;
    const { rootPorts } = this.qemu;
    if (bus === 0) {
      const isPort = rootPorts.includes(devfn >>> 3);
      return { function: fn, address: isPort ? null : { slot: devfn >>> 3, fn: devfn & 7 } };
    }
    const slot = rootPorts.find((one) => this.slots.busOf(one) === bus);
    return { function: fn, address: slot === undefined ? null : { slot, fn: devfn & 7, behindPort: true } };
  }

  private functionOn(bus: number, devfn: number): PciFunction | null {
    if (this.slots.isGone(bus)) return null;
    if (this.config.peek(bus, devfn, regs.PCI_VENDOR_ID, 2) === NO_FUNCTION) return null;
    return new QemuFunction(this.config, this.qemu.link, bus, devfn);
  }

  /** The place in slots; a root port's name says in which it stands. */
  private place({ slot = 0, fn = 0, behindPort = false, port }: QemuSlotAddress): Place {
    if (port === undefined) return { slot, fn, behindPort };
    const at = this.qemu.rootPorts.find((one) => portName(one) === port);
    if (at === undefined) {
      const names = this.qemu.rootPorts.map(portName).join(', ');
      throw new RangeError(
        `there is no port ${port}; allowed: ${names === '' ? 'none, the board has no ports' : names}`,
      );
    }
    return { slot: at, fn, behindPort: true };
  }

  pressAttentionButton(_address: QemuSlotAddress): void {
    throw new RangeError("attentionButton is QEMU's to press, when a card comes or goes; allowed: unplug and plug");
  }

  plug(address: QemuSlotAddress, _fn: PciFunction): void {
    throw new RangeError(
      `slot ${this.place(address).slot} cannot take a function of this process; allowed: QEMU's own, by replug`,
    );
  }

  unplug(address: QemuSlotAddress): void {
    const { slot, behindPort } = this.place(address);
    if (!behindPort) {
      throw new RangeError(`slot ${slot} is on QEMU's root bus, where nothing can be unplugged; allowed: root ports`);
    }
    this.tell({ bus: this.slots.takeOut(slot), present: false });
  }

  replug(address: QemuSlotAddress, properties: Readonly<Record<string, unknown>>): void {
    this.plugged++;
    this.tell({ bus: this.slots.putIn(this.place(address).slot, `plugged${this.plugged}`, properties), present: true });
  }

  private tell(event: Presence): void {
    this.presence.push(event);
    this.kernel.ex.post(this.presenceItem);
  }

  private tellPresence(): void {
    for (let event = this.presence.shift(); event !== undefined; event = this.presence.shift()) {
      this.hostBridge.onHotplug?.({ bus: event.bus, devfn: 0, present: event.present });
    }
  }
}

function unmap(kernel: Kernel, region: MmioRegion): void {
  const mapping = region as BoardMmio;
  if (mapping.unmapped) kernel.ex.bug('iounmap of a region that is unmapped');
  mapping.unmapped = true;
}

/** Makes the motherboard. Throws an Error when QEMU lacks what it needs. */
export function createPlatformQemu(deps: PlatformQemuDeps): PlatformQemu {
  return new PlatformQemuImpl(deps);
}
