/**
 * The slots of root ports: a card that is taken out is gone for the kernel at once; then the slot is powered off, which
 * lets QEMU delete its device. Spec: [PCIe] 5.0 §7.5.3.10, §6.7.
 */
import * as regs from '@nvme-stack/pci-function';
import type { BoardConfig } from './board-config.js';
import type { Buses } from './owners.js';
import type { QemuBoard, QemuDevice } from './ports.js';

const SECONDARY_BUS = 0x19;
const SLOT_CONTROL = 0x18;
/** Power off, both indicators off; and power on with the power indicator. */
const SLOT_OFF = 0x07c0;
const SLOT_ON = 0x01c0;
const CAPABILITIES = 48;

export class RootSlots implements Buses {
  private readonly qemu: QemuBoard;
  private readonly goneBuses = new Set<number>();
  /** What stands in each root port's slot, by the port's slot. */
  private readonly cards = new Map<number, QemuDevice>();
  /** Set once; the configuration access asks this object who is gone. */
  config: BoardConfig | null = null;

  constructor(qemu: QemuBoard) {
    this.qemu = qemu;
    for (const device of qemu.devices) if (device.behindPort) this.cards.set(device.slot, device);
  }

  isGone(bus: number): boolean {
    return this.goneBuses.has(bus);
  }

  numbers(): readonly number[] {
    const behind = this.qemu.rootPorts.map((slot) => this.busOf(slot)).filter((bus) => bus !== 0);
    return [0, ...behind];
  }

  /** Number of the bus behind a root port; 0 while it has none. */
  busOf(slot: number): number {
    return (this.config as BoardConfig).peek(0, slot * 8, SECONDARY_BUS, 1);
  }

  isTaken(slot: number): boolean {
    return this.cards.has(slot);
  }

  /** Takes the card out; returns the bus it was on. Throws a RangeError for a slot that cannot be emptied. */
  takeOut(slot: number): number {
    const card = this.cards.get(slot);
    if (card === undefined) throw new RangeError(`slot ${slot} holds no card; allowed: ${this.slots(true)}`);
    const bus = this.busOf(slot);
    this.goneBuses.add(bus);
    this.cards.delete(slot);
    this.qemu.monitor.execute('device_del', { id: card.id });
    // Without power the card leaves its bus; QEMU frees it when its own threads have let go of it.
    this.control(slot, SLOT_OFF);
    this.qemu.link.collect();
    return bus;
  }

  /** Puts a card in; returns the bus it is on. */
  putIn(slot: number, id: string, properties: Readonly<Record<string, unknown>>): number {
    if (!this.qemu.rootPorts.includes(slot) || this.isTaken(slot)) {
      throw new RangeError(`slot ${slot} takes no card; allowed: ${this.slots(false)}`);
    }
    this.control(slot, SLOT_ON);
    this.qemu.monitor.execute('device_add', { driver: 'nvme', id, bus: portName(slot), ...properties });
    this.cards.set(slot, { id, slot, behindPort: true });
    const bus = this.busOf(slot);
    this.goneBuses.delete(bus);
    return bus;
  }

  private control(slot: number, value: number): void {
    const config = this.config as BoardConfig;
    let at = config.peek(0, slot * 8, regs.PCI_CAPABILITY_LIST, 1);
    for (let left = CAPABILITIES; left > 0 && at >= 0x40; left--) {
      if (config.peek(0, slot * 8, at, 1) === regs.PCI_CAP_ID_EXP) {
        config.poke(0, slot * 8, at + SLOT_CONTROL, value, 2);
        return;
      }
      at = config.peek(0, slot * 8, at + 1, 1);
    }
  }

  private slots(taken: boolean): string {
    const slots = this.qemu.rootPorts.filter((slot) => this.cards.has(slot) === taken);
    const what = taken ? 'a root port with a card' : 'an empty root port';
    return slots.length === 0 ? `none, the board has no ${what.slice(3)}` : `${what} (slot ${slots.join(', ')})`;
  }
}

/** QEMU's name of the root port in a slot. */
export const portName = (slot: number): string => `port${slot}`;
