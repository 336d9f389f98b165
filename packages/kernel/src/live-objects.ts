/**
 * Counts what is alive by kind and name, so that `rmmod` can say what was left behind.
 * Kernel counterpart: none; stands where lib/debugobjects.c and the "busy" checks of each subsystem stand.
 */
import type { Leak, LeakKind, LiveObjects } from './ports.js';

/** The count of one kind and name, held by a hot path so that it needs no look-up. */
export interface LiveCounter {
  add(count: number): void;
  remove(count: number): void;
}

class LiveEntry implements LiveCounter {
  readonly kind: LeakKind;
  readonly name: string;
  count = 0;
  baseline = 0;

  constructor(kind: LeakKind, name: string) {
    this.kind = kind;
    this.name = name;
  }

  add(count: number): void {
    this.count += count;
  }

  remove(count: number): void {
    if (count > this.count) {
      throw new Error(`${this.kind} '${this.name}': ${count} removed, but only ${this.count} live`);
    }
    this.count -= count;
  }
}

class LiveObjectsImpl implements LiveObjects {
  private readonly byKind = new Map<LeakKind, Map<string, LiveEntry>>();

  entry(kind: LeakKind, name: string): LiveEntry {
    let byName = this.byKind.get(kind);
    if (byName === undefined) {
      byName = new Map();
      this.byKind.set(kind, byName);
    }
    let entry = byName.get(name);
    if (entry === undefined) {
      entry = new LiveEntry(kind, name);
      byName.set(name, entry);
    }
    return entry;
  }

  add(kind: LeakKind, name: string, count = 1): void {
    this.entry(kind, name).add(count);
  }

  remove(kind: LeakKind, name: string, count = 1): void {
    this.entry(kind, name).remove(count);
  }

  leaks(): Leak[] {
    const leaks: Leak[] = [];
    for (const byName of this.byKind.values()) {
      for (const { kind, name, count, baseline } of byName.values()) {
        if (count > baseline) leaks.push({ kind, name, count: count - baseline });
      }
    }
    return leaks.sort((a, b) => compareText(a.kind, b.kind) || compareText(a.name, b.name));
  }

  baseline(): void {
    for (const byName of this.byKind.values()) {
      for (const entry of byName.values()) entry.baseline = entry.count;
    }
  }
}

/** Forwards to a `LiveObjects` of another make. */
class ForwardingCounter implements LiveCounter {
  private readonly live: LiveObjects;
  private readonly kind: LeakKind;
  private readonly name: string;

  constructor(live: LiveObjects, kind: LeakKind, name: string) {
    this.live = live;
    this.kind = kind;
    this.name = name;
  }

  add(count: number): void {
    this.live.add(this.kind, this.name, count);
  }

  remove(count: number): void {
    this.live.remove(this.kind, this.name, count);
  }
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Makes an empty count. Removing more than is live throws: it is a defect of the caller. */
export function createLiveObjects(): LiveObjects {
  return new LiveObjectsImpl();
}

/** The counter of one kind and name in `live`, to be fetched once and kept. */
export function liveCounter(live: LiveObjects, kind: LeakKind, name: string): LiveCounter {
  return live instanceof LiveObjectsImpl ? live.entry(kind, name) : new ForwardingCounter(live, kind, name);
}
