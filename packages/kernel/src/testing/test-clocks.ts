/** Clocks for tests: one that jumps, as virtual time does, and one that moves only when told, as real time seems to. */
import type { Clock, HostLoop } from '../ports.js';
import { testHostLoop } from './test-kernel.js';

/** Jumps to every deadline. */
export class JumpingClock implements Clock {
  private timeNs = 0;

  now(): number {
    return this.timeNs;
  }

  reach(deadlineNs: number): boolean {
    if (deadlineNs > this.timeNs) this.timeNs = deadlineNs;
    return true;
  }
}

/** Moves only by `pass`; each poll of `reach` also takes `pollNs`, so that a busy wait ends. */
export class ManualClock implements Clock {
  private timeNs = 0;
  private readonly pollNs: number;

  constructor(pollNs = 0) {
    this.pollNs = pollNs;
  }

  now(): number {
    return this.timeNs;
  }

  reach(deadlineNs: number): boolean {
    this.timeNs += this.pollNs;
    return this.timeNs >= deadlineNs;
  }

  pass(ns: number): void {
    this.timeNs += ns;
  }
}

/** A host whose `after` moves a manual clock instead of waiting; `waits` says for how long it was asked. */
export function createManualHost(clock: ManualClock): HostLoop & { readonly waits: readonly number[] } {
  const waits: number[] = [];
  return {
    waits,
    macrotask: testHostLoop.macrotask,
    after: (delayNs, fn) => {
      waits.push(delayNs);
      let cancelled = false;
      testHostLoop.macrotask(() => {
        if (cancelled) return;
        clock.pass(delayNs);
        fn();
      });
      return () => {
        cancelled = true;
      };
    },
  };
}
