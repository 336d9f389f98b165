/**
 * Places BARs and bridge windows: keeps what is already placed well, sizes windows from what is below them, and
 * puts the rest where it fits, largest alignment first.
 * Kernel counterpart: drivers/pci/setup-bus.c, drivers/pci/setup-res.c. Spec: [PCI-BRIDGE] 1.2 §3.2.5.
 */
import { type Resource, traced } from '@nvme-stack/kernel';
import * as regs from '@nvme-stack/pci-function';
import { expressType, readConfig, writeConfig } from './access.js';
import { IORESOURCE_MEM, IORESOURCE_PREFETCH, SIZE_1M, SIZE_2M, SIZE_4G } from './pci-constants.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { alignUp, hex, PciBar } from './pci-resource.js';
import type { PciSegment, SegmentWindow } from './pci-segment.js';

/** Something that wants a place on a bus: a BAR, or the window of a bridge. */
interface Claim {
  readonly bar: PciBar;
  readonly pdev: PciDevice;
  /** Configuration offset of the BAR; -1 for a bridge window. */
  readonly offset: number;
}

/** Places everything on the bus and below that has no place yet. @kernel drivers/pci/setup-bus.c pci_assign_unassigned_root_bus_resources */
export const pciAssignUnassignedBusResources = traced(
  'pci_assign_unassigned_root_bus_resources',
  (segment: PciSegment): void => assignSegment(segment),
);

function assignSegment(segment: PciSegment): void {
  const claims = segment.devices.flatMap((pdev) => barClaims(pdev));
  for (const claim of claims) keepPlaced(segment, claim);
  for (const pdev of segment.devices)
    if (pdev.subordinate !== null) claims.push(...windowClaims(pdev, pdev.subordinate));
  const open = claims.filter(({ bar }) => bar.resource === null);
  // A stable sort: of two with one alignment the one found first comes first.
  open.sort((a, b) => b.bar.alignBytes - a.bar.alignBytes);
  for (const claim of open) place(segment, claim);
  for (const pdev of segment.devices) if (pdev.subordinate !== null) assignSegment(pdev.subordinate);
}

function barClaims(pdev: PciDevice): Claim[] {
  const claims: Claim[] = [];
  for (const bar of pdev.bars) {
    // A virtual function's BARs lie within its physical function's.
    if (bar !== null && !pdev.isVirtfn) claims.push({ bar, pdev, offset: regs.PCI_BASE_ADDRESS_0 + 4 * bar.index });
  }
  for (const bar of pdev.sriov?.bars ?? []) {
    if (bar !== null)
      claims.push({ bar, pdev, offset: (pdev.sriov?.offset ?? 0) + regs.PCI_SRIOV_BAR + 4 * bar.index });
  }
  return claims;
}

/** Claims the place firmware gave a BAR, unless it lies outside the windows or in another's way. @kernel drivers/pci/setup-res.c pci_claim_resource */
function keepPlaced(segment: PciSegment, { bar, pdev }: Claim): void {
  if (bar.resource !== null || bar.start === 0) return;
  for (const window of segment.windows) {
    if (bar.start < window.resource.start || bar.start + bar.sizeBytes - 1 > window.resource.end) continue;
    bar.resource = pdev.kernel.iomem.request(pdev.name, bar.start, bar.sizeBytes, bar.flags, window.resource);
    if (bar.resource !== null) return;
  }
  bar.start = 0;
}

function place(segment: PciSegment, claim: Claim): void {
  const { bar, pdev } = claim;
  for (const window of candidates(segment, bar)) {
    const start = findGap(window.resource, bar.sizeBytes, bar.alignBytes);
    if (start < 0 || (!bar.is64Bit && start + bar.sizeBytes > SIZE_4G)) continue;
    const name = claim.offset < 0 ? `PCI Bus ${(pdev.subordinate as PciSegment).name}` : pdev.name;
    const resource = pdev.kernel.iomem.request(name, start, bar.sizeBytes, bar.flags, window.resource);
    if (resource === null) continue;
    bar.start = start;
    bar.resource = resource;
    if (claim.offset < 0) openWindow(pdev, bar);
    else writeBar(pdev, bar, claim.offset);
    logAssigned(claim);
    return;
  }
  const label = labelOf(claim);
  if (pdev.subsystem.era.namesBarFirst) pciLog(pdev, 'warn', `${label} ${bar.text()}: can't assign; no space`);
  else pciLog(pdev, 'warn', `${label}: no space for ${bar.text()}`);
}

