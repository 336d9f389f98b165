/**
 * Masking and acknowledging: what a flow handler asks of the chip behind a descriptor.
 * Kernel counterpart: kernel/irq/chip.c, kernel/irq/resend.c, kernel/irq/manage.c (irq_do_set_affinity).
 */
import { FLOW_EDGE, type IrqDesc } from './desc.js';
import type { MsiMsg } from './ports.js';

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

/** Sends it to one of these CPUs; false when its domain has no vector there. @kernel kernel/irq/manage.c irq_do_set_affinity */
export function irqDoSetAffinity(desc: IrqDesc, cpus: readonly number[]): boolean {
  if (desc.msi === null) {
    desc.chip.irqSetAffinity?.(desc, cpus);
    return true;
  }
  const { domain, device, index } = desc.msi;
  if (!domain.setAffinity(desc, cpus)) return false;
  const msg: MsiMsg = { addressLo: 0, addressHi: 0, data: 0 };
  domain.composeMsiMsg(desc, msg);
  device.writeMsg(index, msg);
  return true;
}

/** False for a managed interrupt whose CPUs are all off; any other finds one that is on. @kernel kernel/irq/chip.c __irq_startup_managed */
function findOnlineCpu(desc: IrqDesc): boolean {
  const { cpus } = desc.kernel;
  if (cpus.isOnline(desc.effectiveCpu)) return true;
  const online = desc.affinity.filter((cpu) => cpus.isOnline(cpu));
  if (online.length === 0 && desc.managed) return false;
  irqDoSetAffinity(desc, online.length > 0 ? online : cpus.onlineCpus());
  return true;
}

/** Lets it fire again and replays what came meanwhile. @kernel kernel/irq/chip.c irq_startup */
export function irqStartup(desc: IrqDesc): void {
  if (!desc.kernel.cpus.allOnline && !findOnlineCpu(desc)) {
    desc.managedShutdown = true;
    desc.depth = 1;
    return;
  }
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
