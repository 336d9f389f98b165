// What v86 lacks to carry a device, added once per emulator: safe points, windows, configuration accesses, snapshots.
// Kernel counterpart: none (the board). v86 0.5.462.
import { NVME_CC_ENABLE, NVME_REG_CC } from '@nvme-stack/nvme-protocol';
import {
  type AccessSize,
  allOnes,
  PCI_BASE_ADDRESS_0,
  PCI_BASE_ADDRESS_5,
  PCI_CACHE_LINE_SIZE,
  PCI_COMMAND,
  PCI_INTERRUPT_LINE,
  type PciFunction,
} from '@nvme-stack/pci-function';
import { repairAcpi } from './acpi.js';
import type { V86Cpu, V86Machine } from './internals.js';
import type { Slot } from './slot.js';
import type { Window } from './windows.js';

const EFLAGS_IF = 0x200;
const NS_PER_MS = 1e6;
const CONFIG_BYTES = 256;
const CAPABILITIES_START = 0x40;
/** v86 keeps one set of handlers per 128 KiB. */
const BLOCK_SHIFT = 17;
/** Where messages to the local APIC go, and its interrupt command register. */
const APIC_MESSAGES = 0xfee00000;
const APIC_MESSAGES_END = 0xfef00000;
const APIC_ICR = 0xfee00300;
const ICR_TO_SELF = 1 << 18;

/** A window and whose it is. */
interface Found {
  readonly fn: PciFunction;
  readonly window: Window;
}

/** Where an emulator keeps its board, so that a second controller finds the first one's. */
const BOARD = Symbol.for('@nvme-stack/v86-nvme');

/** The board of an emulator; made when the first controller is attached. */
export function boardOf(machine: V86Machine): Board {
  const holder = machine.cpu as V86Cpu & { [BOARD]?: Board };
  holder[BOARD] ??= new Board(machine);
  return holder[BOARD];
}

/**
 * The slots of one emulator. Invariant: interrupts are raised between compiled blocks only. v86 delivers them at once,
 * and inside a block with interrupts enabled that loses the block's registers.
 */
export class Board {
  readonly cpu: V86Cpu;
  readonly slots: Slot[] = [];
  /** Time of the last safe point. */
  nowNs = 0;
  readonly #machine: V86Machine;
  readonly #openBlocks = new Set<number>();
  /** Level of each of the four lines that pins are wired to. */
  readonly #lines = [false, false, false, false];
  #isServing = false;
  #found: Found | null = null;

  constructor(machine: V86Machine) {
    this.#machine = machine;
    this.cpu = machine.cpu;
    repairAcpi(this.cpu);
    this.#takeTimers();
    this.#takeConfiguration();
    this.#takeSnapshots();
    this.#takeReboot();
  }

  /** v86 has a local APIC and an I/O APIC together with ACPI. */
  get hasApic(): boolean {
    return this.cpu.devices.acpi !== undefined;
  }

  get ramBytes(): number {
    return this.cpu.memory_size[0] as number;
  }

  /** Puts a function into v86's table, so that its bus sees the slot as taken and snapshots keep its space. */
  addSlot(slot: Slot): void {
    this.cpu.devices.pci.register_device({
      pci_id: slot.number << 3,
      pci_space: new Array<number>(CONFIG_BYTES).fill(0),
      pci_bars: [],
      name: 'nvme',
    });
    this.slots.push(slot);
    this.#mirror(slot);
    slot.decode();
  }

