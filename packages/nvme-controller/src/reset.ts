// What every reset does: queues, outstanding commands, events and interrupts go away.
// Kernel counterpart: none (the hardware). Spec: [NVMe] 2.0 §3.7.2.
import { type CommandSlot, SLOT_FREE, SLOT_IN_STORE, SLOT_ORPHAN } from './command-slot.js';
import type { ControllerState } from './controller-state.js';
import { updatePin } from './interrupts.js';

/** Drops all queues and commands; a command still in a store is freed when the store is done with it. */
export function resetQueues(controller: ControllerState): void {
  controller.generation++;
  for (const slot of controller.slots) dropSlot(controller, slot);
  controller.submissionQueues.fill(null);
  controller.completionQueues.fill(null);
  controller.firstQueued = null;
  controller.lastQueued = null;
  controller.firstDirty = null;
  controller.lastDirty = null;
  controller.parkedRequests.length = 0;
  controller.health.waitingEvents.length = 0;
  controller.health.maskedTypes = 0;
  controller.events.clear();
  controller.hmb?.disable();
  controller.coalescing?.reset();
  controller.streams?.reset();
  controller.power.reset(controller.host?.nowNs() ?? 0);
  controller.host?.alarmAt(Infinity);
  controller.shadowDoorbells = false;
  controller.intStatus = 0;
  controller.intMask = 0;
  updatePin(controller);
  controller.injector?.arm();
}

/** A function that was gone answers again, as after power-on. */
export function comeBack(controller: ControllerState): void {
  controller.isGone = false;
  controller.backAtNs = Number.POSITIVE_INFINITY;
  const { registers } = controller;
  registers.aqa = 0;
  registers.asqLo = 0;
  registers.asqHi = 0;
  registers.acqLo = 0;
  registers.acqHi = 0;
  controller.endpoint.reset();
}

function dropSlot(controller: ControllerState, slot: CommandSlot): void {
  if (slot.state === SLOT_FREE || slot.state === SLOT_ORPHAN) return;
  if (slot.state === SLOT_IN_STORE) slot.state = SLOT_ORPHAN;
  else controller.freeSlot(slot);
}
