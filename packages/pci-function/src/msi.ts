// MSI on the device's side: up to 32 messages with per-vector mask and pending bits.
// Kernel counterpart: what drivers/pci/msi/ programs. Spec: [PCI] 3.0 §6.8.1.
import { addCapability } from './capabilities.js';
import type { ConfigSpace } from './config-space.js';
import * as regs from './pci-regs.js';
import type { PciHost } from './ports.js';

/** Where MSI lies and how many messages it can send. */
export interface MsiDescription {
  readonly offset: number;
  /** 1, 2, 4, 8, 16 or 32. */
  readonly vectors: number;
}

/** One function's MSI state, 64-bit addresses and per-vector masking. */
export class MsiCapability {
  readonly description: MsiDescription;
  readonly #config: ConfigSpace;
  #host: PciHost | null = null;

  /** Adds the capability to config. */
  constructor(config: ConfigSpace, description: MsiDescription) {
    const log2 = [1, 2, 4, 8, 16, 32].indexOf(description.vectors);
    if (log2 < 0)
      throw new RangeError(`MSI vectors ${description.vectors} is not allowed: it must be 1, 2, 4, 8, 16 or 32`);
    this.description = description;
    this.#config = config;
    const at = description.offset;
    addCapability(config, regs.PCI_CAP_ID_MSI, at);
    config.set(at + regs.PCI_MSI_FLAGS, regs.PCI_MSI_FLAGS_64BIT | regs.PCI_MSI_FLAGS_MASKBIT | (log2 << 1), 2);
    config.allowWrite(at + regs.PCI_MSI_FLAGS, regs.PCI_MSI_FLAGS_ENABLE | regs.PCI_MSI_FLAGS_QSIZE, 2);
    config.allowWrite(at + regs.PCI_MSI_ADDRESS_LO, 0xfffffffc, 4);
    config.allowWrite(at + regs.PCI_MSI_ADDRESS_HI, 0xffffffff, 4);
    config.allowWrite(at + regs.PCI_MSI_DATA_64, 0xffff, 2);
    config.allowWrite(at + regs.PCI_MSI_MASK_64, 0xffffffff >>> (32 - description.vectors), 4);
  }

  /** True while the host has MSI enabled; INTx is not used then. */
  get enabled(): boolean {
    return (this.#config.read(this.description.offset + regs.PCI_MSI_FLAGS, 2) & regs.PCI_MSI_FLAGS_ENABLE) !== 0;
  }

  attach(host: PciHost): void {
    this.#host = host;
  }

  /** Disabled, unmasked, nothing pending. */
  reset(): void {
    const at = this.description.offset;
    this.#config.write(at + regs.PCI_MSI_FLAGS, 0, 2);
    this.#config.write(at + regs.PCI_MSI_ADDRESS_LO, 0, 4);
    this.#config.write(at + regs.PCI_MSI_ADDRESS_HI, 0, 4);
    this.#config.write(at + regs.PCI_MSI_DATA_64, 0, 2);
    this.#config.write(at + regs.PCI_MSI_MASK_64, 0, 4);
    this.#config.set(at + regs.PCI_MSI_PENDING_64, 0, 4);
  }

  /** Sends what is pending and no longer masked; called after a configuration write. */
  configChanged(): void {
    const pending = this.#config.read(this.description.offset + regs.PCI_MSI_PENDING_64, 4);
    if (pending === 0 || !this.enabled) return;
    this.#config.set(this.description.offset + regs.PCI_MSI_PENDING_64, 0, 4);
    for (let vector = 0; vector < 32; vector++) if (((pending >>> vector) & 1) !== 0) this.notify(vector);
  }

  /** Signals a vector; vectors beyond those the host granted share the last one. */
  notify(vector: number): void {
    if (!this.enabled) return;
    const at = this.description.offset;
    const granted = 1 << ((this.#config.read(at + regs.PCI_MSI_FLAGS, 2) & regs.PCI_MSI_FLAGS_QSIZE) >> 4);
    const message = Math.min(vector, granted - 1);
    const isMaster = (this.#config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MASTER) !== 0;
    if (!isMaster || ((this.#config.read(at + regs.PCI_MSI_MASK_64, 4) >>> message) & 1) !== 0) {
      const pending = this.#config.read(at + regs.PCI_MSI_PENDING_64, 4);
      this.#config.set(at + regs.PCI_MSI_PENDING_64, (pending | (1 << message)) >>> 0, 4);
      return;
    }
    const high = this.#config.read(at + regs.PCI_MSI_ADDRESS_HI, 4);
    const address = this.#config.read(at + regs.PCI_MSI_ADDRESS_LO, 4) + high * 0x100000000;
    const data = this.#config.read(at + regs.PCI_MSI_DATA_64, 2);
    this.#host?.msi(address, (data & ~(granted - 1)) | message);
  }
}
