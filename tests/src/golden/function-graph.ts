/** Reads text of the function_graph tracer into kernel threads: its indentation is complete, and it says which task runs. */
import { INTERRUPT_ENTRIES } from './reading-tables.js';
import { type CallLine, type GoldenThread, plainSymbol } from './threads.js';

const CALL = /^ (\d+)\) .*\| {2}( *)([\w.]+)(?: \[\w+\])?\(\)(?:;| \{)$/;
const RETURN = /^ (\d+)\) .*\| {2}( *)\}(?: \/\* \S+(?: \[\w+\])? \*\/)?$/;
const SWITCH = /^ (\d+)\) +\S+-\d+ +=> +\S+-(\d+) *$/;
const SILENT = /^(?:#.*| -+| *)$/;

/** The calls of each task and interrupt, in the order of their first lines. Throws on a line that is of another format. */
export function readFunctionGraph(text: string): GoldenThread[] {
  const threads: GoldenThread[] = [];
  /** Tasks that run, by CPU; before a CPU's first switch it is one that has no number. */
  const running = new Map<string, string>();
  /** What each task is in, outermost first. */
  const open = new Map<string, CallLine[]>();
  text.split('\n').forEach((line, i) => {
    if (SILENT.test(line)) return;
    const change = SWITCH.exec(line);
    const call = CALL.exec(line) ?? RETURN.exec(line);
    if (change === null && call === null) throw new Error(`line ${i + 1}: "${line}" is no line of a function graph`);
    const cpu = (change ?? call)?.[1] as string;
    if (change !== null) {
      running.set(cpu, change[2] === '0' ? `idle ${cpu}` : (change[2] as string));
      return;
    }
    const [, , indent, name] = call as RegExpExecArray;
    const task = running.get(cpu) ?? `first ${cpu}`;
    const stack = open.get(task) ?? [];
    open.set(task, stack);
    stack.length = Math.min(stack.length, (indent as string).length / 2);
    if (name === undefined) return;
    const symbol = plainSymbol(name);
    const isInterrupt = INTERRUPT_ENTRIES.has(symbol);
    const parent = isInterrupt ? null : (stack.at(-1) ?? null);
    const node: CallLine = { symbol, line: i + 1, parent, children: [] };
    if (parent === null) threads.push({ root: node, isInterrupt });
    else parent.children.push(node);
    stack.push(node);
  });
  return threads;
}
