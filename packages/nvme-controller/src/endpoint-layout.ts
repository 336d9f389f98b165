// What a controller looks like to the bus: header, BARs, capabilities.
// Kernel counterpart: none (what drivers/pci/probe.c finds). Spec: NVMe over PCIe 1.0 §3.8, [NVMe] 2.0 §3.1.4.11.
import { NVME_REG_DBS } from '@nvme-stack/nvme-protocol';
import {
  type EndpointCapability,
  type EndpointDescription,
  PCI_EXP_TYPE_ENDPOINT,
  PCI_EXP_TYPE_RC_END,
  type PciBar,
} from '@nvme-stack/pci-function';
import type { ResolvedController } from './description.js';
import { resolveVirtual } from './sriov/virtual-description.js';

/** BAR of the controller memory buffer. */
export const CMB_BAR = 2;

const BYTES_PER_MIB = 1 << 20;
const MSIX_CAPABILITY = 0x40;
const PM_CAPABILITY = 0x60;
const EXPRESS_CAPABILITY = 0x80;
const MSI_CAPABILITY = 0xc0;
const ARI_CAPABILITY = 0x100;
const SRIOV_CAPABILITY = 0x120;
/** What a virtual function's header says: who it is, its physical function's capability says. */
const NO_ID = 0xffff;

/** BAR0: registers and doorbells, then the MSI-X table and pending bits behind them. */
export interface BarLayout {
  readonly tableOffset: number;
  readonly pbaOffset: number;
  readonly sizeBytes: number;
}

/** Where things lie in BAR0. */
export function layoutBar(resolved: ResolvedController): BarLayout {
  const doorbells = NVME_REG_DBS + (resolved.maxIoQueuePairs + 1) * 2 * (4 << resolved.dstrd);
  const tableOffset = Math.floor((doorbells + 0xfff) / 0x1000) * 0x1000;
  const pbaOffset = tableOffset + Math.floor((resolved.msixVectors * 16 + 0xfff) / 0x1000) * 0x1000;
  let sizeBytes = 0x4000;
  while (sizeBytes < pbaOffset + 0x100) sizeBytes *= 2;
  return { tableOffset, pbaOffset, sizeBytes };
}

/** The whole function. */
export function describeEndpoint(resolved: ResolvedController): EndpointDescription {
  const { sizeBytes } = layoutBar(resolved);
  const bars: PciBar[] = [{ index: 0, sizeBytes, is64Bit: true }];
  const { cmb } = resolved;
  if (cmb !== null)
    bars.push({ index: CMB_BAR, sizeBytes: cmb.sizeMiB * BYTES_PER_MIB, is64Bit: true, prefetchable: true });
  const capabilities = [...describeCapabilities(resolved), ...describeVirtualization(resolved)];
  return { identity: { ...resolved.pci, interruptPin: 1 }, bars, capabilities };
}

/** A virtual function: its BARs lie in the physical function's capability. */
export function describeVirtualEndpoint(virtual: ResolvedController): EndpointDescription {
  const identity = { ...virtual.pci, vendorId: NO_ID, deviceId: NO_ID, interruptPin: 1 };
  const capabilities: EndpointCapability[] = [{ kind: 'ari', offset: ARI_CAPABILITY, nextFunction: 1 }];
  return { identity, bars: [], capabilities: [...describeCapabilities(virtual), ...capabilities] };
}

function describeVirtualization(resolved: ResolvedController): EndpointCapability[] {
  const { sriov, pci } = resolved;
  if (sriov === null) return [];
  const { sizeBytes } = layoutBar(resolveVirtual(resolved, sriov));
  return [
    { kind: 'ari', offset: ARI_CAPABILITY, nextFunction: 1 },
    {
      kind: 'sriov',
      offset: SRIOV_CAPABILITY,
      totalVfs: sriov.maxVfs,
      firstVfOffset: 1,
      vfStride: 1,
      vfDeviceId: pci.deviceId,
      bars: [{ index: 0, sizeBytes, is64Bit: true }],
    },
  ];
}

function describeCapabilities(resolved: ResolvedController): EndpointCapability[] {
  const { tableOffset, pbaOffset } = layoutBar(resolved);
  const { interrupts, msixVectors, msiVectors } = resolved;
  const capabilities: EndpointCapability[] = [];
  if (interrupts === 'msix' || interrupts === 'msi-and-msix') {
    const vectors = msixVectors;
    capabilities.push({
      kind: 'msix',
      offset: MSIX_CAPABILITY,
      vectors,
      tableBar: 0,
      tableOffset,
      pbaBar: 0,
      pbaOffset,
    });
  }
  if (interrupts === 'msi' || interrupts === 'msi-and-msix')
    capabilities.push({ kind: 'msi', offset: MSI_CAPABILITY, vectors: msiVectors });
  capabilities.push(
    {
      kind: 'express',
      offset: EXPRESS_CAPABILITY,
      type: resolved.behindPort ? PCI_EXP_TYPE_ENDPOINT : PCI_EXP_TYPE_RC_END,
      functionLevelReset: true,
      deviceCapabilities2: 0x00300000,
    },
    { kind: 'pm', offset: PM_CAPABILITY },
  );
  return capabilities;
}
