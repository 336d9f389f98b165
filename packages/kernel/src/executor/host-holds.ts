/**
 * Waiting for the host: virtual time stands still while something is held, and what the host settles goes on in the
 * order in which it was asked for, so that the host's timing never shows.
 */
import type { Executor, Item } from '../ports.js';

interface Hold {
  settled: boolean;
  readonly go: () => void;
}

export class HostHolds {
  private readonly queue: Hold[] = [];
  private readonly ex: Executor & { hostSettled: () => void };

  constructor(ex: Executor & { hostSettled: () => void }) {
    this.ex = ex;
  }

  get outstanding(): boolean {
    return this.queue.length > 0;
  }

  /** Lets the oldest settled hold go on; false when the host is still to answer. */
  release(): boolean {
    const first = this.queue[0] as Hold;
    if (!first.settled) return false;
    this.queue.shift();
    first.go();
    return true;
  }

  /** Holds until `promise` settles, then calls `go`; returns what gives its outcome. */
  wait<T>(promise: Promise<T>, go: () => void): () => T {
    let outcome: { value: T } | { error: unknown } | null = null;
    const settle = this.add(go);
    promise.then(
      (value) => {
        outcome = { value };
        settle();
      },
      (error: unknown) => {
        outcome = { error };
        settle();
      },
    );
    return () => {
      const known = outcome as unknown as { value: T } | { error: unknown };
      if ('error' in known) throw known.error;
      return known.value;
    };
  }

  /** Holds until the returned function is called; then the item becomes ready. */
  hold(item: Item): () => void {
    return this.add(() => this.ex.post(item));
  }

  private add(go: () => void): () => void {
    const hold: Hold = { settled: false, go };
    this.queue.push(hold);
    return () => {
      hold.settled = true;
      this.ex.hostSettled();
    };
  }
}
