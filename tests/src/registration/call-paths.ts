/** Where a function was called from, as the trace tells it. */
import type { TraceEntry } from '@nvme-stack/kernel';

/** The symbols of the functions that had called the first entry of `symbol`, outermost first, and itself. */
export function pathTo(entries: readonly TraceEntry[], symbol: string, from = 0): string[] {
  const at = entries.findIndex((entry, index) => index >= from && entry.kind === 'function' && entry.symbol === symbol);
  if (at < 0) return [];
  const path = [symbol];
  let { depth } = entries[at] as TraceEntry;
  const { task, pid } = entries[at] as TraceEntry;
  for (let index = at - 1; index >= 0 && depth > 0; index--) {
    const entry = entries[index] as TraceEntry;
    if (entry.kind !== 'function' || entry.task !== task || entry.pid !== pid || entry.depth !== depth - 1) continue;
    path.unshift(entry.symbol);
    depth = entry.depth;
  }
  return path;
}

/** Symbols of all functions entered from entry `from` on. */
export function symbolsSince(entries: readonly TraceEntry[], from: number): Set<string> {
  const symbols = new Set<string>();
  for (const entry of entries.slice(from)) if (entry.kind === 'function') symbols.add(entry.symbol);
  return symbols;
}

/** When the first function of that symbol began and ended, in virtual nanoseconds. */
export function spanOf(
  entries: readonly TraceEntry[],
  symbol: string,
): { startNs: number; endNs: number; seq: number } {
  const entry = entries.find((one) => one.kind === 'function' && one.symbol === symbol);
  if (entry === undefined) throw new Error(`${symbol} was not called`);
  return { startNs: entry.startNs, endNs: entry.startNs + entry.durationNs, seq: entry.seq };
}
