// A controller as plain data, and back: queues, commands under way, timed events, registers, features, counters, faults.
// Kernel counterpart: none. The media are not in it: they are their stores'.
//
// References become places in lists. A command that a store works on is begun again after a restore: its data and its place
// are those of the command, so that doing it twice is doing it once.
import type { EndpointSnapshot } from '@nvme-stack/pci-function';
import { CommandSlot, SLOT_ACTIVE, SLOT_FREE, SLOT_IN_STORE, SLOT_ORPHAN } from './command-slot.js';
import { type ControllerState, EVENT_COMMAND } from './controller-state.js';
import type { FaultSnapshot } from './faults/injector.js';
import { CompletionQueue, SubmissionQueue } from './queues.js';
import { resetQueues } from './reset.js';
import { fieldsOf, type PlainFields, setFields } from './snapshot-fields.js';

const VERSION = 1;
const NONE = -1;

/** Fields of the state that hold a number or a flag and are carried as they are. */
export const CARRIED = [
  'isGone',
  'backAtNs',
  'fetchCount',
  'pageBytes',
  'shadowDoorbells',
  'shadowBase',
  'eventIdxBase',
  'intStatus',
  'intMask',
] as const satisfies readonly (keyof ControllerState)[];

/** A submission queue: its fields, its completion queue, whether it is still in the table. */
interface SqSnapshot {
  readonly fields: PlainFields;
  readonly cq: number;
  readonly exists: boolean;
}

interface CqSnapshot {
  readonly fields: PlainFields;
  readonly fastSq: number;
  readonly pending: readonly number[];
  readonly exists: boolean;
}

interface SlotSnapshot {
  readonly fields: PlainFields;
  readonly sq: number;
  readonly namespace: number;
  readonly buffer: readonly number[] | null;
}

/** A controller's state, JSON through and through. */
export interface ControllerSnapshot {
  readonly schemaVersion: number;
  /** The checked description as JSON: a snapshot fits a controller of the same one. */
  readonly description: string;
  readonly nowNs: number;
  readonly endpoint: EndpointSnapshot;
  readonly state: PlainFields;
  readonly registers: PlainFields;
  readonly features: PlainFields;
  readonly health: PlainFields;
  readonly coalescing: PlainFields | null;
  /** Absent in snapshots of controllers without. */
  readonly streams?: PlainFields | null;
  readonly namespaces: readonly (PlainFields | null)[];
  readonly submissionQueues: readonly SqSnapshot[];
  readonly completionQueues: readonly CqSnapshot[];
  readonly slots: readonly SlotSnapshot[];
  readonly parked: readonly number[];
  readonly free: readonly number[];
  readonly queued: readonly number[];
  readonly dirty: readonly number[];
  readonly inlineSlot: number;
  readonly activeSlots: number;
  readonly events: readonly (readonly [timeNs: number, sequence: number, kind: number, arg: number])[];
  readonly nextSequence: number;
  readonly faults: FaultSnapshot;
}

const NAMESPACE_REFERENCES = ['description', 'store'];
const SQ_REFERENCES = ['cq', 'nextQueued'];
const CQ_REFERENCES = ['fastSq', 'pendingHead', 'pendingTail', 'nextDirty'];
const SLOT_REFERENCES = ['controller', 'segments', 'next', 'sq', 'namespace', 'buffer', 'blocks', 'tags'];

/** Refuses what has no snapshot yet, with one sentence. */
function checkCovered({ cmb, hmb, hasDelays, isShared }: ControllerState): void {
  if (cmb === null && hmb === null && !hasDelays && !isShared) return;
  throw new RangeError(
    'a controller with cmb, hmb, several powerStates, multiController or sriovMaxVfs has no snapshot',
  );
}

