/**
 * The function entries of a trace as call trees, one stack per task and per interrupt level of a CPU.
 * Kernel counterpart: the return stacks of kernel/trace/fgraph.c.
 */
import type { TraceEntry } from '../../ports.js';

/** A function entry and what it called, in the order of the calls. */
export interface CallNode {
  readonly entry: TraceEntry;
  readonly children: CallNode[];
}

/** Which entries a call tree is made of. */
export interface CallTreeOptions {
  /** Only entries of tasks of this name; an interrupt belongs to the idle task of its CPU. */
  readonly task?: string;
  /** Only the trees below functions of this symbol. */
  readonly root?: string;
}

/** Which stack an entry lies on: a task's own, or that of an interrupt level of a CPU. */
export function stackOf(entry: TraceEntry): string {
  return entry.context === 'task' && entry.pid !== 0 ? `task ${entry.pid}` : `${entry.context} cpu ${entry.cpu}`;
}

/** The call trees of a trace, oldest root first; entries that are not function entries are left out. */
export function callForest(entries: readonly TraceEntry[], options: CallTreeOptions = {}): CallNode[] {
  const roots: CallNode[] = [];
  const stacks = new Map<string, CallNode[]>();
  for (const entry of entries) {
    if (entry.kind !== 'function' || (options.task !== undefined && entry.task !== options.task)) continue;
    const key = stackOf(entry);
    let stack = stacks.get(key);
    if (stack === undefined) {
      stack = [];
      stacks.set(key, stack);
    }
    while (stack.length > 0 && stack[stack.length - 1].entry.depth >= entry.depth) stack.pop();
    const node: CallNode = { entry, children: [] };
    if (stack.length > 0) stack[stack.length - 1].children.push(node);
    else roots.push(node);
    stack.push(node);
  }
  return options.root === undefined ? roots : subtrees(roots, options.root);
}

/** The outermost trees whose root has the symbol. */
function subtrees(nodes: readonly CallNode[], symbol: string): CallNode[] {
  return nodes.flatMap((node) => (node.entry.symbol === symbol ? [node] : subtrees(node.children, symbol)));
}
