// A configuration space in which the MSI-X capability is not to be found: the list leads past it.
// Kernel counterpart: none. Spec: [PCI] 3.0 §6.7, §6.8.2.
import { PCI_CAP_ID_MSIX, PCI_CAP_LIST_NEXT, PCI_CAPABILITY_LIST, type PciFunction } from '@nvme-stack/pci-function';

const MSIX_BYTES = 12;

/** Reads of a function's configuration space with MSI-X taken out of the capability list. */
export class HiddenMsix {
  readonly #fn: PciFunction;
  /** Offset of the pointer that leads to MSI-X, and what stands there instead; 0 and 0 without MSI-X. */
  readonly #link: number = 0;
  readonly #next: number = 0;
  readonly #at: number = 0;

  constructor(fn: PciFunction) {
    this.#fn = fn;
    let link = PCI_CAPABILITY_LIST;
    for (let at = fn.configRead(link, 1); at !== 0; at = fn.configRead(link, 1)) {
      if (fn.configRead(at, 1) === PCI_CAP_ID_MSIX) {
        this.#link = link;
        this.#next = fn.configRead(at + PCI_CAP_LIST_NEXT, 1);
        this.#at = at;
        return;
      }
      link = at + PCI_CAP_LIST_NEXT;
    }
  }

  /** True if an offset lies in the hidden capability. */
  covers(offset: number): boolean {
    return this.#at !== 0 && offset >= this.#at && offset < this.#at + MSIX_BYTES;
  }

  /** Reads an aligned dword. */
  read(offset: number): number {
    if (this.covers(offset)) return 0;
    const value = this.#fn.configRead(offset, 4);
    if (this.#link === 0 || (this.#link & ~3) !== offset) return value;
    const shift = 8 * (this.#link & 3);
    return ((value & ~(0xff << shift)) | (this.#next << shift)) >>> 0;
  }
}