/** Kernels that number resources count those of virtual functions after the expansion ROM's. */
const FIRST_VF_RESOURCE = 7;

function labelOf({ bar, pdev, offset }: Claim): string {
  if (offset < 0) return 'bridge window';
  if (pdev.sriov?.bars.includes(bar) !== true) return `BAR ${bar.index}`;
  return pdev.subsystem.era.namesBarFirst ? `VF BAR ${bar.index}` : `BAR ${FIRST_VF_RESOURCE + bar.index}`;
}

function logAssigned(claim: Claim): void {
  const { bar, pdev } = claim;
  const label = labelOf(claim);
  const text = pdev.subsystem.era.namesBarFirst
    ? `${label} ${bar.text()}: assigned`
    : `${label}: assigned ${bar.text()}`;
  pciLog(pdev, 'info', text);
}

/** Windows a BAR may lie in, the best first: only prefetchable memory may lie in a prefetchable window. */
function candidates(segment: PciSegment, bar: PciBar): SegmentWindow[] {
  const plain = segment.windows.filter(({ prefetchable }) => !prefetchable);
  if (!bar.prefetchable || !bar.is64Bit) return plain;
  return [...segment.windows.filter(({ prefetchable }) => prefetchable), ...plain];
}

/** The lowest aligned free range of `sizeBytes` in a resource, or -1. @kernel kernel/resource.c find_resource */
function findGap(parent: Resource, sizeBytes: number, alignBytes: number): number {
  let start = alignUp(parent.start, alignBytes);
  for (const child of parent.children) {
    if (start + sizeBytes <= child.start) return start;
    if (child.end >= start) start = alignUp(child.end + 1, alignBytes);
  }
  return start + sizeBytes - 1 <= parent.end ? start : -1;
}

/** @kernel drivers/pci/setup-res.c pci_std_update_resource */
function writeBar(pdev: PciDevice, bar: PciBar, offset: number): void {
  const command = readConfig(pdev, regs.PCI_COMMAND, 2);
  // Between the two halves the BAR would claim a wrong address.
  if (bar.is64Bit) writeConfig(pdev, regs.PCI_COMMAND, command & ~regs.PCI_COMMAND_MEMORY, 2);
  writeConfig(pdev, offset, bar.start % SIZE_4G, 4);
  if (!bar.is64Bit) return;
  writeConfig(pdev, offset + 4, Math.floor(bar.start / SIZE_4G), 4);
  writeConfig(pdev, regs.PCI_COMMAND, command, 2);
}

// ------------------------------------------------------------------------------------------ bridges

/** The windows a bridge needs; none for what already has one. @kernel drivers/pci/setup-bus.c pbus_size_mem */
function windowClaims(pdev: PciDevice, below: PciSegment): Claim[] {
  const claims: Claim[] = [];
  for (const prefetchable of [false, true]) {
    if (below.windows.some((window) => window.prefetchable === prefetchable)) continue;
    const size = windowSize(pdev, below, prefetchable);
    if (size === 0) continue;
    const largest = Math.max(SIZE_1M, ...needs(below, prefetchable).map(({ alignBytes }) => alignBytes));
    claims.push({ bar: new PciBar(prefetchable ? 9 : 8, size, prefetchable, prefetchable, largest), pdev, offset: -1 });
  }
  return claims;
}

