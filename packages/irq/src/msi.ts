/**
 * The MSI core: an interrupt for each vector of a device, reserved at the domain, its message written to the device.
 * Kernel counterpart: kernel/irq/msi.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import { FLOW_EDGE, type IrqDesc } from './desc.js';
import type { IrqAffinityDesc, IrqDomain, MsiDevice, MsiMsg } from './ports.js';
import { allocDesc, FIRST_DYNAMIC_IRQ, freeDesc, type IrqSystem, irqToDesc } from './system.js';

/** What a device wants. */
export interface MsiRequest {
  readonly domain: IrqDomain;
  readonly device: MsiDevice;
  readonly nvec: number;
  /** By index; null: any CPU for all. */
  readonly affinity: readonly IrqAffinityDesc[] | null;
}

/** Throws EINVAL, ENOSPC; then nothing is left. Task context. @kernel kernel/irq/msi.c msi_domain_alloc_irqs_range */
export function msiAllocIrqs(system: IrqSystem, request: MsiRequest): number[] {
  if (request.nvec < 1) throw new KernelError('EINVAL', `${request.nvec} vectors for ${request.device.name}`);
  const descs: IrqDesc[] = [];
  try {
    for (let index = 0; index < request.nvec; index++) descs.push(allocVector(system, request, index));
  } catch (error) {
    for (const desc of descs) freeVector(system, request, desc);
    throw error;
  }
  return descs.map(({ irq }) => irq);
}

function allocVector(system: IrqSystem, { domain, device, affinity }: MsiRequest, index: number): IrqDesc {
  const wanted = affinity?.[index];
  const desc = allocDesc(system, FIRST_DYNAMIC_IRQ, {
    hwirq: device.hwirq(index),
    chip: device.chip,
    flow: FLOW_EDGE,
    msi: { domain, device, index },
    managed: wanted?.isManaged ?? false,
    affinity: wanted === undefined || wanted.cpus.length === 0 ? system.allCpus : wanted.cpus,
  });
  if (!domain.activate(desc)) {
    freeDesc(system, desc);
    throw new KernelError('ENOSPC', `vector ${index} of ${device.name}`);
  }
  const msg: MsiMsg = { addressLo: 0, addressHi: 0, data: 0 };
  domain.composeMsiMsg(desc, msg);
  device.writeMsg(index, msg);
  system.kernel.live.add('vectors', device.name);
  return desc;
}

function freeVector(system: IrqSystem, { domain, device }: Pick<MsiRequest, 'domain' | 'device'>, desc: IrqDesc): void {
  freeDesc(system, desc);
  domain.deactivate(desc);
  system.kernel.live.remove('vectors', device.name);
}

/** A vector somebody still handles is a BUG. Task context. @kernel kernel/irq/msi.c msi_domain_free_irqs_range */
export function msiFreeIrqs(system: IrqSystem, domain: IrqDomain, device: MsiDevice, irqs: readonly number[]): void {
  for (const irq of irqs) freeVector(system, { domain, device }, irqToDesc(system, irq));
}