/** Takes a snapshot; not from inside a call of the controller's own (a store, a fault plan). */
export function takeSnapshot(controller: ControllerState): ControllerSnapshot {
  checkCovered(controller);
  if (controller.isInDevice) throw new RangeError('a snapshot is not allowed while the controller is at work');
  const sqs = [...new Set([...controller.submissionQueues, ...controller.slots.map(({ sq }) => sq)])].filter(isThere);
  const cqs = [...new Set([...controller.completionQueues, ...sqs.map(({ cq }) => cq)])].filter(isThere);
  const { events } = controller;
  return {
    schemaVersion: VERSION,
    description: JSON.stringify(controller.description),
    nowNs: controller.host?.nowNs() ?? 0,
    endpoint: controller.endpoint.snapshot(),
    state: fieldsOf(Object.fromEntries(CARRIED.map((name) => [name, controller[name]]))),
    registers: fieldsOf(controller.registers),
    features: fieldsOf(controller.features),
    health: fieldsOf(controller.health),
    coalescing: controller.coalescing === null ? null : fieldsOf(controller.coalescing),
    streams: controller.streams === null ? null : fieldsOf(controller.streams, ['description']),
    namespaces: controller.namespaces.map((one) => (one === null ? null : fieldsOf(one, NAMESPACE_REFERENCES))),
    submissionQueues: sqs.map((sq) => ({
      fields: fieldsOf(sq, SQ_REFERENCES),
      cq: cqs.indexOf(sq.cq),
      exists: controller.submissionQueues[sq.sqid] === sq,
    })),
    completionQueues: cqs.map((cq) => ({
      fields: fieldsOf(cq, CQ_REFERENCES),
      fastSq: cq.fastSq === null ? NONE : sqs.indexOf(cq.fastSq),
      pending: listOf(cq.pendingHead, (slot) => slot.next).map(({ index }) => index),
      exists: controller.completionQueues[cq.cqid] === cq,
    })),
    slots: controller.slots.map((slot) => ({
      fields: fieldsOf(slot, SLOT_REFERENCES),
      sq: slot.sq === null ? NONE : sqs.indexOf(slot.sq),
      namespace: slot.namespace?.nsid ?? NONE,
      buffer: slot.steps > 0 && slot.buffer !== null ? [...slot.buffer] : null,
    })),
    parked: controller.parkedRequests.map(({ index }) => index),
    free: listOf(controller.freeSlots, (slot) => slot.next).map(({ index }) => index),
    queued: listOf(controller.firstQueued, (sq) => sq.nextQueued).map((sq) => sqs.indexOf(sq)),
    dirty: listOf(controller.firstDirty, (cq) => cq.nextDirty).map((cq) => cqs.indexOf(cq)),
    inlineSlot: controller.inlineSlot?.index ?? NONE,
    activeSlots: controller.activeSlots,
    events: Array.from({ length: events.count }, (_, i) => [
      events.times[i] as number,
      events.sequences[i] as number,
      events.kinds[i] as number,
      events.args[i] as number,
    ]),
    nextSequence: events.nextSequence,
    faults: (controller.injector as NonNullable<ControllerState['injector']>).snapshot(),
  };
}

function isThere<T>(value: T | null): value is T {
  return value !== null;
}

function listOf<T>(first: T | null, next: (one: T) => T | null): T[] {
  const all: T[] = [];
  for (let one = first; one !== null; one = next(one)) all.push(one);
  return all;
}

/** Puts the controller into a snapshot's state; what it was doing is dropped. Times are moved to the host's clock. Throws a RangeError for a snapshot of another controller. */
export function restoreSnapshot(controller: ControllerState, snapshot: ControllerSnapshot): void {
  if (snapshot.schemaVersion !== VERSION) {
    throw new RangeError(`snapshot.schemaVersion ${snapshot.schemaVersion} is not allowed: it must be ${VERSION}`);
  }
  if (snapshot.description !== JSON.stringify(controller.description)) {
    throw new RangeError('snapshot.description is not allowed: it must be that of this controller');
  }
  resetQueues(controller);
  controller.injector?.restore(snapshot.faults);
  for (const name of CARRIED) setFields(controller, { [name]: snapshot.state[name] ?? 0 });
  setFields(controller.registers, snapshot.registers);
  setFields(controller.features, snapshot.features);
  setFields(controller.health, snapshot.health);
  if (controller.coalescing !== null && snapshot.coalescing !== null)
    setFields(controller.coalescing, snapshot.coalescing);
  if (controller.streams !== null && snapshot.streams) setFields(controller.streams, snapshot.streams);
  snapshot.namespaces.forEach((fields, nsid) => {
    const namespace = controller.namespaces[nsid] ?? null;
    if (namespace === null || fields === null) return;
    setFields(namespace, fields);
    // Its Format NVM begins again.
    namespace.setFormatting(false);
  });
  restoreQueues(controller, snapshot);
  moveTimes(controller, snapshot);
  controller.endpoint.restore(snapshot.endpoint);
  beginAgain(controller);
  controller.host?.alarmAt(controller.events.nextTimeNs);
  if (controller.firstQueued !== null || controller.firstDirty !== null) controller.host?.defer();
}

