// The list of extended capabilities, and alternative routing-ID interpretation in it.
// Kernel counterpart: what drivers/pci/pci.c pci_find_ext_capability walks. Spec: [PCIe] 5.0 §7.6.3, §7.8.7.
import type { ConfigSpace } from './config-space.js';
import * as regs from './pci-regs.js';

const VERSION_1 = 1 << 16;
const NEXT_SHIFT = 20;

/** Appends the header of an extended capability, version 1, at offset (dword aligned, 0x100..0xffc); the first one stands at 0x100. Throws a RangeError on a bad offset. */
export function addExtendedCapability(config: ConfigSpace, id: number, offset: number): void {
  const isFirst = config.read(regs.PCI_EXT_CAP_START, 4) === 0;
  if (offset % 4 !== 0 || offset < regs.PCI_EXT_CAP_START || offset > 0xffc) {
    throw new RangeError(
      `extended capability offset ${offset} is not allowed: it must be a multiple of 4 in 0x100..0xffc`,
    );
  }
  if (isFirst !== (offset === regs.PCI_EXT_CAP_START)) {
    throw new RangeError(
      `extended capability offset ${offset} is not allowed: the first one, and no other, is at 0x100`,
    );
  }
  if (!isFirst) {
    let last = regs.PCI_EXT_CAP_START;
    for (let next = nextOf(config, last); next !== 0; next = nextOf(config, last)) last = next;
    config.set(last, (config.read(last, 4) | (offset << NEXT_SHIFT)) >>> 0, 4);
  }
  config.set(offset, (id | VERSION_1) >>> 0, 4);
}

function nextOf(config: ConfigSpace, offset: number): number {
  return config.read(offset, 4) >>> NEXT_SHIFT;
}

/** Adds alternative routing-ID interpretation; `nextFunction` as in its capability register. */
export function addAri(config: ConfigSpace, offset: number, nextFunction: number): void {
  addExtendedCapability(config, regs.PCI_EXT_CAP_ID_ARI, offset);
  config.set(offset + regs.PCI_ARI_CAP, nextFunction << 8, 2);
}
