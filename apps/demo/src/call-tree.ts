/** The calls of a trace as trees, and trees cut to the calls that tell the story. */
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

/** Every call of a symbol in or below a call, in their order. */
export function allCalls(call: Call, symbol: string): Call[] {
  const below = call.children.flatMap((child) => allCalls(child, symbol));
  return call.entry.symbol === symbol ? [call, ...below] : below;
}

/** The root whose tree has a symbol. */
export function rootOf(calls: readonly Call[], symbol: string): Call | undefined {
  return calls.find((root) => findCall([root], symbol) !== undefined);
}

/** The calls from a root down to the first call of a symbol, both included; empty when there is none. */
export function pathTo(root: Call, symbol: string): Call[] {
  if (root.entry.symbol === symbol) return [root];
  for (const child of root.children) {
    const path = pathTo(child, symbol);
    if (path.length > 0) return [root, ...path];
  }
  return [];
}

/** One line of a cut tree. */
export interface CallLine {
  readonly entry: TraceEntry;
  /** Levels below the root, counted in lines that are shown. */
  readonly depth: number;
  /** Calls in a row of the same function, with nothing shown below them. */
  readonly times: number;
  /** The branches beside it: whether each level above goes on below, and whether it is its level's last. */
  readonly rails: readonly boolean[];
  readonly isLast: boolean;
}

interface Shown {
  readonly entry: TraceEntry;
  readonly children: Shown[];
  times: number;
}

/** The tree's calls that `isShown` picks, asked in their order; what lies between two of them is left out. The root is always shown. */
export function cutTree(root: Call, isShown: (call: Call) => boolean): CallLine[] {
  const lines: CallLine[] = [];
  const write = ({ entry, times, children }: Shown, rails: readonly boolean[], isLast: boolean): void => {
    lines.push({ entry, depth: rails.length, times, rails, isLast });
    children.forEach((child, i) => {
      write(child, lines.length === 0 ? [] : [...rails, !isLast], i === children.length - 1);
    });
  };
  write({ entry: root.entry, times: 1, children: shownBelow(root, isShown) }, [], true);
  return lines;
}

function shownBelow(call: Call, isShown: (call: Call) => boolean): Shown[] {
  const shown: Shown[] = [];
  for (const child of call.children) {
    const picks = isShown(child);
    const below = shownBelow(child, isShown);
    for (const one of picks ? [{ entry: child.entry, times: 1, children: below }] : below) append(shown, one);
  }
  return shown;
}

/** Adds a call, to the one before it where both are the same and nothing is shown below them. */
function append(shown: Shown[], next: Shown): void {
  const last = shown.at(-1);
  const repeats = last?.entry.symbol === next.entry.symbol && last.children.length === 0 && next.children.length === 0;
  if (repeats) last.times += next.times;
  else shown.push(next);
}

/** A picker that takes each of `symbols` only where it comes first. */
export function firstOnly(symbols: ReadonlySet<string>, isShown: (call: Call) => boolean): (call: Call) => boolean {
  const seen = new Set<string>();
  return (call) => {
    const { symbol } = call.entry;
    if (!isShown(call) || seen.has(symbol)) return false;
    if (symbols.has(symbol)) seen.add(symbol);
    return true;
  };
}
