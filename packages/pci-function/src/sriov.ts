// Single root I/O virtualization on the device's side: how many virtual functions there may be, and are.
// Kernel counterpart: what drivers/pci/iov.c programs. Spec: [SR-IOV] 1.1 §3.3.
import { addMemoryBar, type PciBar } from './bar.js';
import type { ConfigSpace } from './config-space.js';
import { addExtendedCapability } from './ext-capabilities.js';
import * as regs from './pci-regs.js';

/** A physical function's capability. */
export interface SriovDescription {
  /** Offset of the capability in configuration space, 0x100 or above. */
  readonly offset: number;
  /** 1..65535. */
  readonly totalVfs: number;
  /** Routing ids from the physical function to the first virtual one, and from one to the next. */
  readonly firstVfOffset: number;
  readonly vfStride: number;
  readonly vfDeviceId: number;
  /** BARs of one virtual function; those of all stand in a row. */
  readonly bars: readonly PciBar[];
}

/** Pages of 4 KiB, 8 KiB, 64 KiB, 256 KiB, 1 MiB and 4 MiB: what a device must support. */
const PAGE_SIZES = 0x553;
const PAGES_OF_4K = 1;
const CONTROL_WRITABLE = regs.PCI_SRIOV_CTRL_VFE | regs.PCI_SRIOV_CTRL_MSE | regs.PCI_SRIOV_CTRL_ARI;

/** One physical function's SR-IOV state. NumVFs counts from the moment VF Enable is set until it is cleared. */
export class SriovCapability {
  readonly description: SriovDescription;
  readonly #config: ConfigSpace;
  #numVfs = 0;
  #enabled = false;

  /** Adds the capability to config; throws a RangeError for a number or BAR that it cannot hold. */
  constructor(config: ConfigSpace, description: SriovDescription) {
    const { offset, totalVfs } = description;
    if (!(totalVfs >= 1 && totalVfs <= 0xffff)) {
      throw new RangeError(`SR-IOV totalVfs ${totalVfs} is not allowed: it must be 1..65535`);
    }
    this.description = description;
    this.#config = config;
    addExtendedCapability(config, regs.PCI_EXT_CAP_ID_SRIOV, offset);
    config.set(offset + regs.PCI_SRIOV_INITIAL_VF, totalVfs, 2);
    config.set(offset + regs.PCI_SRIOV_TOTAL_VF, totalVfs, 2);
    config.set(offset + regs.PCI_SRIOV_VF_OFFSET, description.firstVfOffset, 2);
    config.set(offset + regs.PCI_SRIOV_VF_STRIDE, description.vfStride, 2);
    config.set(offset + regs.PCI_SRIOV_VF_DID, description.vfDeviceId, 2);
    config.set(offset + regs.PCI_SRIOV_SUP_PGSIZE, PAGE_SIZES, 4);
    config.set(offset + regs.PCI_SRIOV_SYS_PGSIZE, PAGES_OF_4K, 4);
    config.allowWrite(offset + regs.PCI_SRIOV_CTRL, CONTROL_WRITABLE, 2);
    config.allowWrite(offset + regs.PCI_SRIOV_NUM_VF, 0xffff, 2);
    config.allowWrite(offset + regs.PCI_SRIOV_SYS_PGSIZE, PAGE_SIZES, 4);
    for (const bar of description.bars) addMemoryBar(config, bar, offset + regs.PCI_SRIOV_BAR);
  }

  /** Virtual functions there are: NumVFs when VF Enable was set, at most TotalVFs; 0 while it is clear. */
  get numVfs(): number {
    return this.#numVfs;
  }

  /** Re-reads VF Enable after a configuration write; true if it changed. */
  configChanged(): boolean {
    const { offset, totalVfs } = this.description;
    const enabled = (this.#config.read(offset + regs.PCI_SRIOV_CTRL, 2) & regs.PCI_SRIOV_CTRL_VFE) !== 0;
    if (enabled === this.#enabled) return false;
    this.#enabled = enabled;
    this.#numVfs = enabled ? Math.min(this.#config.read(offset + regs.PCI_SRIOV_NUM_VF, 2), totalVfs) : 0;
    return true;
  }

  /** VF Enable, NumVFs and the BARs are 0, as after a reset of the physical function. */
  reset(): void {
    const { offset } = this.description;
    this.#config.write(offset + regs.PCI_SRIOV_CTRL, 0, 2);
    this.#config.write(offset + regs.PCI_SRIOV_NUM_VF, 0, 2);
    this.#config.set(offset + regs.PCI_SRIOV_SYS_PGSIZE, PAGES_OF_4K, 4);
    for (let bar = 0; bar < 6; bar++) this.#config.write(offset + regs.PCI_SRIOV_BAR + 4 * bar, 0, 4);
    this.#enabled = false;
    this.#numVfs = 0;
  }
}
