// A PCI endpoint's common part, to be composed by a device: header, BARs, capabilities, interrupts, gated DMA.
// Kernel counterpart: none (what struct pci_dev describes, from the other side). Spec: [PCI] 3.0 §6, [PCIe] 5.0 §6.6.2, §7.5.
import { addMemoryBar, type PciBar } from './bar.js';
import { addExpress, addPowerManagement, type ExpressDescription } from './capabilities.js';
import { ConfigSpace } from './config-space.js';
import { addAri } from './ext-capabilities.js';
import { type PciIdentity, resetHeader, writeEndpointHeader } from './header.js';
import { MsiCapability, type MsiDescription } from './msi.js';
import { MsixCapability, type MsixDescription, type MsixSnapshot } from './msix.js';
import * as regs from './pci-regs.js';
import { type AccessSize, DMA_MASTER_ABORT, type PciHost } from './ports.js';
import { SriovCapability, type SriovDescription } from './sriov.js';

/** One capability of an endpoint; the order of the list is the order of the chain. */
export type EndpointCapability =
  | ({ readonly kind: 'msix' } & MsixDescription)
  | ({ readonly kind: 'msi' } & MsiDescription)
  | ({ readonly kind: 'express' } & ExpressDescription)
  | { readonly kind: 'pm'; readonly offset: number }
  | { readonly kind: 'ari'; readonly offset: number; readonly nextFunction: number }
  | ({ readonly kind: 'sriov' } & SriovDescription);

/** What an endpoint looks like to the bus. */
export interface EndpointDescription {
  readonly identity: PciIdentity;
  readonly bars: readonly PciBar[];
  readonly capabilities: readonly EndpointCapability[];
}

/** An endpoint's state, as plain data. */
export interface EndpointSnapshot {
  /** Configuration space, byte for byte. */
  readonly config: readonly number[];
  readonly msix: MsixSnapshot | null;
  readonly intxAsserted: boolean;
}

/** What the composing device is told; called inside the configuration write. */
export interface EndpointEvents {
  /** The host asked for a function level reset: the device resets itself and then this endpoint. */
  functionLevelReset(): void;
  /** VF Enable changed; `sriov` has the number of virtual functions there are now. */
  virtualFunctionsChanged?(): void;
}

/** Configuration space and interrupts of one function; a device owns one and forwards its accesses. */
export class PciEndpoint {
  readonly config: ConfigSpace;
  readonly msix: MsixCapability | null;
  readonly msi: MsiCapability | null;
  /** Null: it has no virtual functions. */
  readonly sriov: SriovCapability | null;
  readonly #events: EndpointEvents;
  readonly #expressOffset: number;
  readonly #powerOffset: number;
  #host: PciHost | null = null;
  #busMaster = false;
  #intxAsserted = false;
  #intxLevel = false;

  /** Throws a RangeError naming what a header or capability cannot hold. */
  constructor(description: EndpointDescription, events: EndpointEvents) {
    const config = new ConfigSpace();
    this.config = config;
    this.#events = events;
    writeEndpointHeader(config, description.identity);
    for (const bar of description.bars) addMemoryBar(config, bar);
    let msix: MsixCapability | null = null;
    let msi: MsiCapability | null = null;
    let sriov: SriovCapability | null = null;
    let express = 0;
    let power = 0;
    for (const capability of description.capabilities) {
      if (capability.kind === 'msix') msix = new MsixCapability(config, capability);
      else if (capability.kind === 'msi') msi = new MsiCapability(config, capability);
      else if (capability.kind === 'express') addExpress(config, capability);
      else if (capability.kind === 'ari') addAri(config, capability.offset, capability.nextFunction);
      else if (capability.kind === 'sriov') sriov = new SriovCapability(config, capability);
      else addPowerManagement(config, capability.offset);
      if (capability.kind === 'express') express = capability.offset;
      if (capability.kind === 'pm') power = capability.offset;
    }
    this.msix = msix;
    this.msi = msi;
    this.sriov = sriov;
    this.#expressOffset = express;
    this.#powerOffset = power;
  }

  /** The host this function sits on, or null before attach. */
  get host(): PciHost | null {
    return this.#host;
  }

  /** True if the function may master the bus: enabled in the command register and in D0. */
  get busMaster(): boolean {
    return this.#busMaster;
  }

  /** True if memory accesses are answered: in D0 with memory decoding on. */
  get memoryEnabled(): boolean {
    return this.#inD0() && (this.config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MEMORY) !== 0;
  }

  attach(host: PciHost): void {
    this.#host = host;
    this.msix?.attach(host);
    this.msi?.attach(host);
  }

  configRead(offset: number, size: AccessSize): number {
    return this.config.read(offset, size);
  }

