/**
 * Trace events of the workqueue subsystem.
 * Kernel counterpart: include/trace/events/workqueue.h.
 */
import type { TraceEventType } from '@nvme-stack/kernel';

/** @kernel include/trace/events/workqueue.h workqueue_queue_work */
export const WORKQUEUE_QUEUE_WORK: TraceEventType = {
  name: 'workqueue_queue_work',
  kind: 'work',
  fields: ['work', 'req_cpu', 'cpu'],
  textField: 'function',
};

/** @kernel include/trace/events/workqueue.h workqueue_activate_work */
export const WORKQUEUE_ACTIVATE_WORK: TraceEventType = {
  name: 'workqueue_activate_work',
  kind: 'work',
  fields: ['work'],
  textField: 'function',
};

/** @kernel include/trace/events/workqueue.h workqueue_execute_start */
export const WORKQUEUE_EXECUTE_START: TraceEventType = {
  name: 'workqueue_execute_start',
  kind: 'work',
  fields: ['work'],
  textField: 'function',
};

/** @kernel include/trace/events/workqueue.h workqueue_execute_end */
export const WORKQUEUE_EXECUTE_END: TraceEventType = {
  name: 'workqueue_execute_end',
  kind: 'work',
  fields: ['work'],
  textField: 'function',
};
