// Power states: the one the host chose, and the ones the controller goes to by itself while it has no I/O.
// Kernel counterpart: the other end of drivers/nvme/host/core.c nvme_configure_apst. Spec: [NVMe] 2.0 §8.15, §5.27.1.2, §5.27.1.9.
//
// Nothing happens at the moment a state changes, so the state is computed when it matters: at a command, or when asked for.
import type { PowerStateDescription } from './hardware-description.js';

const NS_PER_US = 1000;
const NS_PER_MS = 1e6;
export const APST_TABLE_BYTES = 256;

/** Power management of one controller. */
export class PowerManagement {
  readonly states: readonly Required<PowerStateDescription>[];
  /** 32 entries of 8 bytes: idle milliseconds << 8 | state << 3. */
  readonly apstTable: Uint8Array;
  /** APSTE. */
  autonomous = false;
  #current = 0;
  /** The operational state that a command brings it back to. */
  #operational = 0;
  #idleSinceNs = 0;

  constructor(states: readonly Required<PowerStateDescription>[]) {
    this.states = states;
    this.apstTable = new Uint8Array(APST_TABLE_BYTES);
  }

  /** As after a controller reset. */
  reset(nowNs: number): void {
    this.apstTable.fill(0);
    this.autonomous = false;
    this.#current = 0;
    this.#operational = 0;
    this.#idleSinceNs = nowNs;
  }

  /** The host chooses a state; false: there is no such state. */
  choose(state: number, nowNs: number): boolean {
    const chosen = this.states[state];
    if (chosen === undefined) return false;
    this.#current = state;
    if (!chosen.nonOperational) this.#operational = state;
    this.#idleSinceNs = nowNs;
    return true;
  }

  /** The host's table; false, with nothing changed, when an entry leads to a state that is not a non-operational one. */
  setTable(table: Uint8Array, autonomous: boolean, nowNs: number): boolean {
    for (let state = 0; state < this.states.length; state++) {
      const { idleMs, target } = entryOf(table, state);
      if (idleMs !== 0 && this.states[target]?.nonOperational !== true) return false;
    }
    this.apstTable.set(table.subarray(0, APST_TABLE_BYTES));
    this.autonomous = autonomous;
    this.#idleSinceNs = nowNs;
    return true;
  }

  /** The state at a time, when nothing comes before. */
  stateAt(nowNs: number): number {
    let state = this.#current;
    if (!this.autonomous) return state;
    let sinceNs = this.#idleSinceNs;
    for (let steps = 0; steps < this.states.length; steps++) {
      const { idleMs, target } = entryOf(this.apstTable, state);
      if (idleMs === 0 || sinceNs + idleMs * NS_PER_MS > nowNs) return state;
      sinceNs += idleMs * NS_PER_MS;
      state = target;
    }
    return state;
  }

  /** An I/O command has come; returns what it waits until the controller works, in nanoseconds. */
  wake(nowNs: number): number {
    const { nonOperational, exitLatencyUs } = this.states[this.stateAt(nowNs)] as Required<PowerStateDescription>;
    this.#idleSinceNs = nowNs;
    if (!nonOperational) return 0;
    this.#current = this.#operational;
    return exitLatencyUs * NS_PER_US;
  }
}

function entryOf(table: Uint8Array, state: number): { readonly idleMs: number; readonly target: number } {
  const at = 8 * state;
  const idleMs = (table[at + 1] as number) | ((table[at + 2] as number) << 8) | ((table[at + 3] as number) << 16);
  return { idleMs, target: (table[at] as number) >>> 3 };
}
