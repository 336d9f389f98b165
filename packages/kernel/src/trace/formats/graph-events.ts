/**
 * Function entries turned into the entry and return events that function_graph records, in the order of their times.
 * Kernel counterpart: kernel/trace/trace_functions_graph.c trace_graph_entry, trace_graph_return.
 */
import type { TraceEntry } from '../../ports.js';
import { stackOf } from './call-forest.js';

/** A function's entry or return, as one CPU's buffer has it. */
export interface GraphEvent {
  readonly kind: 'entry' | 'return';
  /** The CPU it happened on. A trace has no CPU of a return: it is that of the stack's latest entry. */
  readonly cpu: number;
  readonly pid: number;
  readonly task: string;
  readonly depth: number;
  readonly symbol: string;
  /** Of a return: time since its entry. */
  readonly durationNs: number;
}

interface Stack {
  readonly open: TraceEntry[];
  cpu: number;
}

/** The events of all function entries on CPUs. What still runs has no return. */
export function graphEvents(entries: readonly TraceEntry[]): GraphEvent[] {
  const events: GraphEvent[] = [];
  const stacks = new Map<string, Stack>();
  const calls = entries.filter((entry) => entry.kind === 'function' && entry.cpu >= 0);
  calls.sort((a, b) => a.startNs - b.startNs || a.seq - b.seq);
  for (const entry of calls) {
    const key = stackOf(entry);
    let stack = stacks.get(key);
    if (stack === undefined) {
      stack = { open: [], cpu: entry.cpu };
      stacks.set(key, stack);
    }
    while (stack.open.length > 0 && innermost(stack).depth >= entry.depth) close(stack, events);
    closeUntil(stacks, entry.startNs, events);
    stack.open.push(entry);
    stack.cpu = entry.cpu;
    events.push(event('entry', entry, entry.cpu));
  }
  closeUntil(stacks, Infinity, events);
  return events;
}

function innermost(stack: Stack): TraceEntry {
  return stack.open[stack.open.length - 1];
}

/** Returns, in the order of their times, from everything that had ended by then. */
function closeUntil(stacks: ReadonlyMap<string, Stack>, timeNs: number, events: GraphEvent[]): void {
  for (;;) {
    let first: Stack | null = null;
    let firstNs = timeNs;
    for (const stack of stacks.values()) {
      if (stack.open.length === 0) continue;
      const { startNs, durationNs } = innermost(stack);
      const endNs = startNs + durationNs;
      if (durationNs < 0 || endNs > firstNs || (endNs === firstNs && first !== null)) continue;
      first = stack;
      firstNs = endNs;
    }
    if (first === null) return;
    close(first, events);
  }
}

function close(stack: Stack, events: GraphEvent[]): void {
  const entry = stack.open.pop() as TraceEntry;
  if (entry.durationNs >= 0) events.push(event('return', entry, stack.cpu));
}

function event(kind: GraphEvent['kind'], entry: TraceEntry, cpu: number): GraphEvent {
  const { pid, task, depth, symbol, durationNs } = entry;
  return { kind, cpu, pid, task, depth, symbol, durationNs };
}
