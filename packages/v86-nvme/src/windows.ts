// The memory windows of a function: how large its BARs are and where they answer at present.
// Kernel counterpart: what drivers/pci/probe.c __pci_read_base finds. Spec: [PCI] 3.0 §6.2.2, §6.2.5.1; [PCI-PM] 1.2 §3.2.4.
import {
  PCI_BASE_ADDRESS_0,
  PCI_BASE_ADDRESS_MEM_MASK,
  PCI_BASE_ADDRESS_MEM_TYPE_64,
  PCI_BASE_ADDRESS_MEM_TYPE_MASK,
  PCI_CAP_ID_PM,
  PCI_CAP_LIST_NEXT,
  PCI_CAPABILITY_LIST,
  PCI_COMMAND,
  PCI_COMMAND_MEMORY,
  PCI_PM_CTRL,
  PCI_PM_CTRL_STATE_MASK,
  type PciFunction,
} from '@nvme-stack/pci-function';

const BARS = 6;
const FOUR_GIB = 0x100000000;

/** One memory BAR and the addresses it answers; start and end are 0 while it answers none. */
export interface Window {
  readonly bar: number;
  readonly sizeBytes: number;
  readonly is64Bit: boolean;
  start: number;
  /** The address behind the last one. */
  end: number;
}

/** Sizes the memory BARs as an operating system does; what they held stays. */
export function findWindows(fn: PciFunction): Window[] {
  const windows: Window[] = [];
  for (let bar = 0; bar < BARS; bar++) {
    const is64Bit =
      (fn.configRead(barOffset(bar), 4) & PCI_BASE_ADDRESS_MEM_TYPE_MASK) === PCI_BASE_ADDRESS_MEM_TYPE_64;
    const low = (sizeMask(fn, barOffset(bar)) & PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
    // A BAR of 4 GiB or more could not be reached from a 32-bit PC.
    if (low !== 0) windows.push({ bar, sizeBytes: FOUR_GIB - low, is64Bit, start: 0, end: 0 });
    if (is64Bit) bar++;
  }
  return windows;
}

/** Has a window follow its BAR, the command register and the power state; true if it answers above `ramBytes`. */
export function followBar(fn: PciFunction, window: Window, powerOffset: number, ramBytes: number): boolean {
  const start = (fn.configRead(barOffset(window.bar), 4) & PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
  const high = window.is64Bit ? fn.configRead(barOffset(window.bar + 1), 4) : 0;
  const isOn = (fn.configRead(PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) !== 0;
  const inD0 = powerOffset === 0 || (fn.configRead(powerOffset + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK) === 0;
  const answers = isOn && inD0 && high === 0 && start >= ramBytes && start + window.sizeBytes <= FOUR_GIB;
  window.start = answers ? start : 0;
  window.end = answers ? start + window.sizeBytes : 0;
  return answers;
}

/** Offset of the power management capability, or 0. */
export function findPowerManagement(fn: PciFunction): number {
  let at = fn.configRead(PCI_CAPABILITY_LIST, 1);
  while (at !== 0 && fn.configRead(at, 1) !== PCI_CAP_ID_PM) at = fn.configRead(at + PCI_CAP_LIST_NEXT, 1);
  return at;
}

function barOffset(bar: number): number {
  return PCI_BASE_ADDRESS_0 + 4 * bar;
}

function sizeMask(fn: PciFunction, offset: number): number {
  const old = fn.configRead(offset, 4);
  fn.configWrite(offset, 0xffffffff, 4);
  const mask = fn.configRead(offset, 4);
  fn.configWrite(offset, old, 4);
  return mask;
}
