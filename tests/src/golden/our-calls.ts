/** Our run's function entries as call trees of the symbols that a capture can show. */

import { type CallNode, callForest } from '@nvme-stack/kernel';
import type { TraceEntry } from '@nvme-stack/kernel/ports';
import { type CallLine, plainSymbol } from './threads.js';

/** The trees of our calls, without the functions that the capture's filter hides: their calls move up. */
export function ourCalls(entries: readonly TraceEntry[], visible: ReadonlySet<string>): CallLine[] {
  const roots: CallLine[] = [];
  const visit = (node: CallNode, parent: CallLine | null): void => {
    const symbol = plainSymbol(node.entry.symbol);
    let here = parent;
    if (visible.has(symbol)) {
      here = { symbol, line: node.entry.seq, parent, children: [] };
      (parent?.children ?? roots).push(here);
    }
    for (const child of node.children) visit(child, here);
  };
  for (const node of callForest(entries)) visit(node, null);
  return roots;
}