function windowSize(pdev: PciDevice, below: PciSegment, prefetchable: boolean): number {
  let size = 0;
  const sorted = needs(below, prefetchable).sort((a, b) => b.alignBytes - a.alignBytes);
  for (const bar of sorted) size = alignUp(size, bar.alignBytes) + bar.sizeBytes;
  // Room for a device that comes later. @kernel drivers/pci/setup-bus.c pci_hotplug_mmio_size
  if (hasHotplugSlot(pdev)) size = Math.max(size, SIZE_2M);
  return alignUp(size, SIZE_1M);
}

/** What has to fit through a window of a kind, nested windows included. */
function needs(below: PciSegment, prefetchable: boolean): PciBar[] {
  const found: PciBar[] = [];
  for (const pdev of below.devices) {
    for (const { bar } of barClaims(pdev)) if ((bar.prefetchable && bar.is64Bit) === prefetchable) found.push(bar);
    if (pdev.subordinate === null) continue;
    const size = windowSize(pdev, pdev.subordinate, prefetchable);
    if (size > 0) found.push(new PciBar(8, size, prefetchable, prefetchable, SIZE_1M));
  }
  return found;
}

/** Whether a hot-plug slot lies behind the bridge. */
export function hasHotplugSlot(pdev: PciDevice): boolean {
  if (expressType(pdev) !== regs.PCI_EXP_TYPE_ROOT_PORT && expressType(pdev) !== regs.PCI_EXP_TYPE_DOWNSTREAM)
    return false;
  return (readConfig(pdev, pdev.expressCap + regs.PCI_EXP_SLTCAP, 4) & regs.PCI_EXP_SLTCAP_HPC) !== 0;
}

/** Makes the bridge forward a range. @kernel drivers/pci/setup-bus.c pci_setup_bridge */
function openWindow(pdev: PciDevice, bar: PciBar): void {
  const below = pdev.subordinate as PciSegment;
  const last = bar.start + bar.sizeBytes - 1;
  below.windows.push({ resource: bar.resource as Resource, prefetchable: bar.prefetchable });
  const at = bar.prefetchable ? regs.PCI_PREF_MEMORY_BASE : regs.PCI_MEMORY_BASE;
  const limit = bar.prefetchable ? regs.PCI_PREF_MEMORY_LIMIT : regs.PCI_MEMORY_LIMIT;
  writeConfig(pdev, at, ((bar.start % SIZE_4G) / 0x10000) & regs.PCI_MEMORY_RANGE_MASK, 2);
  writeConfig(pdev, limit, Math.floor((last % SIZE_4G) / 0x10000) & regs.PCI_MEMORY_RANGE_MASK, 2);
  if (bar.prefetchable) {
    writeConfig(pdev, regs.PCI_PREF_BASE_UPPER32, Math.floor(bar.start / SIZE_4G), 4);
    writeConfig(pdev, regs.PCI_PREF_LIMIT_UPPER32, Math.floor(last / SIZE_4G), 4);
  }
  pciLog(
    pdev,
    'info',
    `  bridge window [mem ${hex(bar.start, 8)}-${hex(last, 8)}${bar.prefetchable ? ' 64bit pref' : ''}]`,
  );
}

/** Makes a root bus's windows known in /proc/iomem. */
export function addRootWindows(segment: PciSegment): void {
  const { kernel, bridge } = segment;
  for (const window of bridge.memoryWindows) {
    const size = window.end - window.start + 1;
    const flags = IORESOURCE_MEM | (window.prefetchable ? IORESOURCE_PREFETCH : 0);
    const resource = kernel.iomem.request(`PCI Bus ${segment.name}`, window.start, size, flags);
    const range = `[mem ${hex(window.start, 8)}-${hex(window.end, 8)} window]`;
    if (resource === null) {
      kernel.printk.print('warn', `pci_bus ${segment.name}: root bus resource ${range} conflicts with what is there`);
      continue;
    }
    segment.windows.push({ resource, prefetchable: window.prefetchable });
    kernel.printk.print('info', `pci_bus ${segment.name}: root bus resource ${range}`);
  }
}
