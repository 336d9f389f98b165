// Interrupt coalescing: completions of a vector gather until there are enough, or the first has waited long enough.
// Kernel counterpart: none in the driver (features 08h and 09h are set by passthrough). Spec: [NVMe] 2.0 §5.27.1.6-7; NVMe over PCIe 1.0 §3.5.2.
import { InterruptCoalescing, InterruptVectorConfiguration } from '@nvme-stack/nvme-protocol';
import { type ControllerState, EVENT_COALESCED } from './controller-state.js';
import type { CompletionQueue } from './queues.js';

/** THR is 0-based; TIME counts 100 µs, and 0 means no delay. */
const UNIT_NS = 100_000;

/** Coalescing of one controller, by vector. */
export class Coalescing {
  /** Feature 08h. */
  value = 0;
  /** Feature 09h CD by vector: 1 where coalescing is off. */
  readonly disabled: Uint8Array;
  /** Entries that no interrupt has told of. */
  readonly gathered: Uint32Array;
  /** A time runs for the vector. */
  readonly armed: Uint8Array;

  constructor(vectors: number) {
    this.disabled = new Uint8Array(vectors);
    this.gathered = new Uint32Array(vectors);
    this.armed = new Uint8Array(vectors);
    this.reset();
  }

  /** Vector 0, the admin queue's, is never coalesced. */
  reset(): void {
    this.value = 0;
    this.disabled.fill(0);
    this.disabled[0] = 1;
    this.gathered.fill(0);
    this.armed.fill(0);
  }
}

/** True when the entries posted to cq must wait for more: whoever asks raises no interrupt then. */
export function holdsBack(controller: ControllerState, cq: CompletionQueue, posted: number): boolean {
  const { coalescing } = controller;
  const { vector } = cq;
  if (coalescing === null || cq.cqid === 0 || (coalescing.disabled[vector] ?? 1) !== 0) return false;
  const time = InterruptCoalescing.TIME.get(coalescing.value);
  const gathered = (coalescing.gathered[vector] as number) + posted;
  if (time === 0 || gathered > InterruptCoalescing.THR.get(coalescing.value)) {
    coalescing.gathered[vector] = 0;
    return false;
  }
  coalescing.gathered[vector] = gathered;
  if (coalescing.armed[vector] === 0) {
    coalescing.armed[vector] = 1;
    controller.schedule(time * UNIT_NS, EVENT_COALESCED, vector);
  }
  return true;
}

/** The time of a vector is over: the queue to interrupt for, or null when its entries were told of, or consumed. */
export function releaseVector(controller: ControllerState, vector: number): CompletionQueue | null {
  const { coalescing } = controller;
  if (coalescing === null) return null;
  coalescing.armed[vector] = 0;
  if (coalescing.gathered[vector] === 0) return null;
  coalescing.gathered[vector] = 0;
  for (const cq of controller.completionQueues)
    if (cq?.irqEnabled && cq.cqid !== 0 && cq.vector === vector && cq.head !== cq.tail) return cq;
  return null;
}

/** Feature 09h; false: no such vector. */
export function configureVector(coalescing: Coalescing, cdw11: number): boolean {
  const vector = InterruptVectorConfiguration.IV.get(cdw11);
  if (vector >= coalescing.disabled.length) return false;
  if (vector !== 0) coalescing.disabled[vector] = InterruptVectorConfiguration.CD.get(cdw11);
  return true;
}