function restoreQueues(controller: ControllerState, snapshot: ControllerSnapshot): void {
  const cqs = snapshot.completionQueues.map(({ fields }) => {
    const { cqid, size, address, vector, irqEnabled } = fields as unknown as CompletionQueue;
    const cq = new CompletionQueue(cqid, size, address, vector, irqEnabled);
    setFields(cq, fields);
    return cq;
  });
  const sqs = snapshot.submissionQueues.map(({ fields, cq }) => {
    const { sqid, size, address } = fields as unknown as SubmissionQueue;
    const sq = new SubmissionQueue(sqid, size, address, cqs[cq] as CompletionQueue);
    setFields(sq, fields);
    return sq;
  });
  controller.slots.length = 0;
  snapshot.slots.forEach(({ fields, sq, namespace, buffer }, index) => {
    const slot = new CommandSlot(controller, index);
    setFields(slot, fields);
    slot.sq = sqs[sq] ?? null;
    slot.namespace = namespace === NONE ? null : (controller.namespaces[namespace] ?? null);
    slot.buffer = buffer === null ? null : Uint8Array.from(buffer);
    controller.slots.push(slot);
  });
  const slotAt = (index: number): CommandSlot => controller.slots[index] as CommandSlot;
  snapshot.submissionQueues.forEach(({ exists }, i) => {
    const sq = sqs[i] as SubmissionQueue;
    if (exists) controller.submissionQueues[sq.sqid] = sq;
  });
  snapshot.completionQueues.forEach(({ exists, fastSq, pending }, i) => {
    const cq = cqs[i] as CompletionQueue;
    if (exists) controller.completionQueues[cq.cqid] = cq;
    cq.fastSq = sqs[fastSq] ?? null;
    const waiting = pending.map(slotAt);
    cq.pendingHead = linked(waiting, (slot, next) => {
      slot.next = next;
    });
    cq.pendingTail = waiting[waiting.length - 1] ?? null;
  });
  const queued = snapshot.queued.map((i) => sqs[i] as SubmissionQueue);
  controller.firstQueued = linked(queued, (sq, next) => {
    sq.nextQueued = next;
  });
  controller.lastQueued = queued[queued.length - 1] ?? null;
  const dirty = snapshot.dirty.map((i) => cqs[i] as CompletionQueue);
  controller.firstDirty = linked(dirty, (cq, next) => {
    cq.nextDirty = next;
  });
  controller.lastDirty = dirty[dirty.length - 1] ?? null;
  controller.freeSlots = linked(snapshot.free.map(slotAt), (slot, next) => {
    slot.next = next;
  });
  controller.parkedRequests.push(...snapshot.parked.map(slotAt));
  controller.inlineSlot = snapshot.inlineSlot === NONE ? null : slotAt(snapshot.inlineSlot);
  controller.activeSlots = snapshot.activeSlots;
}

/** Links a list and returns its head. */
function linked<T>(all: readonly T[], link: (one: T, next: T | null) => void): T | null {
  all.forEach((one, i) => {
    link(one, all[i + 1] ?? null);
  });
  return all[0] ?? null;
}

/** Virtual time may be another than when the snapshot was taken. */
function moveTimes(controller: ControllerState, snapshot: ControllerSnapshot): void {
  const byNs = (controller.host?.nowNs() ?? 0) - snapshot.nowNs;
  controller.events.load(
    snapshot.events.map(([timeNs, ...rest]) => [timeNs + byNs, ...rest] as const),
    snapshot.nextSequence,
  );
  controller.features.timestampSetAtNs += byNs;
  controller.backAtNs += byNs;
  controller.injector?.moveTimes(byNs);
}

function beginAgain(controller: ControllerState): void {
  for (const slot of controller.slots) {
    if (slot.state === SLOT_ORPHAN) {
      slot.sq = null;
      slot.state = SLOT_FREE;
      slot.next = controller.freeSlots;
      controller.freeSlots = slot;
      controller.activeSlots--;
    } else if (slot.state === SLOT_IN_STORE) {
      slot.state = SLOT_ACTIVE;
      slot.isInline = false;
      slot.ticket = controller.schedule(0, EVENT_COMMAND, slot.index);
    }
  }
}
