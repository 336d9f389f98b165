/**
 * The text of Linux's function_graph tracer.
 * Kernel counterpart: kernel/trace/trace_functions_graph.c.
 */
import type { TraceEntry } from '../../ports.js';
import { type GraphEvent, graphEvents } from './graph-events.js';

/** How the function graph is written. */
export interface FunctionGraphOptions {
  /** Only this CPU's lines. */
  readonly cpu?: number;
  /** CPUs of the machine, for the width of the CPU column; 1 or more, default 1. */
  readonly nrCpus?: number;
  /** The module a symbol belongs to, as in `nvme_irq [nvme]`; none when it is built in. */
  readonly moduleOf?: (symbol: string) => string | undefined;
}

const HEADER = [
  '# tracer: function_graph',
  '#',
  '# CPU  DURATION                  FUNCTION CALLS',
  '# |     |   |                     |   |   |   |',
];
const RULE = ' ------------------------------------------';
const NO_DURATION = '              |  ';
const TASK_COLUMN = 14;
const TASK_NAME_CHARS = 7;
const DURATION_COLUMN = 8;

/** Marks of durations above so many nanoseconds, longest first. */
const MARKS: readonly (readonly [mark: string, overNs: number])[] = [
  ['$', 1e9],
  ['@', 1e8],
  ['*', 1e7],
  ['#', 1e6],
  ['!', 1e5],
  ['+', 1e4],
];

/** The trace's function entries as `trace` of tracefs shows them under function_graph. */
export function functionGraphText(entries: readonly TraceEntry[], options: FunctionGraphOptions = {}): string {
  return printFunctionGraph(graphEvents(entries), options);
}

/** What one CPU's part of the output remembers. @kernel kernel/trace/trace_functions_graph.c fgraph_cpu_data */
class CpuState {
  lastPid = -1;
  lastTask = '';
  /** The symbol whose `{` was printed last at a depth; empty after its `}` or after a leaf. */
  readonly entered: string[] = [];
}

/** Writes events in the order given. */
export function printFunctionGraph(events: readonly GraphEvent[], options: FunctionGraphOptions = {}): string {
  const shown = options.cpu === undefined ? events : events.filter((event) => event.cpu === options.cpu);
  const width = String(Math.max((options.nrCpus ?? 1) - 1, 0)).length;
  const isLeaf = findLeaves(shown);
  const states = new Map<number, CpuState>();
  const lines = [...HEADER];
  for (let i = 0; i < shown.length; i++) {
    const event = shown[i];
    if (event.kind === 'return' && isLeaf[i]) continue;
    let state = states.get(event.cpu);
    if (state === undefined) {
      state = new CpuState();
      states.set(event.cpu, state);
    }
    const prefix = ` ${String(event.cpu).padStart(width)}) `;
    if (state.lastPid !== -1 && state.lastPid !== event.pid) {
      lines.push(RULE, `${prefix}${taskCell(state.lastTask, state.lastPid)} => ${taskCell(event.task, event.pid)}`);
      lines.push(RULE, '');
    }
    state.lastPid = event.pid;
    state.lastTask = event.task;
    lines.push(prefix + line(event, isLeaf[i], state, options));
  }
  return `${lines.join('\n')}\n`;
}

function line(event: GraphEvent, leaf: boolean, state: CpuState, options: FunctionGraphOptions): string {
  const indent = '  '.repeat(event.depth);
  const module = options.moduleOf?.(event.symbol);
  const name = module === undefined ? event.symbol : `${event.symbol} [${module}]`;
  const { entered } = state;
  if (event.kind === 'entry') {
    entered[event.depth] = leaf ? '' : event.symbol;
    return leaf ? `${durationCell(event.durationNs)}${indent}${name}();` : `${NO_DURATION}${indent}${name}() {`;
  }
  const isOwn = entered[event.depth] === event.symbol;
  entered[event.depth] = '';
  return `${durationCell(event.durationNs)}${indent}}${isOwn ? '' : ` /* ${name} */`}`;
}

/** For every event: does its function's return follow its entry at once on the same CPU? */
function findLeaves(events: readonly GraphEvent[]): boolean[] {
  const leaves = events.map(() => false);
  const last = new Map<number, number>();
  events.forEach((event, i) => {
    const previous = last.get(event.cpu);
    last.set(event.cpu, i);
    if (previous === undefined || event.kind !== 'return') return;
    const { kind, pid, symbol, depth } = events[previous];
    if (kind !== 'entry' || pid !== event.pid || symbol !== event.symbol || depth !== event.depth) return;
    leaves[previous] = leaves[i] = true;
  });
  return leaves;
}

/** A task's name and pid, centred. */
function taskCell(task: string, pid: number): string {
  const text = `${(pid === 0 ? '<idle>' : task).slice(0, TASK_NAME_CHARS)}-${pid}`;
  const spaces = Math.max(TASK_COLUMN - text.length, 0);
  const left = Math.floor(spaces / 2);
  return ' '.repeat(left) + text + ' '.repeat(spaces - left);
}

/** Mark, microseconds in at most eight characters, and the column's bar. */
function durationCell(durationNs: number): string {
  const mark = MARKS.find(([, overNs]) => durationNs > overNs)?.[0] ?? ' ';
  let text = String(Math.floor(durationNs / 1000));
  const digits = Math.min(DURATION_COLUMN - 1 - text.length, 3);
  if (digits > 0)
    text += `.${String(Math.floor(durationNs) % 1000)
      .padStart(3, '0')
      .slice(0, digits)}`;
  return `${mark} ${text} us ${' '.repeat(Math.max(DURATION_COLUMN - text.length, 0))}|  `;
}
