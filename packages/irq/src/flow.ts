/**
 * Flow handlers: how each kind of interrupt is acknowledged, masked, handled and, when it came at a bad moment, kept
 * for later. Hard interrupt context: nothing here sleeps, throws or allocates.
 * Kernel counterpart: kernel/irq/chip.c (handle_edge_irq …), kernel/irq/handle.c.
 */
import { ackIrq, maskIrq, unmaskIrq } from './chip.js';
import type { IrqDesc } from './desc.js';
import { IRQ_HANDLER_ENTRY, IRQ_HANDLER_EXIT } from './events.js';
import { IRQ_WAKE_THREAD } from './ports.js';
import { noteInterrupt } from './spurious.js';
import { irqWakeThread } from './thread.js';

/** An edge that comes while the handler runs, or while nobody may handle it, is kept. @kernel kernel/irq/chip.c handle_edge_irq */
export function handleEdgeIrq(desc: IrqDesc): void {
  const { trace } = desc.kernel;
  if (trace.functions) trace.enter('handle_edge_irq');
  if (desc.inProgress || desc.depth > 0 || desc.action === null) {
    desc.pending = true;
    maskIrq(desc);
    ackIrq(desc);
  } else {
    countInterrupt(desc);
    ackIrq(desc);
    do {
      if (desc.pending && desc.depth === 0) unmaskIrq(desc);
      handleIrqEvent(desc);
    } while (desc.pending && desc.depth === 0 && desc.action !== null);
  }
  if (trace.functions) trace.exit();
}

/** @kernel kernel/irq/chip.c handle_level_irq */
export function handleLevelIrq(desc: IrqDesc): void {
  const { trace } = desc.kernel;
  if (trace.functions) trace.enter('handle_level_irq');
  maskIrq(desc);
  ackIrq(desc);
  if (mayHandle(desc)) {
    handleIrqEvent(desc);
    if (desc.threadsOneshot === 0 && desc.depth === 0) unmaskIrq(desc);
  }
  if (trace.functions) trace.exit();
}

/** @kernel kernel/irq/chip.c handle_fasteoi_irq */
export function handleFasteoiIrq(desc: IrqDesc): void {
  const { trace } = desc.kernel;
  if (trace.functions) trace.enter('handle_fasteoi_irq');
  if (mayHandle(desc)) {
    if (desc.oneshot) maskIrq(desc);
    handleIrqEvent(desc);
    if (desc.threadsOneshot === 0 && desc.depth === 0) unmaskIrq(desc);
  } else if (!desc.inProgress) {
    maskIrq(desc);
  }
  desc.chip.irqEoi?.(desc);
  if (trace.functions) trace.exit();
}

function mayHandle(desc: IrqDesc): boolean {
  if (desc.inProgress) return false;
  if (desc.action === null || desc.depth > 0) {
    desc.pending = true;
    return false;
  }
  countInterrupt(desc);
  return true;
}

/** @kernel kernel/irq/internals.h kstat_incr_irqs_this_cpu */
function countInterrupt(desc: IrqDesc): void {
  desc.kstat[desc.kernel.ex.cpu]++;
}

/** @kernel kernel/irq/handle.c handle_irq_event */
function handleIrqEvent(desc: IrqDesc): void {
  const { trace } = desc.kernel;
  if (trace.functions) trace.enter('handle_irq_event');
  desc.pending = false;
  desc.inProgress = true;
  const result = handleIrqEventPercpu(desc);
  desc.inProgress = false;
  if (!desc.spuriousDisabled) noteInterrupt(desc, result);
  if (trace.functions) trace.exit();
}

/** Calls every handler; returns their results ored. @kernel kernel/irq/handle.c __handle_irq_event_percpu */
function handleIrqEventPercpu(desc: IrqDesc): number {
  const { trace } = desc.kernel;
  const { irq } = desc;
  if (trace.functions) trace.enter('__handle_irq_event_percpu');
  let result = 0;
  for (let action = desc.action; action !== null; action = action.next) {
    if (trace.events) trace.event(IRQ_HANDLER_ENTRY, irq, 0, 0, 0, action.name);
    const returned = action.handler(irq, action.devId);
    if (trace.events) trace.event(IRQ_HANDLER_EXIT, irq, returned, 0, 0);
    if (returned === IRQ_WAKE_THREAD) irqWakeThread(action);
    result |= returned;
  }
  if (trace.functions) trace.exit();
  return result;
}
