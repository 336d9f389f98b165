// MSI-X on the device's side: vector table, pending bits, masks; a masked edge is kept and sent on unmask.
// Kernel counterpart: what drivers/pci/msi/ programs. Spec: [PCI] 3.0 §6.8.2, §6.8.3.4.
import { addCapability } from './capabilities.js';
import { allOnes, type ConfigSpace } from './config-space.js';
import * as regs from './pci-regs.js';
import type { AccessSize, PciHost } from './ports.js';

/** Where MSI-X lies: capability, table and pending bit array. */
export interface MsixDescription {
  /** Offset of the capability in configuration space. */
  readonly offset: number;
  /** 1..2048. */
  readonly vectors: number;
  readonly tableBar: number;
  readonly tableOffset: number;
  readonly pbaBar: number;
  readonly pbaOffset: number;
}

/** A capability's memory, as plain data. */
export interface MsixSnapshot {
  readonly table: readonly number[];
  readonly pending: readonly number[];
}

const ENTRY_DWORDS = regs.PCI_MSIX_ENTRY_SIZE / 4;

/** One function's MSI-X state. Invariant: a pending bit stands exactly while an edge waits for an unmask. */
export class MsixCapability {
  readonly description: MsixDescription;
  readonly #config: ConfigSpace;
  readonly #table: Uint32Array;
  readonly #pending: Uint32Array;
  #host: PciHost | null = null;
  #enabled = false;
  #deliverable = false;
  #vectors: number;

  /** Adds the capability to config. */
  constructor(config: ConfigSpace, description: MsixDescription) {
    if (!(description.vectors >= 1 && description.vectors <= 2048)) {
      throw new RangeError(`MSI-X vectors ${description.vectors} is not allowed: it must be 1..2048`);
    }
    this.description = description;
    this.#config = config;
    this.#vectors = description.vectors;
    this.#table = new Uint32Array(description.vectors * ENTRY_DWORDS);
    this.#pending = new Uint32Array(2 * Math.floor((description.vectors + 63) / 64));
    const at = description.offset;
    addCapability(config, regs.PCI_CAP_ID_MSIX, at);
    config.set(at + regs.PCI_MSIX_FLAGS, description.vectors - 1, 2);
    config.allowWrite(at + regs.PCI_MSIX_FLAGS, regs.PCI_MSIX_FLAGS_ENABLE | regs.PCI_MSIX_FLAGS_MASKALL, 2);
    config.set(at + regs.PCI_MSIX_TABLE, (description.tableOffset | description.tableBar) >>> 0, 4);
    config.set(at + regs.PCI_MSIX_PBA, (description.pbaOffset | description.pbaBar) >>> 0, 4);
    this.reset();
  }

