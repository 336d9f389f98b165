/**
 * What the board has to know of a function to decode addresses for it, found as firmware would: by its registers.
 * Spec: [PCI] 3.0 §6.2.5.1, §6.7; [SR-IOV] 1.1 §3.3.
 */

import type { PciFunction } from '@nvme-stack/pci-function';
import * as regs from '@nvme-stack/pci-function';

const SIZE_4G = 0x100000000;
const SRIOV_VFE_MSE = regs.PCI_SRIOV_CTRL_VFE | regs.PCI_SRIOV_CTRL_MSE;

/** A BAR register of a function: `offset` is where in configuration space. */
export interface DecodedBar {
  readonly index: number;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly is64Bit: boolean;
}

/** Sizes the memory BARs of a fresh function; registers are left as found. */
export function probeBars(fn: PciFunction, first: number, count: number): DecodedBar[] {
  const found: DecodedBar[] = [];
  for (let index = 0; index < count; index++) {
    const offset = first + 4 * index;
    const low = fn.configRead(offset, 4);
    if ((low & regs.PCI_BASE_ADDRESS_SPACE) === regs.PCI_BASE_ADDRESS_SPACE_IO) continue;
    const is64Bit = (low & regs.PCI_BASE_ADDRESS_MEM_TYPE_MASK) === regs.PCI_BASE_ADDRESS_MEM_TYPE_64;
    const lowMask = (maskOf(fn, offset, low) & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
    const highMask = is64Bit ? maskOf(fn, offset + 4, fn.configRead(offset + 4, 4)) : 0;
    if (lowMask !== 0) found.push({ index, offset, sizeBytes: SIZE_4G - lowMask, is64Bit });
    else if (highMask !== 0) found.push({ index, offset, sizeBytes: (SIZE_4G - highMask) * SIZE_4G, is64Bit });
    if (is64Bit) index++;
  }
  return found;
}

function maskOf(fn: PciFunction, offset: number, value: number): number {
  fn.configWrite(offset, 0xffffffff, 4);
  const mask = fn.configRead(offset, 4);
  fn.configWrite(offset, value, 4);
  return mask;
}

/** The address a BAR holds at present. */
export function barAddressOf(fn: PciFunction, bar: DecodedBar): number {
  const low = (fn.configRead(bar.offset, 4) & regs.PCI_BASE_ADDRESS_MEM_MASK) >>> 0;
  return bar.is64Bit ? low + fn.configRead(bar.offset + 4, 4) * SIZE_4G : low;
}

/** Whether the function answers memory accesses: decoding on, and in D0. */
export function decodesMemory(fn: PciFunction): boolean {
  if ((fn.configRead(regs.PCI_COMMAND, 2) & regs.PCI_COMMAND_MEMORY) === 0) return false;
  const pm = capabilityOf(fn, regs.PCI_CAP_ID_PM);
  return pm === 0 || (fn.configRead(pm + regs.PCI_PM_CTRL, 2) & regs.PCI_PM_CTRL_STATE_MASK) === 0;
}

function capabilityOf(fn: PciFunction, id: number): number {
  if ((fn.configRead(regs.PCI_STATUS, 2) & regs.PCI_STATUS_CAP_LIST) === 0) return 0;
  let at = fn.configRead(regs.PCI_CAPABILITY_LIST, 1);
  for (let left = 48; left > 0 && at >= 0x40; left--) {
    if (fn.configRead(at + regs.PCI_CAP_LIST_ID, 1) === id) return at;
    at = fn.configRead(at + regs.PCI_CAP_LIST_NEXT, 1);
  }
  return 0;
}

/** A physical function's SR-IOV capability. */
export interface SriovProbe {
  readonly offset: number;
  readonly bars: readonly DecodedBar[];
}

/** Finds SR-IOV and sizes the virtual functions' BARs; null without it. */
export function probeSriov(fn: PciFunction): SriovProbe | null {
  if (capabilityOf(fn, regs.PCI_CAP_ID_EXP) === 0) return null;
  let at = regs.PCI_EXT_CAP_START;
  for (let left = 64; left > 0 && at >= regs.PCI_EXT_CAP_START; left--) {
    const header = fn.configRead(at, 4);
    if (header === 0 || header === 0xffffffff) return null;
    if ((header & 0xffff) === regs.PCI_EXT_CAP_ID_SRIOV)
      return { offset: at, bars: probeBars(fn, at + regs.PCI_SRIOV_BAR, 6) };
    at = (header >>> 20) & 0xffc;
  }
  return null;
}

/** Whether the virtual functions answer memory accesses. */
export function sriovDecodes(fn: PciFunction, sriov: SriovProbe): boolean {
  return (fn.configRead(sriov.offset + regs.PCI_SRIOV_CTRL, 2) & SRIOV_VFE_MSE) === SRIOV_VFE_MSE;
}

/** Distance in requester ids from the physical function to virtual function `number`. */
export function vfDistance(fn: PciFunction, sriov: SriovProbe, number: number): number {
  const first = fn.configRead(sriov.offset + regs.PCI_SRIOV_VF_OFFSET, 2);
  return first + fn.configRead(sriov.offset + regs.PCI_SRIOV_VF_STRIDE, 2) * number;
}
