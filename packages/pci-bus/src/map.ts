/**
 * Mapping BARs and claiming their ranges.
 * Kernel counterpart: arch/x86/mm/ioremap.c, drivers/pci/pci.c (pci_request_selected_regions).
 */
import { KernelError, traced } from '@nvme-stack/kernel';
import { IORESOURCE_BUSY, IORESOURCE_MEM } from './pci-constants.js';
import { type PciDevice, pciLog } from './pci-device.js';
import type { MmioRegion } from './ports.js';

/** Maps a physical range; null when the mapping fails. @kernel arch/x86/mm/ioremap.c ioremap */
export const ioremapRange = traced(
  'ioremap',
  (pdev: PciDevice, physAddr: number, sizeBytes: number): MmioRegion | null => {
    if (pdev.subsystem.injected('ioremap') < 0) return null;
    const region = pdev.segment.bridge.ioremap(physAddr, sizeBytes);
    pdev.kernel.live.add('mappings', `${pdev.name} ioremap`);
    return region;
  },
);

/** @kernel arch/x86/mm/ioremap.c iounmap */
export function iounmapRegion(pdev: PciDevice, region: MmioRegion): void {
  pdev.segment.bridge.iounmap(region);
  pdev.kernel.live.remove('mappings', `${pdev.name} ioremap`);
}

/** Maps the first `sizeBytes` of a BAR; null when it does not fit. @kernel arch/x86/mm/ioremap.c ioremap */
export function pciIoremap(pdev: PciDevice, index: number, sizeBytes: number): MmioRegion | null {
  const bar = pdev.bars[index];
  if (bar === null || bar === undefined || bar.resource === null || sizeBytes > bar.sizeBytes) return null;
  return ioremapRange(pdev, bar.start, sizeBytes);
}

/** Claims every memory BAR for a driver; throws EBUSY and claims none. @kernel drivers/pci/pci.c pci_request_selected_regions */
export const pciRequestMemRegions = traced('pci_request_selected_regions', (pdev: PciDevice, name: string): void => {
  for (const bar of pdev.bars) {
    if (bar === null) continue;
    const { resource } = bar;
    if (resource !== null && bar.claimed === null && pdev.subsystem.injected('pci_request_regions') === 0) {
      bar.claimed = pdev.kernel.iomem.request(
        name,
        bar.start,
        bar.sizeBytes,
        IORESOURCE_MEM + IORESOURCE_BUSY,
        resource,
      );
      if (bar.claimed !== null) {
        pdev.kernel.live.add('regions', pdev.name);
        continue;
      }
    }
    pciLog(pdev, 'warn', `BAR ${bar.index}: can't reserve ${bar.text()}`);
    for (const earlier of pdev.bars)
      if (earlier !== null && earlier.index < bar.index) releaseRegion(pdev, earlier.index);
    throw new KernelError('EBUSY', `${pdev.name}: BAR ${bar.index} is taken or has no place`);
  }
});

function releaseRegion(pdev: PciDevice, index: number): void {
  const bar = pdev.bars[index];
  if (bar === null || bar === undefined || bar.claimed === null) return;
  pdev.kernel.iomem.release(bar.claimed);
  pdev.kernel.live.remove('regions', pdev.name);
  bar.claimed = null;
}

/** @kernel drivers/pci/pci.c pci_release_selected_regions */
export const pciReleaseMemRegions = traced('pci_release_selected_regions', (pdev: PciDevice): void => {
  for (let index = pdev.bars.length - 1; index >= 0; index--) releaseRegion(pdev, index);
});