  /** Ends the main loop's idling, so that a safe point comes soon. */
  wake(): void {
    if (!this.#isServing && this.#machine.isRunning()) this.cpu.stop_idling();
  }

  /** A pin rose or fell: the line follows now where that is safe, else at the next safe point. */
  pinChanged(slot: Slot): void {
    if (!slot.pin && ((this.cpu.flags[0] as number) & EFLAGS_IF) === 0) this.#driveLine(slot);
    else this.wake();
  }

  /** Posts a message: to the local APIC, or into RAM where an address says so. Safe points only. */
  deliverMessage(address: number, data: number): void {
    if (address >= APIC_MESSAGES && address < APIC_MESSAGES_END) {
      this.cpu.write32(APIC_ICR, (data & 0xff) | ICR_TO_SELF);
    } else if (address + 4 <= this.ramBytes) {
      this.cpu.write32(address, data | 0);
    }
  }

  /** Has the 128 KiB blocks under a window ask the slots first. */
  openWindow(start: number, length: number): void {
    for (let block = start >>> BLOCK_SHIFT; block <= (start + length - 1) >>> BLOCK_SHIFT; block++) {
      if (!this.#openBlocks.has(block)) this.#openBlock(block);
    }
  }

  #openBlock(block: number): void {
    this.#openBlocks.add(block);
    const { cpu } = this;
    const read8 = cpu.memory_map_read8[block];
    const write8 = cpu.memory_map_write8[block];
    const read32 = cpu.memory_map_read32[block];
    const write32 = cpu.memory_map_write32[block];
    cpu.memory_map_read8[block] = (address) => {
      const at = this.#find(address >>> 0);
      return at === null
        ? (read8?.(address) ?? allOnes(1))
        : at.fn.barRead(at.window.bar, (address >>> 0) - at.window.start, 1);
    };
    cpu.memory_map_read32[block] = (address) => {
      const at = this.#find(address >>> 0);
      return at === null
        ? (read32?.(address) ?? -1)
        : at.fn.barRead(at.window.bar, (address >>> 0) - at.window.start, 4) | 0;
    };
    cpu.memory_map_write8[block] = (address, value) => {
      const at = this.#find(address >>> 0);
      if (at === null) write8?.(address, value);
      else at.fn.barWrite(at.window.bar, (address >>> 0) - at.window.start, value & 0xff, 1);
    };
    cpu.memory_map_write32[block] = (address, value) => {
      const at = this.#find(address >>> 0);
      if (at === null) write32?.(address, value);
      else at.fn.barWrite(at.window.bar, (address >>> 0) - at.window.start, value >>> 0, 4);
    };
  }

  /** The window that answers an address. */
  #find(address: number): Found | null {
    const last = this.#found;
    if (last !== null && address >= last.window.start && address < last.window.end) return last;
    for (const slot of this.slots) {
      for (const window of slot.windows) {
        if (address < window.start || address >= window.end) continue;
        this.#found = { fn: slot.fn, window };
        return this.#found;
      }
    }
    return null;
  }

