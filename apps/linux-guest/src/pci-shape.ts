/** What a kernel remembers of a PCI function since it found it: who it is, its BARs, where its capabilities lie. */
import {
  PCI_BASE_ADDRESS_0,
  PCI_CAP_LIST_NEXT,
  PCI_CAPABILITY_LIST,
  PCI_CLASS_REVISION,
  PCI_SUBSYSTEM_VENDOR_ID,
  PCI_VENDOR_ID,
  type PciFunction,
} from '@nvme-stack/pci-function';

const BARS = 6;

/** The same text for functions that a kernel could not tell apart before it uses them. */
export function pciShape(fn: PciFunction): string {
  const parts = [PCI_VENDOR_ID, PCI_CLASS_REVISION, PCI_SUBSYSTEM_VENDOR_ID].map((at) => fn.configRead(at, 4));
  for (let bar = 0; bar < BARS; bar++) {
    const at = PCI_BASE_ADDRESS_0 + 4 * bar;
    const old = fn.configRead(at, 4);
    fn.configWrite(at, 0xffffffff, 4);
    parts.push(fn.configRead(at, 4));
    fn.configWrite(at, old, 4);
  }
  for (let at = fn.configRead(PCI_CAPABILITY_LIST, 1); at !== 0; at = fn.configRead(at + PCI_CAP_LIST_NEXT, 1)) {
    parts.push(at, fn.configRead(at, 1));
  }
  return parts.join(' ');
}