  configWrite(offset: number, value: number, size: AccessSize): void {
    this.config.write(offset, value, size);
    if (this.#asksFunctionLevelReset(offset, value, size)) {
      this.#events.functionLevelReset();
      return;
    }
    this.#busMaster = this.#inD0() && (this.config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MASTER) !== 0;
    this.msix?.configChanged();
    this.msi?.configChanged();
    this.#updateIntx();
    if (this.sriov?.configChanged()) this.#events.virtualFunctionsChanged?.();
  }

  /** Memory at busAddr to (bytes, offset); DMA_MASTER_ABORT while bus mastering is off. Device context. */
  dmaRead(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    if (!this.#busMaster || this.#host === null) return DMA_MASTER_ABORT;
    return this.#host.dmaRead(busAddr, bytes, offset, length);
  }

  /** (bytes, offset) to memory at busAddr; DMA_MASTER_ABORT while bus mastering is off. Device context. */
  dmaWrite(busAddr: number, bytes: Uint8Array, offset: number, length: number): number {
    if (!this.#busMaster || this.#host === null) return DMA_MASTER_ABORT;
    return this.#host.dmaWrite(busAddr, bytes, offset, length);
  }

  /** True if messages are in use, so that INTx is not. */
  get messageSignalled(): boolean {
    return this.msix?.enabled === true || this.msi?.enabled === true;
  }

  /** Signals an interrupt vector by MSI-X or MSI, whichever is enabled; nothing under INTx. */
  notify(vector: number): void {
    if (this.msix?.enabled) this.msix.notify(vector);
    else if (this.msi?.enabled) this.msi.notify(vector);
  }

  /** States whether the device wants INTx asserted; the pin follows unless disabled or messages are in use. */
  setIntx(asserted: boolean): void {
    this.#intxAsserted = asserted;
    this.#updateIntx();
  }

  /** Everything the host has configured, as plain data. */
  snapshot(): EndpointSnapshot {
    return {
      config: [...this.config.bytes],
      msix: this.msix?.snapshot() ?? null,
      intxAsserted: this.#intxAsserted,
    };
  }

  /** Takes the state of an endpoint of the same description; the pin follows. */
  restore(snapshot: EndpointSnapshot): void {
    this.config.bytes.set(snapshot.config);
    this.#busMaster = this.#inD0() && (this.config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MASTER) !== 0;
    if (snapshot.msix !== null) this.msix?.restore(snapshot.msix);
    this.#intxAsserted = snapshot.intxAsserted;
    this.#updateIntx();
  }

  /** Resets header and capabilities: virtual functions are off, the INTx pin falls. The device calls this from its own reset. */
  reset(): void {
    resetHeader(this.config);
    this.#intxAsserted = false;
    this.#busMaster = false;
    this.msix?.reset();
    this.msi?.reset();
    this.sriov?.reset();
    if (this.#powerOffset !== 0) this.config.write(this.#powerOffset + regs.PCI_PM_CTRL, 0, 2);
    if (this.#expressOffset !== 0) this.config.write(this.#expressOffset + regs.PCI_EXP_DEVCTL, 0, 2);
    this.#updateIntx();
  }

  #inD0(): boolean {
    if (this.#powerOffset === 0) return true;
    return (this.config.read(this.#powerOffset + regs.PCI_PM_CTRL, 2) & regs.PCI_PM_CTRL_STATE_MASK) === 0;
  }

  #asksFunctionLevelReset(offset: number, value: number, size: AccessSize): boolean {
    if (this.#expressOffset === 0) return false;
    const high = this.#expressOffset + regs.PCI_EXP_DEVCTL + 1;
    if (!ConfigSpace.touches(offset, size, high, 1)) return false;
    const capable = this.config.read(this.#expressOffset + regs.PCI_EXP_DEVCAP, 4) & regs.PCI_EXP_DEVCAP_FLR;
    return capable !== 0 && ((value >>> (8 * (high - offset))) & (regs.PCI_EXP_DEVCTL_BCR_FLR >> 8)) !== 0;
  }

  #updateIntx(): void {
    const asserted = this.#intxAsserted && !this.messageSignalled;
    const status = this.config.read(regs.PCI_STATUS, 2) & ~regs.PCI_STATUS_INTERRUPT;
    this.config.set(regs.PCI_STATUS, status | (asserted ? regs.PCI_STATUS_INTERRUPT : 0), 2);
    const disabled = (this.config.read(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_INTX_DISABLE) !== 0;
    const level = asserted && !disabled;
    if (level === this.#intxLevel) return;
    this.#intxLevel = level;
    this.#host?.intx(level);
  }
}
