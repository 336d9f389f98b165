/** A trace's function entries as plain indented text: two spaces per level, one line per call, repeats counted. */
import type { TraceEntry } from '../../ports.js';
import { type CallNode, type CallTreeOptions, callForest } from './call-forest.js';

/** The calls as indented lines; calls in a row that called nothing are one line, `dma_pool_create x2`. */
export function callTree(entries: readonly TraceEntry[], options: CallTreeOptions = {}): string {
  const lines: string[] = [];
  write(callForest(entries, options), '', lines);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function write(nodes: readonly CallNode[], indent: string, lines: string[]): void {
  for (let i = 0; i < nodes.length; i++) {
    const node = nodes[i];
    let count = 1;
    while (isRepeat(node, nodes[i + 1])) {
      count++;
      i++;
    }
    lines.push(`${indent}${node.entry.symbol}${count > 1 ? ` x${count}` : ''}`);
    write(node.children, `${indent}  `, lines);
  }
}

function isRepeat(node: CallNode, next: CallNode | undefined): boolean {
  return (
    next !== undefined &&
    next.entry.symbol === node.entry.symbol &&
    node.children.length === 0 &&
    next.children.length === 0
  );
}