  /** The main loop asks for hardware timers between compiled blocks: the one place where an interrupt is safe. */
  #takeTimers(): void {
    const { cpu } = this;
    const original = cpu.run_hardware_timers;
    cpu.run_hardware_timers = (acpiEnabled, nowMs) => {
      const othersMs = original.call(cpu, acpiEnabled, nowMs);
      this.nowNs = Math.max(this.nowNs, Math.floor(nowMs * NS_PER_MS));
      this.#isServing = true;
      let idleNs = othersMs * NS_PER_MS;
      for (const slot of this.slots) {
        slot.service(this.nowNs);
        this.#driveLine(slot);
        idleNs = Math.min(idleNs, slot.idleNs(this.nowNs));
      }
      this.#isServing = false;
      return idleNs / NS_PER_MS;
    };
  }

  /** The line of a slot's pin; slots that share it hold it up together. */
  #driveLine(slot: Slot): void {
    const line = slot.number & 3;
    const isUp = this.slots.some((other) => (other.number & 3) === line && other.pin);
    if (isUp === this.#lines[line]) return;
    this.#lines[line] = isUp;
    const { pci } = this.cpu.devices;
    if (isUp) pci.raise_irq(slot.number << 3);
    else pci.lower_irq(slot.number << 3);
  }

  #takeConfiguration(): void {
    const { pci } = this.cpu.devices;
    const query = pci.pci_query;
    pci.pci_query = () => {
      const address = pci.pci_addr;
      const bdf = ((address[2] as number) << 8) | (address[1] as number);
      const slot = this.#slotOf(bdf);
      if (slot === null) {
        query.call(pci);
        return;
      }
      pci.pci_status32[0] = slot.isPresent ? 0x80000000 | 0 : 0;
      pci.pci_response32[0] = slot.configRead((address[0] as number) & 0xfc) | 0;
    };
    const take = (name: 'pci_write8' | 'pci_write16' | 'pci_write32', size: AccessSize): void => {
      const original = pci[name];
      pci[name] = (address, value) => {
        const slot = this.#slotOf((address >>> 8) & 0xffff);
        if (slot === null) {
          original.call(pci, address, value);
          return;
        }
        slot.configWrite(address & 0xff, size === 4 ? value >>> 0 : value & allOnes(size), size);
        this.#mirror(slot);
      };
    };
    take('pci_write8', 1);
    take('pci_write16', 2);
    take('pci_write32', 4);
  }

  #slotOf(bdf: number): Slot | null {
    for (const slot of this.slots) if (slot.number << 3 === bdf) return slot;
    return null;
  }

  /** Copies a function's configuration space to where v86 routes pins from and takes snapshots of. */
  #mirror(slot: Slot): void {
    const space = this.cpu.devices.pci.device_spaces[slot.number << 3];
    if (space === undefined) return;
    for (let offset = 0; offset < CONFIG_BYTES; offset += 4) space[offset >> 2] = slot.configRead(offset) | 0;
  }

  /** A snapshot keeps what firmware and kernel wrote into configuration space, as long as no driver has begun. */
  #takeSnapshots(): void {
    const { pci } = this.cpu.devices;
    const save = pci.get_state;
    const restore = pci.set_state;
    pci.get_state = () => {
      for (const slot of this.slots) {
        if (slot.isPresent && (slot.fn.barRead(0, NVME_REG_CC, 4) & NVME_CC_ENABLE) !== 0) {
          throw new Error(
            `slot ${slot.number} cannot be saved: its NVMe controller is enabled; unbind or unload its driver first`,
          );
        }
      }
      return save.call(pci);
    };
    pci.set_state = (state) => {
      restore.call(pci, state);
      this.#lines.fill(false);
      for (const slot of this.slots) {
        const space = pci.device_spaces[slot.number << 3];
        if (space === undefined) continue;
        const saved = space.slice();
        slot.reset();
        restoreConfiguration(slot, saved);
        this.#mirror(slot);
      }
    };
  }

  #takeReboot(): void {
    const { cpu } = this;
    const original = cpu.reboot_internal;
    cpu.reboot_internal = () => {
      original.call(cpu);
      for (const slot of this.slots) {
        slot.reset();
        this.#mirror(slot);
      }
    };
  }
}

/** Writes a saved configuration space back, the command register last. */
function restoreConfiguration(slot: Slot, saved: Int32Array): void {
  const dword = (offset: number): number => (saved[offset >> 2] as number) >>> 0;
  for (let offset = PCI_BASE_ADDRESS_0; offset <= PCI_BASE_ADDRESS_5; offset += 4) {
    slot.configWrite(offset, dword(offset), 4);
  }
  for (let offset = CAPABILITIES_START; offset < CONFIG_BYTES; offset += 4) slot.configWrite(offset, dword(offset), 4);
  slot.configWrite(PCI_CACHE_LINE_SIZE, dword(PCI_CACHE_LINE_SIZE) & 0xff, 1);
  slot.configWrite(PCI_INTERRUPT_LINE, dword(PCI_INTERRUPT_LINE) & 0xff, 1);
  slot.configWrite(PCI_COMMAND, dword(PCI_COMMAND) & 0xffff, 2);
}
