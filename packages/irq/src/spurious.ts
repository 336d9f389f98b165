/**
 * Interrupts nobody wants: when nearly all of many are not handled, the line is switched off for good.
 * Kernel counterpart: kernel/irq/spurious.c.
 */
import { maskIrq } from './chip.js';
import type { IrqDesc } from './desc.js';
import { IRQ_HANDLED, IRQ_NONE, IRQ_WAKE_THREAD } from './ports.js';

/** Of so many interrupts … */
const SAMPLE = 100_000;
/** … more than so many unhandled are too many. */
const LIMIT = 99_900;
/** Unhandled interrupts further apart than this do not add up. */
const APART_NS = 100_000_000;

/** @kernel kernel/irq/spurious.c note_interrupt */
export function noteInterrupt(desc: IrqDesc, result: number): void {
  if ((result === IRQ_WAKE_THREAD ? threadResult(desc) : result) === IRQ_NONE) {
    const now = desc.kernel.ex.now();
    desc.irqsUnhandled = now - desc.lastUnhandledNs > APART_NS ? 1 : desc.irqsUnhandled + 1;
    desc.lastUnhandledNs = now;
  }
  if (++desc.irqCount < SAMPLE) return;
  desc.irqCount = 0;
  if (desc.irqsUnhandled > LIMIT) disableForGood(desc);
  desc.irqsUnhandled = 0;
}

/** Whether the threads have handled anything since the last look; the first look only takes note. */
function threadResult(desc: IrqDesc): number {
  const before = desc.threadsHandledLast;
  desc.threadsHandledLast = desc.threadsHandled;
  return before < 0 || before !== desc.threadsHandled ? IRQ_HANDLED : IRQ_NONE;
}

/** @kernel kernel/irq/spurious.c __report_bad_irq */
function disableForGood(desc: IrqDesc): void {
  const { printk } = desc.kernel;
  printk.print('err', `irq ${desc.irq}: nobody cared (try booting with the "irqpoll" option)`);
  printk.print('err', 'handlers:');
  for (let action = desc.action; action !== null; action = action.next) printk.print('err', action.name);
  printk.print('emerg', `Disabling IRQ #${desc.irq}`);
  desc.spuriousDisabled = true;
  desc.depth++;
  maskIrq(desc);
}
