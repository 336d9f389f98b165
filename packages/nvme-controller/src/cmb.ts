// The controller memory buffer: memory of the controller in a BAR of its own, and the registers that show and enable it.
// Kernel counterpart: the other end of drivers/nvme/host/pci.c nvme_map_cmb. Spec: [NVMe] 2.0 §8.5, §3.1.4.11-12, §3.1.4.16-17.
import { CMBLOC, CMBMSC, CMBSTS, CMBSZ } from '@nvme-stack/nvme-protocol';
import { type AccessSize, barAddress, type PciEndpoint } from '@nvme-stack/pci-function';
import { CMB_BAR } from './endpoint-layout.js';
import type { CmbDescription } from './hardware-description.js';

const BYTES_PER_MIB = 1 << 20;
/** CMBSZ.SZU: units of 1 MiB. */
const UNIT_MIB = 2;
const TWO_32 = 0x100000000;

/** Memory and registers of one buffer. Submission queues, lists and data may lie in it; completion queues may not. */
export class ControllerMemoryBuffer {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly #view: DataView;
  readonly #legacy: boolean;
  readonly #endpoint: PciEndpoint;
  /** CMBMSC.CRE: the registers show the buffer. */
  #shown = false;
  /** CMBMSC.CMSE: the controller takes addresses within the buffer as the buffer. */
  #enabled = false;
  #baseLo = 0;
  #baseHi = 0;
  #baseInvalid = false;

  constructor(description: Required<CmbDescription>, endpoint: PciEndpoint) {
    this.sizeBytes = description.sizeMiB * BYTES_PER_MIB;
    this.bytes = new Uint8Array(this.sizeBytes);
    this.#view = new DataView(this.bytes.buffer);
    this.#legacy = description.legacy;
    this.#endpoint = endpoint;
  }

  /** CAP.CMBS: the host must enable it first. */
  get needsEnable(): boolean {
    return !this.#legacy;
  }

  get cmbloc(): number {
    if (!this.#legacy && !this.#shown) return 0;
    return (CMBLOC.CDPCILS.put(1) | CMBLOC.CDPMLS.put(1) | CMBLOC.BIR.put(CMB_BAR)) >>> 0;
  }

  get cmbsz(): number {
    if (!this.#legacy && !this.#shown) return 0;
    const kinds = CMBSZ.SQS.put(1) | CMBSZ.LISTS.put(1) | CMBSZ.RDS.put(1) | CMBSZ.WDS.put(1);
    return (CMBSZ.SZ.put(this.sizeBytes / BYTES_PER_MIB) | CMBSZ.SZU.put(UNIT_MIB) | kinds) >>> 0;
  }

  get cmbmscLo(): number {
    return (this.#baseLo | (this.#enabled ? CMBMSC.CMSE.mask : 0) | (this.#shown ? CMBMSC.CRE.mask : 0)) >>> 0;
  }

  get cmbmscHi(): number {
    return this.#baseHi;
  }

  get cmbsts(): number {
    return this.#baseInvalid ? CMBSTS.CBAI.mask : 0;
  }

  /** The lower half takes effect; the upper one is to be written before it. */
  writeCmbmscLo(value: number): void {
    if (this.#legacy) return;
    this.#shown = (value & CMBMSC.CRE.mask) !== 0;
    this.#baseLo = (value & ~0xfff) >>> 0;
    this.#enabled = false;
    this.#baseInvalid = false;
    if (!this.#shown || (value & CMBMSC.CMSE.mask) === 0) return;
    // Sums beyond 2^53 are inexact, and then the range reaches beyond 2^64 by far or not at all.
    this.#baseInvalid = this.#baseHi * TWO_32 + this.#baseLo + this.sizeBytes > 2 * TWO_32 * 0x80000000;
    this.#enabled = !this.#baseInvalid;
  }

  writeCmbmscHi(value: number): void {
    if (!this.#legacy) this.#baseHi = value;
  }

  /** What is in the buffer stays; a controller reset does not come here. */
  reset(): void {
    this.#shown = false;
    this.#enabled = false;
    this.#baseLo = 0;
    this.#baseHi = 0;
    this.#baseInvalid = false;
  }

  /** Where `length` bytes at a bus address lie in the buffer; -1: they are host memory. */
  offsetOf(busAddr: number, length: number): number {
    if (!this.#enabled && !this.#legacy) return -1;
    const base = this.#legacy ? barAddress(this.#endpoint.config, CMB_BAR) : this.#baseHi * TWO_32 + this.#baseLo;
    const offset = busAddr - base;
    return offset >= 0 && offset + length <= this.sizeBytes ? offset : -1;
  }

  read(offset: number, size: AccessSize): number {
    if (offset + size > this.sizeBytes) return 0;
    if (size === 4) return this.#view.getUint32(offset, true);
    return size === 2 ? this.#view.getUint16(offset, true) : this.#view.getUint8(offset);
  }

  write(offset: number, value: number, size: AccessSize): void {
    if (offset + size > this.sizeBytes) return;
    if (size === 4) this.#view.setUint32(offset, value, true);
    else if (size === 2) this.#view.setUint16(offset, value, true);
    else this.#view.setUint8(offset, value);
  }
}
