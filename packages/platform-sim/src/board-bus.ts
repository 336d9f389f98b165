/**
 * One bus of the board, the functions on it and the root ports that lead to further buses.
 * Kernel counterpart: none; PCIe root complex. Spec: [PCI-BRIDGE] 1.2 §3.2.5, §9.1.
 */
import { PCI_INTERRUPT_PIN, type PciFunction } from '@nvme-stack/pci-function';
import type { Board } from './board.js';
import { BoardSlot } from './board-slot.js';
import { barAddressOf, decodesMemory, sriovDecodes, vfDistance } from './function-probe.js';
import type { Port } from './port.js';

/** Where an address leads. */
export interface Decoded {
  readonly slot: BoardSlot;
  readonly bar: number;
  readonly offset: number;
}

export class BoardBus {
  readonly board: Board;
  /** The port that leads here; null for the root bus. */
  readonly port: Port | null;
  readonly slots: (BoardSlot | null)[] = new Array<BoardSlot | null>(256).fill(null);
  /** Virtual functions that have been given a place. */
  private readonly virtualSlots: BoardSlot[] = [];

  constructor(board: Board, port: Port | null) {
    this.board = board;
    this.port = port;
  }

  /** As the bridge above is programmed; 0 behind a bridge that is not. */
  get number(): number {
    return this.port === null ? this.board.busStart : this.port.secondaryBus;
  }

  /** Puts a function into its place. */
  insert(devfn: number, fn: PciFunction): BoardSlot {
    const slot = new BoardSlot(this, devfn, fn);
    this.slots[devfn] = slot;
    this.board.generation++;
    return slot;
  }

  remove(devfn: number): void {
    const slot = this.slots[devfn] as BoardSlot;
    for (const [at, vf] of [...this.virtualSlots.entries()].reverse()) {
      if (!this.board.ownsVirtual(slot, vf)) continue;
      vf.detach();
      this.virtualSlots.splice(at, 1);
    }
    slot.detach();
    this.slots[devfn] = null;
    this.board.generation++;
  }

  /** The function that answers `devfn` on bus `bus`; null for none. */
  find(bus: number, devfn: number): BoardSlot | null {
    if (this.port?.isOpen === false) return null;
    if (bus === this.number) return this.slots[devfn] ?? this.findVirtual(devfn);
    for (const port of this.board.ports) {
      if (port.parent === this && port.bus.number !== 0 && bus >= port.secondaryBus && bus <= port.subordinateBus) {
        return port.bus.find(bus, devfn);
      }
    }
    return null;
  }

  private findVirtual(devfn: number): BoardSlot | null {
    this.placeVirtual();
    for (const vf of this.virtualSlots) if (vf.devfn === devfn && vf.present) return vf;
    return null;
  }

  /** Gives every virtual function its physical function owns now a place, and takes it from those it owns no more. */
  private placeVirtual(): void {
    for (const slot of this.slots) {
      if (slot === null || slot.sriov === null || slot.function.virtualFunctions === undefined) continue;
      const owned = slot.function.virtualFunctions();
      for (const [number, fn] of owned.entries()) {
        if (this.virtualSlots.some((vf) => vf.function === fn)) continue;
        const devfn = (slot.devfn + vfDistance(slot.function, slot.sriov, number)) & 0xff;
        const vf = new BoardSlot(this, devfn, fn);
        this.board.adoptVirtual(slot, vf);
        this.virtualSlots.push(vf);
      }
      for (const [at, vf] of [...this.virtualSlots.entries()].reverse()) {
        if (!this.board.ownsVirtual(slot, vf) || owned.includes(vf.function)) continue;
        vf.detach();
        this.virtualSlots.splice(at, 1);
      }
    }
  }

  /** The function and BAR an address leads to; null when nothing answers. */
  decode(address: number): Decoded | null {
    this.placeVirtual();
    for (const slot of this.slots) {
      if (slot === null) continue;
      const hit = decodeBars(slot, address) ?? this.decodeVirtual(slot, address);
      if (hit !== null) return hit;
    }
    for (const port of this.board.ports) {
      if (port.parent !== this || !port.isOpen || !port.forwards(address)) continue;
      const hit = port.bus.decode(address);
      if (hit !== null) return hit;
    }
    return null;
  }

  private decodeVirtual(slot: BoardSlot, address: number): Decoded | null {
    const { sriov } = slot;
    if (sriov === null || !sriovDecodes(slot.function, sriov)) return null;
    const functions = slot.function.virtualFunctions?.() ?? [];
    for (const bar of sriov.bars) {
      const offset = address - barAddressOf(slot.function, bar);
      const fn = offset < 0 ? undefined : functions[Math.floor(offset / bar.sizeBytes)];
      const vf = this.virtualSlots.find((candidate) => candidate.function === fn);
      if (vf !== undefined) return { slot: vf, bar: bar.index, offset: offset % bar.sizeBytes };
    }
    return null;
  }

  /** The interrupt line a function's pin reaches from here; -1: none. */
  intxLine(devfn: number, fn: PciFunction): number {
    let pin = fn.configRead(PCI_INTERRUPT_PIN, 1);
    if (pin < 1 || pin > 4) return -1;
    let at = devfn;
    for (let { port } = this as BoardBus; port !== null; { port } = port.parent) {
      pin = ((pin - 1 + (at >>> 3)) & 3) + 1;
      at = port.devfn;
    }
    return this.board.ioApic.lineOf(at, pin);
  }

  /** Resets everything on the bus, as the bridge above was told. */
  reset(): void {
    for (const slot of this.slots) if (slot !== null) slot.reset();
    this.board.generation++;
  }

  /** Power of the card comes or goes; a card comes up as after a reset. */
  setPower(on: boolean): void {
    for (const slot of this.slots) slot?.setPower(on);
    this.board.generation++;
  }

  renumber(): void {
    for (const slot of this.slots) if (slot !== null) slot.renumber();
    for (const vf of this.virtualSlots) vf.renumber();
  }
}

function decodeBars(slot: BoardSlot, address: number): Decoded | null {
  if (slot.bars.length === 0 || !decodesMemory(slot.function)) return null;
  for (const bar of slot.bars) {
    const offset = address - barAddressOf(slot.function, bar);
    if (offset >= 0 && offset < bar.sizeBytes) return { slot, bar: bar.index, offset };
  }
  return null;
}
