/**
 * Masking and acknowledging: what a flow handler asks of the chip behind a descriptor.
 * Kernel counterpart: kernel/irq/chip.c, kernel/irq/resend.c.
 */
import { FLOW_EDGE, type IrqDesc } from './desc.js';

/** @kernel kernel/irq/chip.c mask_irq */
export function maskIrq(desc: IrqDesc): void {
  if (desc.masked) return;
  desc.chip.irqMask(desc);
  desc.masked = true;
}

/** @kernel kernel/irq/chip.c unmask_irq */
export function unmaskIrq(desc: IrqDesc): void {
  if (!desc.masked) return;
  desc.masked = false;
  desc.chip.irqUnmask(desc);
}

/** Acknowledges at the chip, or for an MSI at the domain above it. */
export function ackIrq(desc: IrqDesc): void {
  if (desc.msi === null) {
    desc.chip.irqAck?.(desc);
    return;
  }
  const { trace } = desc.kernel;
  if (trace.functions) trace.enter('irq_chip_ack_parent');
  desc.msi.domain.ack(desc);
  if (trace.functions) trace.exit();
}

/** Disabling is lazy: the line is masked only if it fires. @kernel kernel/irq/chip.c irq_disable */
export function irqDisable(desc: IrqDesc): void {
  desc.depth++;
}

/** Lets it fire again and replays what came meanwhile. @kernel kernel/irq/chip.c irq_startup */
export function irqStartup(desc: IrqDesc): void {
  desc.depth = 0;
  unmaskIrq(desc);
  checkIrqResend(desc);
}

/** A level asserts itself again; a lost edge must be replayed. @kernel kernel/irq/resend.c check_irq_resend */
function checkIrqResend(desc: IrqDesc): void {
  if (!desc.pending) return;
  desc.pending = false;
  if (desc.flow !== FLOW_EDGE) return;
  if (!desc.resend.pending) desc.resend.cpu = desc.effectiveCpu;
  desc.kernel.ex.post(desc.resend);
}
