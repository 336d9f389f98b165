/**
 * Interrupt vectors as drivers ask for them: MSI-X, then MSI, then the pin.
 * Kernel counterpart: drivers/pci/msi/api.c, drivers/pci/irq.c.
 */
import { IRQF_ONESHOT, IRQF_SHARED, type IrqAffinity, type IrqHandler, type IrqReturn } from '@nvme-stack/irq/ports';
import { Errno, KernelError, traced } from '@nvme-stack/kernel';
import { pciIntx } from './intx.js';
import { pciDisableMsi, pciEnableMsiRange } from './msi.js';
import { pciDisableMsix, pciEnableMsixRange, type VectorRange } from './msix.js';
import { type PciDevice, pciLog } from './pci-device.js';
import { throwErrno } from './pci-subsystem.js';
import { PCI_IRQ_AFFINITY, PCI_IRQ_INTX, PCI_IRQ_MSI, PCI_IRQ_MSIX } from './ports.js';

/** What a driver asks for. */
export interface VectorRequest {
  readonly minVecs: number;
  readonly maxVecs: number;
  readonly flags: number;
  readonly affinity: IrqAffinity | null;
}

/** @kernel drivers/pci/msi/api.c pci_alloc_irq_vectors */
export const pciAllocIrqVectors = traced('pci_alloc_irq_vectors', (pdev: PciDevice, request: VectorRequest): number =>
  pciAllocIrqVectorsAffinity(pdev, request),
);

/** Returns how many vectors there are; throws ENOSPC, EINVAL. @kernel drivers/pci/msi/api.c pci_alloc_irq_vectors_affinity */
export const pciAllocIrqVectorsAffinity = traced(
  'pci_alloc_irq_vectors_affinity',
  (pdev: PciDevice, request: VectorRequest): number => {
    const nvecs = tryInOrder(pdev, request);
    if (nvecs < 0) throwErrno(nvecs, `${pdev.name}: no interrupt vectors`);
    return nvecs;
  },
);

function tryInOrder(pdev: PciDevice, { minVecs, maxVecs, flags, affinity }: VectorRequest): number {
  const injected = pdev.subsystem.injected('pci_alloc_irq_vectors');
  if (injected < 0) return injected;
  const spread = effectiveAffinity(pdev, minVecs, flags, affinity);
  if (spread === 'invalid') return -Errno.EINVAL;
  const range: VectorRange = { min: minVecs, max: maxVecs, affinity: spread };
  let nvecs: number = -Errno.ENOSPC;
  if ((flags & PCI_IRQ_MSIX) !== 0) {
    nvecs = pciEnableMsixRange(pdev, range);
    if (nvecs > 0) return nvecs;
  }
  if ((flags & PCI_IRQ_MSI) !== 0) {
    nvecs = pciEnableMsiRange(pdev, range);
    if (nvecs > 0) return nvecs;
  }
  if ((flags & PCI_IRQ_INTX) !== 0 && minVecs === 1 && (pdev.irq !== 0 || !pdev.subsystem.era.intxNeedsIrq)) {
    // The driver's calc_sets learns of the one vector, though there is nothing to spread.
    if (spread !== null) pdev.subsystem.irqs.irqCreateAffinityMasks(1, spread);
    pciIntx(pdev, true);
    return 1;
  }
  return nvecs;
}

function effectiveAffinity(
  pdev: PciDevice,
  minVecs: number,
  flags: number,
  affinity: IrqAffinity | null,
): IrqAffinity | null | 'invalid' {
  if ((flags & PCI_IRQ_AFFINITY) === 0) {
    if (affinity !== null) pciLog(pdev, 'warn', 'WARNING: an affinity without PCI_IRQ_AFFINITY is ignored');
    return null;
  }
  const wanted = affinity ?? { preVectors: 0, postVectors: 0, nrSets: 0, setSize: [0, 0, 0, 0] };
  if (!pdev.subsystem.era.checksAffinityAgainstMinVecs) return wanted;
  const fixed = wanted.preVectors + wanted.postVectors;
  if (fixed > minVecs) return 'invalid';
  return fixed === minVecs ? null : wanted;
}

/** @kernel drivers/pci/msi/api.c pci_free_irq_vectors */
export const pciFreeIrqVectors = traced('pci_free_irq_vectors', (pdev: PciDevice): void => {
  pciDisableMsix(pdev);
  pciDisableMsi(pdev);
});

/** @kernel drivers/pci/msi/api.c pci_irq_vector */
export function pciIrqVector(pdev: PciDevice, nr: number): number {
  const irq = pdev.msi === null ? (nr === 0 ? pdev.irq : undefined) : pdev.msi.irqs[nr];
  if (irq === undefined) throw new KernelError('EINVAL', `${pdev.name}: interrupt vector ${nr}`);
  return irq;
}

/** Null for a vector that was not spread. @kernel drivers/pci/msi/api.c pci_irq_get_affinity */
export function pciIrqGetAffinity(pdev: PciDevice, nr: number): readonly number[] | null {
  const { msi, kernel } = pdev;
  if (msi !== null) return msi.affinity?.[nr]?.cpus ?? null;
  if (nr !== 0 || pdev.irq === 0) return null;
  return Array.from({ length: kernel.nrCpus }, (_, cpu) => cpu);
}

/** The five things pci_request_irq is told, beside the function. */
export interface IrqRequest<T> {
  readonly nr: number;
  readonly handler: IrqHandler<T> | null;
  readonly threadFn: ((irq: number, devId: T) => Promise<IrqReturn>) | null;
  readonly devId: T;
  readonly name: string;
}

const requestTraced = traced('pci_request_irq', (pdev: PciDevice, request: IrqRequest<unknown>): void => {
  const { nr, handler, threadFn, devId, name } = request;
  const flags = IRQF_SHARED | (handler === null ? IRQF_ONESHOT : 0);
  pdev.subsystem.irqs.requestThreadedIrq(pciIrqVector(pdev, nr), handler, threadFn, flags, name, devId);
});

/** @kernel drivers/pci/irq.c pci_request_irq */
export function pciRequestIrq<T>(pdev: PciDevice, request: IrqRequest<T>): void {
  // The handler gets back the very devId it was requested with, so the type may be forgotten in between.
  requestTraced(pdev, request as unknown as IrqRequest<unknown>);
}

/** @kernel drivers/pci/irq.c pci_free_irq */
export const pciFreeIrq = traced('pci_free_irq', async (pdev: PciDevice, nr: number, devId: unknown): Promise<void> => {
  await pdev.subsystem.irqs.freeIrq(pciIrqVector(pdev, nr), devId);
});
