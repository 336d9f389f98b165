/**
 * /proc/interrupts and /proc/irq/.
 * Kernel counterpart: kernel/irq/proc.c, arch/x86/kernel/irq.c.
 */
import { bitmapList, type Kernel } from '@nvme-stack/kernel';
import { FLOW_NAMES, type IrqDesc } from './desc.js';
import type { IrqSystem } from './system.js';

/** Lines of the platform, and how many MSIs x86 makes room for. */
const GSI_TOP = 24;
const LEGACY_IRQS = 16;

/** The table as `cat /proc/interrupts` shows it. @kernel kernel/irq/proc.c show_interrupts */
export function showInterrupts(system: IrqSystem): string {
  const { kernel, descs } = system;
  const width = numberWidth(kernel.nrCpus);
  let text = `${' '.repeat(width + 8)}${kernel.cpus
    .onlineCpus()
    .map((cpu) => `CPU${String(cpu).padEnd(8)}`)
    .join('')}\n`;
  for (const desc of descs) {
    if (desc !== null && (desc.action !== null || desc.kstat.some((count) => count > 0))) text += row(desc, width);
  }
  return text + (system.archRows === null ? ownRows(system, width) : system.archRows());
}

/** Digits of the highest number there can be, at least three. */
function numberWidth(nrCpus: number): number {
  const nrIrqs = GSI_TOP + LEGACY_IRQS + 8 * nrCpus + 16 * GSI_TOP;
  return Math.max(3, String(nrIrqs).length);
}

function row(desc: IrqDesc, width: number): string {
  let counts = '';
  for (const cpu of desc.kernel.cpus.onlineCpus()) counts += `${String(desc.kstat[cpu]).padStart(10)} `;
  const hwirq = String(desc.hwirq).padStart(width);
  const names: string[] = [];
  for (let action = desc.action; action !== null; action = action.next) names.push(action.name);
  const line = `${String(desc.irq).padStart(width)}: ${counts} ${desc.chip.name.padStart(8)} ${hwirq}-${FLOW_NAMES[desc.flow].padEnd(8)}`;
  return `${names.length === 0 ? line : `${line}  ${names.join(', ')}`}\n`;
}

/** The error counts every x86 has. @kernel arch/x86/kernel/irq.c arch_show_interrupts */
function ownRows(system: IrqSystem, width: number): string {
  const count = (name: string, value: number): string => `${name.padStart(width)}: ${String(value).padStart(10)}\n`;
  return count('ERR', system.badCount) + count('MIS', 0);
}

/** @kernel kernel/irq/proc.c register_irq_proc */
export function registerIrqProc({ procfs }: Kernel, desc: IrqDesc): void {
  const dir = `/proc/irq/${desc.irq}`;
  desc.procFiles.push(
    procfs.register(`${dir}/smp_affinity_list`, () => `${bitmapList(desc.affinity)}\n`),
    procfs.register(`${dir}/effective_affinity_list`, () => `${desc.effectiveCpu}\n`),
  );
}