  /** Table and pending bits as dwords. */
  snapshot(): MsixSnapshot {
    return { table: [...this.#table], pending: [...this.#pending] };
  }

  /** Takes what a capability of the same description had; configuration space is the endpoint's. */
  restore(snapshot: MsixSnapshot): void {
    this.#table.set(snapshot.table);
    this.#pending.set(snapshot.pending);
    this.configChanged();
  }

  /** True while the host has MSI-X enabled; INTx is not used then. */
  get enabled(): boolean {
    return this.#enabled;
  }

  /** Vectors the capability states. */
  get vectors(): number {
    return this.#vectors;
  }

  /** States another number of vectors from now on: 1 to those of the description, for which table and pending bits have room. */
  setVectors(vectors: number): void {
    if (!(vectors >= 1 && vectors <= this.description.vectors)) {
      throw new RangeError(`MSI-X vectors ${vectors} is not allowed: it must be 1..${this.description.vectors}`);
    }
    this.#vectors = vectors;
    const at = this.description.offset + regs.PCI_MSIX_FLAGS;
    this.#config.set(at, (this.#config.read(at, 2) & ~regs.PCI_MSIX_FLAGS_QSIZE) | (vectors - 1), 2);
  }

  attach(host: PciHost): void {
    this.#host = host;
  }

  /** All vectors masked and nothing pending, as after a reset. */
  reset(): void {
    this.#table.fill(0);
    for (let vector = 0; vector < this.description.vectors; vector++) {
      this.#table[vector * ENTRY_DWORDS + 3] = regs.PCI_MSIX_ENTRY_CTRL_MASKBIT;
    }
    this.#pending.fill(0);
    this.#config.set(this.description.offset + regs.PCI_MSIX_FLAGS, this.#vectors - 1, 2);
    this.#enabled = false;
    this.#deliverable = false;
  }

  /** Re-reads enable, function mask and bus mastering after a configuration write; sends what may be sent now. */
  configChanged(): void {
    const flags = this.#config.read(this.description.offset + regs.PCI_MSIX_FLAGS, 2);
    const isMaster = (this.#config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MASTER) !== 0;
    const wasDeliverable = this.#deliverable;
    this.#enabled = (flags & regs.PCI_MSIX_FLAGS_ENABLE) !== 0;
    this.#deliverable = this.#enabled && (flags & regs.PCI_MSIX_FLAGS_MASKALL) === 0 && isMaster;
    if (!this.#deliverable || wasDeliverable) return;
    for (let vector = 0; vector < this.description.vectors; vector++) this.#sendIfPending(vector);
  }

  /** Signals a vector: one message now, or one pending bit until it is unmasked. Nothing while MSI-X is disabled. */
  notify(vector: number): void {
    if (!this.#enabled || vector >= this.#vectors) return;
    const entry = vector * ENTRY_DWORDS;
    if (!this.#deliverable || ((this.#table[entry + 3] as number) & regs.PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0) {
      this.#pending[vector >>> 5] = (this.#pending[vector >>> 5] as number) | (1 << (vector & 31));
      return;
    }
    this.#send(entry);
  }

  /** Withdraws a pending edge whose cause is gone. */
  clearPending(vector: number): void {
    this.#pending[vector >>> 5] = (this.#pending[vector >>> 5] as number) & ~(1 << (vector & 31));
  }

  /** True if the access lies in the table or the pending bit array. */
  claims(bar: number, offset: number): boolean {
    return this.#inTable(bar, offset) || this.#inPba(bar, offset);
  }

  /** Reads table or pending bits; offset as in the BAR. */
  read(bar: number, offset: number, size: AccessSize): number {
    if (this.#inTable(bar, offset)) return readDwords(this.#table, offset - this.description.tableOffset, size);
    if (this.#inPba(bar, offset)) return readDwords(this.#pending, offset - this.description.pbaOffset, size);
    return allOnes(size);
  }

  /** Writes the table (aligned dwords only, as the specification demands); pending bits are read-only. */
  write(bar: number, offset: number, value: number, size: AccessSize): void {
    if (!this.#inTable(bar, offset) || size !== 4 || offset % 4 !== 0) return;
    const dword = (offset - this.description.tableOffset) / 4;
    const field = dword % ENTRY_DWORDS;
    if (field === 0) this.#table[dword] = value & ~3;
    else if (field === 3) this.#table[dword] = value & regs.PCI_MSIX_ENTRY_CTRL_MASKBIT;
    else this.#table[dword] = value;
    if (field === 3 && this.#deliverable) this.#sendIfPending((dword - field) / ENTRY_DWORDS);
  }

  #sendIfPending(vector: number): void {
    const bit = 1 << (vector & 31);
    const entry = vector * ENTRY_DWORDS;
    if (((this.#pending[vector >>> 5] as number) & bit) === 0) return;
    if (((this.#table[entry + 3] as number) & regs.PCI_MSIX_ENTRY_CTRL_MASKBIT) !== 0) return;
    this.#pending[vector >>> 5] = (this.#pending[vector >>> 5] as number) & ~bit;
    this.#send(entry);
  }

  #send(entry: number): void {
    const table = this.#table;
    const address = (table[entry] as number) + (table[entry + 1] as number) * 0x100000000;
    this.#host?.msi(address, table[entry + 2] as number);
  }

  #inTable(bar: number, offset: number): boolean {
    const { tableBar, tableOffset } = this.description;
    return bar === tableBar && offset >= tableOffset && offset < tableOffset + this.#table.byteLength;
  }

  #inPba(bar: number, offset: number): boolean {
    const { pbaBar, pbaOffset } = this.description;
    return bar === pbaBar && offset >= pbaOffset && offset < pbaOffset + this.#pending.byteLength;
  }
}

function readDwords(dwords: Uint32Array, offset: number, size: AccessSize): number {
  const bytes = new Uint8Array(dwords.buffer, dwords.byteOffset, dwords.byteLength);
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = value * 256 + (bytes[offset + i] ?? 0);
  return value;
}
