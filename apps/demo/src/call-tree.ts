/** The calls of a trace as trees, cut to a size that can be read. */
import { type CallNode, callForest, type TraceEntry } from '@nvme-stack/machine';

/** A function entry and what it called. */
export type Call = CallNode;

/** Call trees of the entries that ran in tasks; interrupts are left out. */
export function taskCalls(entries: readonly TraceEntry[]): Call[] {
  return callForest(entries.filter((entry) => entry.context === 'task' && entry.pid !== 0));
}

/** The first call of a symbol in or below the calls. */
export function findCall(calls: readonly Call[], symbol: string): Call | undefined {
  for (const call of calls) {
    const found = call.entry.symbol === symbol ? call : findCall(call.children, symbol);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The root whose tree has a symbol. */
export function rootOf(calls: readonly Call[], symbol: string): Call | undefined {
  return calls.find((root) => findCall([root], symbol) !== undefined);
}

/** How many calls a tree has below its root. */
function countBelow({ children }: Call): number {
  return children.reduce((sum, child) => sum + 1 + countBelow(child), 0);
}

/** Equal for trees of the same calls. */
function shape({ entry, children }: Call): string {
  return `${entry.symbol}(${children.map(shape).join()})`;
}

/** Lines below one call before the rest of them is only counted. */
const MOST_CHILDREN = 20;

/** One line of a cut tree. */
export interface CallLine {
  /** Null: a line that stands for the calls left out here. */
  readonly entry: TraceEntry | null;
  readonly depth: number;
  /** How many calls in a row are this line: the same function calling the same functions. */
  readonly times: number;
  /** Calls below it that are not shown. */
  readonly hidden: number;
}

/** Lines of a tree; `open` decides how far below each call to go: false closes it. */
export function callLines(root: Call, open: (symbol: string, depth: number) => boolean): CallLine[] {
  const lines: CallLine[] = [];
  const visit = (calls: readonly Call[], depth: number): void => {
    let shown = 0;
    for (let i = 0; i < calls.length; i++) {
      const call = calls[i] as Call;
      if (++shown > MOST_CHILDREN) {
        const hidden = calls.slice(i).reduce((sum, left) => sum + 1 + countBelow(left), 0);
        lines.push({ entry: null, depth, times: 1, hidden });
        return;
      }
      let times = 1;
      while (i + 1 < calls.length && shape(calls[i + 1] as Call) === shape(call)) {
        times++;
        i++;
      }
      const isOpen = open(call.entry.symbol, depth);
      lines.push({ entry: call.entry, depth, times, hidden: isOpen ? 0 : countBelow(call) });
      if (isOpen) visit(call.children, depth + 1);
    }
  };
  visit([root], 0);
  return lines;
}
