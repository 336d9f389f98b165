/**
 * What one machine's interrupt subsystem holds: the descriptors by number.
 * Kernel counterpart: kernel/irq/irqdesc.c.
 */
import { type HasKernel, type Kernel, KernelError } from '@nvme-stack/kernel';
import { FLOW_EDGE, FLOW_LEVEL, IrqDesc, type IrqDescSetup } from './desc.js';
import { handleEdgeIrq, handleFasteoiIrq, handleLevelIrq } from './flow.js';
import { registerIrqProc } from './proc.js';

/** Numbers below belong to the platform's lines; MSIs come after them. */
export const FIRST_DYNAMIC_IRQ = 24;

export class IrqSystem implements HasKernel {
  readonly kernel: Kernel;
  readonly descs: (IrqDesc | null)[] = [];
  readonly allCpus: readonly number[];
  readonly archRows: (() => string) | null;
  /** Interrupts without a descriptor. */
  badCount = 0;
  /** Running outside hard interrupt context is checked. */
  readonly checked: boolean;
  readonly onResend: (desc: IrqDesc) => void;

  constructor(kernel: Kernel, archRows: (() => string) | null) {
    this.kernel = kernel;
    this.archRows = archRows;
    this.checked = kernel.checks === 'full';
    this.allCpus = Array.from({ length: kernel.nrCpus }, (_, cpu) => cpu);
    this.onResend = (desc) => {
      if (this.descs[desc.irq] === desc) genericHandleIrq(this, desc.irq);
    };
  }
}

/** Makes a descriptor with the first free number from `first` on. @kernel kernel/irq/irqdesc.c irq_alloc_descs */
export function allocDesc(system: IrqSystem, first: number, setup: Omit<IrqDescSetup, 'irq' | 'onResend'>): IrqDesc {
  const { descs } = system;
  let irq = first;
  while (descs[irq] !== undefined && descs[irq] !== null) irq++;
  while (descs.length <= irq) descs.push(null);
  const desc = new IrqDesc(system.kernel, { ...setup, irq, onResend: system.onResend });
  descs[irq] = desc;
  registerIrqProc(system.kernel, desc);
  return desc;
}

/** A descriptor in use is a BUG. @kernel kernel/irq/irqdesc.c free_desc */
export function freeDesc(system: IrqSystem, desc: IrqDesc): void {
  const { ex } = system.kernel;
  if (desc.action !== null) ex.bug(`irq ${desc.irq} freed while ${desc.action.name} handles it`);
  ex.disarm(desc.resend);
  for (const unregister of desc.procFiles) unregister();
  system.descs[desc.irq] = null;
}

/** The descriptor of a number; throws EINVAL. @kernel kernel/irq/irqdesc.c irq_to_desc */
export function irqToDesc(system: IrqSystem, irq: number): IrqDesc {
  const desc = system.descs[irq];
  if (desc === undefined || desc === null) throw new KernelError('EINVAL', `irq ${irq}`);
  return desc;
}

/** Hard interrupt context. @kernel kernel/irq/irqdesc.c generic_handle_irq */
export function genericHandleIrq(system: IrqSystem, irq: number): void {
  const { ex, costs } = system.kernel;
  if (system.checked && ex.context !== 'hardirq') ex.bug(`irq ${irq} handled in ${ex.context} context`);
  ex.charge(costs.interruptNs);
  const desc = irq < system.descs.length ? system.descs[irq] : null;
  if (desc === null) system.badCount++;
  else if (desc.flow === FLOW_EDGE) handleEdgeIrq(desc);
  else if (desc.flow === FLOW_LEVEL) handleLevelIrq(desc);
  else handleFasteoiIrq(desc);
}
