/**
 * Interrupts of a CPU that goes off go to another one of their mask, or to any; a managed one without a CPU is shut
 * down, and starts again with the first of its CPUs that comes.
 * Kernel counterpart: kernel/irq/cpuhotplug.c.
 */
import { CPUHP_AP_IRQ_AFFINITY_ONLINE, CPUHP_TEARDOWN_CPU, traced } from '@nvme-stack/kernel';
import { irqDoSetAffinity, irqStartup, maskIrq } from './chip.js';
import type { IrqDesc } from './desc.js';
import type { IrqSystem } from './system.js';

/** Called once, when the subsystem is made. */
export function followCpus(system: IrqSystem): void {
  const { cpus } = system.kernel;
  cpus.register({
    name: 'irq/migrate',
    state: CPUHP_TEARDOWN_CPU,
    teardown: (cpu) => irqMigrateAllOffThisCpu(system, cpu),
  });
  cpus.register({
    name: 'irq/affinity:online',
    state: CPUHP_AP_IRQ_AFFINITY_ONLINE,
    startup: (cpu) => irqAffinityOnlineCpu(system, cpu),
  });
}

/** The CPU counts as off already, and nothing else runs meanwhile. @kernel kernel/irq/cpuhotplug.c irq_migrate_all_off_this_cpu */
const irqMigrateAllOffThisCpu = traced('irq_migrate_all_off_this_cpu', (system: IrqSystem, cpu: number): void => {
  for (const desc of system.descs) {
    // Without a handler it is masked; whoever requests it finds it a CPU.
    if (desc === null || desc.action === null || desc.effectiveCpu !== cpu || desc.managedShutdown) continue;
    if (migrateOneIrq(desc)) {
      system.kernel.printk.print('debug', `IRQ ${desc.irq}: no longer affine to CPU${cpu}`);
    }
  }
});

/** True when its mask had to be given up. @kernel kernel/irq/cpuhotplug.c migrate_one_irq */
function migrateOneIrq(desc: IrqDesc): boolean {
  const { cpus, ex, printk } = desc.kernel;
  const waiting = ex.disarm(desc.resend);
  let online = desc.affinity.filter((cpu) => cpus.isOnline(cpu));
  const broken = online.length === 0;
  if (broken && desc.managed) {
    shutdownManaged(desc, waiting);
    return false;
  }
  if (broken) online = [...cpus.onlineCpus()];
  if (!irqDoSetAffinity(desc, online)) printk.print('warn', `IRQ${desc.irq}: set affinity failed(-28).`);
  if (broken) desc.affinity = online;
  if (waiting) {
    desc.resend.cpu = online.includes(desc.effectiveCpu) ? desc.effectiveCpu : online[0];
    ex.post(desc.resend);
  }
  return broken;
}

/** It stays requested. An edge that is under way, or comes, is replayed when it starts again. @kernel kernel/irq/chip.c irq_shutdown_and_deactivate */
function shutdownManaged(desc: IrqDesc, replay: boolean): void {
  desc.managedShutdown = true;
  desc.depth++;
  desc.pending ||= replay;
  maskIrq(desc);
}

/** @kernel kernel/irq/cpuhotplug.c irq_affinity_online_cpu */
const irqAffinityOnlineCpu = traced('irq_affinity_online_cpu', (system: IrqSystem, cpu: number): void => {
  for (const desc of system.descs) {
    if (desc?.managedShutdown === true && desc.affinity.includes(cpu)) restoreAffinity(desc, cpu);
  }
});

/** @kernel kernel/irq/cpuhotplug.c irq_restore_affinity_of_irq */
function restoreAffinity(desc: IrqDesc, cpu: number): void {
  irqDoSetAffinity(desc, [cpu]);
  desc.managedShutdown = false;
  // Whoever disabled it meanwhile, or before, still has it disabled.
  if (desc.depth > 1) desc.depth--;
  else irqStartup(desc);
}
