// Asynchronous events: requests that wait, events that wait, and types masked until their log page is read.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_complete_async_event. Spec: [NVMe] 2.0 §5.2.
import * as nvme from '@nvme-stack/nvme-protocol';
import { type CommandSlot, SLOT_PARKED } from './command-slot.js';
import { completeCommand } from './completion.js';
import type { ControllerState } from './controller-state.js';
import { PENDING, SC_ASYNC_LIMIT, SC_SUCCESS } from './status.js';
import * as trace from './trace-events.js';

/** Events that may wait; more are dropped, as the host is not reading. */
const EVENTS_MAX = 64;

/** Asynchronous Event Request. */
export function asyncEventRequest(controller: ControllerState, slot: CommandSlot): number {
  if (controller.tracing) controller.host?.trace(trace.TRACE_AER, slot.cid, 0, 0, 0);
  if (controller.parkedRequests.length > controller.description.aerLimit) return SC_ASYNC_LIMIT;
  slot.state = SLOT_PARKED;
  controller.parkedRequests.push(slot);
  reportEvents(controller);
  return PENDING;
}

/** Adds an event and reports it as soon as a request waits and its type is not masked. */
export function raiseEvent(controller: ControllerState, type: number, info: number, logPage: number): void {
  const { waitingEvents } = controller.health;
  if ((controller.registers.csts & nvme.NVME_CSTS_RDY) === 0 || waitingEvents.length >= EVENTS_MAX) return;
  if (controller.tracing) controller.host?.trace(trace.TRACE_ENQUEUE_EVENT, type, info, logPage, 0);
  waitingEvents.push({ type, info, logPage });
  reportEvents(controller);
}

/** The log page of an event type was read without Retain Asynchronous Event. */
export function clearEventMask(controller: ControllerState, type: number): void {
  controller.health.maskedTypes &= ~(1 << type);
  const { waitingEvents } = controller.health;
  for (let i = waitingEvents.length - 1; i >= 0; i--) if (waitingEvents[i]?.type === type) waitingEvents.splice(i, 1);
}

function reportEvents(controller: ControllerState): void {
  const { health, parkedRequests } = controller;
  for (let i = 0; i < health.waitingEvents.length && parkedRequests.length > 0; ) {
    const event = health.waitingEvents[i] as { type: number; info: number; logPage: number };
    if ((health.maskedTypes & (1 << event.type)) !== 0) {
      i++;
      continue;
    }
    health.waitingEvents.splice(i, 1);
    health.maskedTypes |= 1 << event.type;
    const slot = parkedRequests.shift() as CommandSlot;
    slot.dw0 = event.type | (event.info << 8) | (event.logPage << 16);
    completeCommand(controller, slot, SC_SUCCESS);
  }
}

/** Raises a doorbell error. */
export function invalidDoorbell(controller: ControllerState, isValue: boolean): void {
  const info = isValue ? nvme.NVME_AER_ERROR_INVALID_DB_VAL : nvme.NVME_AER_ERROR_INVALID_DB_REG;
  raiseEvent(controller, nvme.NVME_AER_ERROR, info, nvme.NVME_LOG_ERROR);
}

/** Sets critical warning bits; each new one that the host enabled is an event. */
export function setCriticalWarning(controller: ControllerState, bits: number): void {
  const { health, features } = controller;
  const fresh = bits & ~health.criticalWarning & features.asyncEvents & 0xff;
  health.criticalWarning = bits & 0xff;
  for (let bit = 0; bit < 8; bit++) {
    const mask = 1 << bit;
    if ((fresh & mask) === 0) continue;
    let info = nvme.NVME_AER_SMART_RELIABILITY;
    if (mask === nvme.NVME_SMART_CRIT_SPARE) info = nvme.NVME_AER_SMART_SPARE_BELOW;
    if (mask === nvme.NVME_SMART_CRIT_TEMPERATURE) info = nvme.NVME_AER_SMART_TEMP_THRESH;
    raiseEvent(controller, nvme.NVME_AER_SMART, info, nvme.NVME_LOG_SMART);
  }
}

/** Sets the temperature warning from temperature and thresholds. */
export function checkTemperature(controller: ControllerState): void {
  const { health, features } = controller;
  const isOut =
    health.temperatureKelvin >= features.temperatureOver || health.temperatureKelvin <= features.temperatureUnder;
  const others = health.criticalWarning & ~nvme.NVME_SMART_CRIT_TEMPERATURE;
  setCriticalWarning(controller, others | (isOut ? nvme.NVME_SMART_CRIT_TEMPERATURE : 0));
}

/** A namespace changed: every controller of the subsystem notes it, and raises Namespace Attribute Changed if enabled. */
export function namespaceChanged(controller: ControllerState, nsid: number): void {
  for (const one of controller.subsystem) noteChangedNamespace(one, nsid);
}

function noteChangedNamespace(controller: ControllerState, nsid: number): void {
  controller.health.changedNamespaces.add(nsid);
  if ((controller.features.asyncEvents & (1 << nvme.NVME_AEN_BIT_NS_ATTR)) === 0) return;
  raiseEvent(controller, nvme.NVME_AER_NOTICE, nvme.NVME_AER_NOTICE_NS_CHANGED, nvme.NVME_LOG_CHANGED_NS);
}
