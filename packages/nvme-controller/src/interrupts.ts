// Interrupts of completion queues: MSI-X messages, or the level of INTx with its mask registers.
// Kernel counterpart: what drivers/nvme/host/pci.c nvme_irq answers. Spec: [NVMe] 2.0 §3.1.4.3-4; NVMe over PCIe 1.0 §3.5.
import { type ControllerState, EVENT_INTERRUPT } from './controller-state.js';
import type { InterruptFault } from './ports.js';
import type { CompletionQueue } from './queues.js';
import * as trace from './trace-events.js';

/** Signals that entries were posted to cq: one message per call, or the pin until the queues of the vector are empty. */
export function raiseInterrupt(controller: ControllerState, cq: CompletionQueue): void {
  if (!cq.irqEnabled) return;
  if (controller.faults?.interrupt) {
    const fault = controller.faults.interrupt(cq.cqid, cq.vector);
    if (fault === true || controller.isGone) return;
    if (fault !== false) {
      disturbInterrupt(controller, cq, fault);
      return;
    }
  }
  signal(controller, cq);
}

/** Late, or by another vector; on the pin there is only one. */
function disturbInterrupt(controller: ControllerState, cq: CompletionQueue, fault: InterruptFault): void {
  if (fault.delayNs !== undefined) controller.schedule(fault.delayNs, EVENT_INTERRUPT, cq.cqid);
  else if (fault.vector !== undefined && controller.endpoint.messageSignalled) controller.endpoint.notify(fault.vector);
  else signal(controller, cq);
}

/** The interrupt itself, whatever a fault plan says. */
export function signal(controller: ControllerState, cq: CompletionQueue): void {
  const { endpoint } = controller;
  if (endpoint.messageSignalled) {
    if (controller.tracing) controller.host?.trace(trace.TRACE_IRQ_MSIX, cq.vector, 0, 0, 0);
    endpoint.notify(cq.vector);
    return;
  }
  if (controller.tracing) controller.host?.trace(trace.TRACE_IRQ_PIN, 0, 0, 0, 0);
  controller.intStatus = (controller.intStatus | (1 << (cq.vector & 31))) >>> 0;
  updatePin(controller);
}

/** Lowers the pin's cause when the last queue of a vector has been emptied. */
export function lowerInterrupt(controller: ControllerState, cq: CompletionQueue): void {
  if (cq.head !== cq.tail || controller.intStatus === 0) return;
  for (const other of controller.completionQueues) {
    if (other?.irqEnabled && other.vector === cq.vector && other.head !== other.tail) return;
  }
  controller.intStatus = (controller.intStatus & ~(1 << (cq.vector & 31))) >>> 0;
  updatePin(controller);
}

/** Writes INTMS (set) or INTMC (clear). */
export function maskInterrupts(controller: ControllerState, bits: number, set: boolean): void {
  controller.intMask = (set ? controller.intMask | bits : controller.intMask & ~bits) >>> 0;
  updatePin(controller);
}

/** Makes the pin follow status and mask. */
export function updatePin(controller: ControllerState): void {
  controller.endpoint.setIntx((controller.intStatus & ~controller.intMask) !== 0);
}
