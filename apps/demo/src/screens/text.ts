/** Units and tables of the demo's text. */
import type { CallLine } from '../call-tree.js';
import type { Paint } from '../paint.js';

/** Virtual microseconds with three decimals. */
export function us(ns: number): string {
  return (ns / 1000).toFixed(3);
}

const TASK_COLUMN = 16;

/** The head of the columns of `callText`. */
export function callHeader(paint: Paint): string {
  return paint.quiet(`  ${'time us'.padStart(8)}  CPU  ${'task'.padEnd(TASK_COLUMN)}  function calls`);
}

/** Calls as the function_graph tracer indents them, each with when, where and who. */
export function callText(lines: readonly CallLine[], paint: Paint, marked: ReadonlySet<string>): string[] {
  return lines.map(({ entry, depth, times, hidden }) => {
    const indent = '  '.repeat(depth);
    if (entry === null) return paint.quiet(`${' '.repeat(17 + TASK_COLUMN)}${indent}/* ${count(hidden)} */`);
    const task = `${entry.task}-${entry.pid}`.padEnd(TASK_COLUMN);
    const place = `  ${us(entry.startNs).padStart(8)}  ${String(entry.cpu).padStart(3)}  ${task}  `;
    const name = `${indent}${entry.symbol}()`;
    const notes = [...(times > 1 ? [`x${times}`] : []), ...(hidden > 0 ? [`${count(hidden)} inside`] : [])];
    const note = notes.length > 0 ? paint.quiet(`  /* ${notes.join(', ')} */`) : '';
    return `${paint.quiet(place)}${marked.has(entry.symbol) ? paint.mark(name) : name}${note}`;
  });
}

function count(calls: number): string {
  return `${calls} more call${calls > 1 ? 's' : ''}`;
}
