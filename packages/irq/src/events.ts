/**
 * Trace events of interrupt handlers.
 * Kernel counterpart: include/trace/events/irq.h.
 */
import type { TraceEventType } from '@nvme-stack/kernel';

/** @kernel include/trace/events/irq.h irq_handler_entry */
export const IRQ_HANDLER_ENTRY: TraceEventType = {
  name: 'irq_handler_entry',
  kind: 'irq',
  fields: ['irq'],
  textField: 'name',
};

/** `ret` is zero for unhandled. @kernel include/trace/events/irq.h irq_handler_exit */
export const IRQ_HANDLER_EXIT: TraceEventType = { name: 'irq_handler_exit', kind: 'irq', fields: ['irq', 'ret'] };
