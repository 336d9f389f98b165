/**
 * Compares a captured call list with our run: every captured thread must be contained in one of ours, in its order
 * and with its callers.
 */
import type { TraceEntry } from '@nvme-stack/kernel/ports';
import { CallAlignment } from './call-alignment.js';
import type { CaptureFile } from './capture-file.js';
import type { Comparison, Finding } from './finding.js';
import { isUnrelatedWork, notModelledReason } from './not-modelled.js';
import { ourCalls } from './our-calls.js';
import { type CallLine, type GoldenThread, splitThreads } from './threads.js';

/** Compares a capture of kind ftrace-insmod or ftrace-io with the entries of the same part of our run. */
export function compareCalls(capture: CaptureFile, entries: readonly TraceEntry[]): Comparison {
  return compareThreads(splitThreads(capture.lines), entries);
}

/** Compares captured threads and interrupts with the entries of the same part of our run. */
export function compareThreads(all: readonly GoldenThread[], entries: readonly TraceEntry[]): Comparison {
  const related = all.filter((thread) => !isUnrelatedWork(thread.root));
  const leftOut: CallLine[] = [];
  const threads = related.flatMap((thread) => {
    const root = modelled(thread.root, null, leftOut);
    return root === null ? [] : [{ root, isInterrupt: thread.isInterrupt }];
  });
  const visible = new Set(threads.flatMap((thread) => flatten(thread.root)).map((call) => call.symbol));
  const comparer = new CallComparer(ourCalls(entries, visible));
  comparer.compare(threads);
  const calls = threads.reduce((sum, thread) => sum + flatten(thread.root).length, 0);
  const symbols = [...new Set(leftOut.map((call) => call.symbol))].sort();
  return {
    findings: comparer.findings.sort((a, b) => a.line - b.line),
    notes: [
      `${calls} calls of ${visible.size} functions in ${threads.length} threads and interrupts compared`,
      `${all.length - related.length} work items of the captured machine not compared: their functions are not in the capture`,
      `${leftOut.length} calls not modelled${symbols.length > 0 ? `: ${symbols.join(', ')}` : ''}`,
    ],
  };
}

/** The tree without what is not modelled and what that calls; null when nothing is left. */
function modelled(call: CallLine, parent: CallLine | null, leftOut: CallLine[]): CallLine | null {
  if (notModelledReason(call.symbol, call.parent?.symbol ?? null) !== null) {
    leftOut.push(...flatten(call));
    return null;
  }
  const copy: CallLine = { symbol: call.symbol, line: call.line, parent, children: [] };
  for (const child of call.children) {
    const kept = modelled(child, copy, leftOut);
    if (kept !== null) copy.children.push(kept);
  }
  return copy;
}

/** A call and all below it, in order. */
export function flatten(call: CallLine): CallLine[] {
  return [call, ...call.children.flatMap(flatten)];
}

class CallComparer {
  readonly findings: Finding[] = [];
  private readonly ours: readonly CallLine[];
  private readonly alignment = new CallAlignment();
  /** Our calls that have their counterpart. */
  private readonly taken = new Set<CallLine>();
  /** What is left of the captured calls of a thread once the best pairs are made: its expected caller of ours. */
  private leftOver: [golden: CallLine, caller: CallLine | null, within: CallLine | null][] = [];

  constructor(ours: readonly CallLine[]) {
    this.ours = ours.flatMap(flatten);
  }

  compare(threads: readonly GoldenThread[]): void {
    const chosen = this.matchThreads(threads);
    for (const thread of threads) {
      const root = chosen.get(thread) ?? null;
      if (root !== null && root.symbol === thread.root.symbol) this.matched(thread, root);
      else this.leftOver.push([thread.root, null, root]);
    }
    for (let next = this.leftOver.shift(); next !== undefined; next = this.leftOver.shift()) this.explain(...next);
  }

  /** Puts each captured thread together with the one of ours that has most of it in its order, best pairs first. */
  private matchThreads(threads: readonly GoldenThread[]): Map<GoldenThread, CallLine> {
    const candidates = threads.flatMap((thread) => {
      const symbols = flatten(thread.root).map((call) => call.symbol);
      return this.ours.flatMap((root) => {
        if (root.parent !== null && root.symbol !== thread.root.symbol) return [];
        const common = commonLength(symbols, flatten(root));
        if (common === 0) return [];
        const isPlaced = thread.isInterrupt || root.parent === null ? 1 : 0;
        return [{ thread, root, score: common * 1e6 + this.alignment.score(thread.root, root) * 100 + isPlaced }];
      });
    });
    candidates.sort(
      (a, b) => b.score - a.score || a.thread.root.line - b.thread.root.line || a.root.line - b.root.line,
    );
    const chosen = new Map<GoldenThread, CallLine>();
    const used = new Set<CallLine>();
    for (const { thread, root } of candidates) {
      const place = thread.isInterrupt ? outermost(root) : root;
      if (chosen.has(thread) || used.has(place)) continue;
      chosen.set(thread, root);
      used.add(place);
    }
    return chosen;
  }

  private matched(thread: GoldenThread, root: CallLine): void {
    if (root.parent !== null && !thread.isInterrupt) {
      this.find('different', thread.root, `${thread.root.symbol} below ${root.parent.symbol}, not on its own`);
    }
    this.pair(thread.root, root, outermost(root));
  }

  private pair(golden: CallLine, ours: CallLine, within: CallLine): void {
    this.taken.add(ours);
    const pairs = new Map(
      this.alignment.pairs(
        golden.children,
        ours.children.filter((call) => !this.taken.has(call)),
      ),
    );
    for (const child of golden.children) {
      const counterpart = pairs.get(child);
      if (counterpart === undefined) this.leftOver.push([child, ours, within]);
      else this.pair(child, counterpart, within);
    }
  }

  /** Says of a call without counterpart what is wrong with it, and goes on with what it calls. */
  private explain(golden: CallLine, caller: CallLine | null, within: CallLine | null): void {
    const found = this.search(golden, caller, within);
    const place = golden.parent === null ? '' : ` below ${golden.parent.symbol}`;
    if (found === null || within === null) {
      this.find('missing', golden, `${golden.symbol}${place}`);
      for (const child of golden.children) this.leftOver.push([child, caller, within]);
      return;
    }
    if (found.parent !== caller) {
      const actual = found.parent === null ? 'on its own' : `below ${found.parent.symbol}`;
      this.find('different', golden, `${golden.symbol} ${actual}, not${place === '' ? ' on its own' : place}`);
    } else if (golden.parent?.symbol === caller?.symbol) {
      this.find('inverted', golden, `${golden.symbol}${place}`);
    }
    this.pair(golden, found, within);
  }

  /** An unmatched call of ours with the symbol: below the expected caller if there is one, else in the same thread. */
  private search(golden: CallLine, caller: CallLine | null, within: CallLine | null): CallLine | null {
    if (within === null) return null;
    const free = flatten(within).filter((call) => call.symbol === golden.symbol && !this.taken.has(call));
    const near = free.filter((call) => call.parent === caller);
    const [best] = (near.length > 0 ? near : free).sort(
      (a, b) => this.alignment.score(golden, b) - this.alignment.score(golden, a),
    );
    return best ?? null;
  }

  private find(kind: Finding['kind'], golden: CallLine, text: string): void {
    this.findings.push({ kind, line: golden.line, text });
  }
}

/** Length of the longest common subsequence. */
function commonLength(symbols: readonly string[], calls: readonly CallLine[]): number {
  let above = new Array<number>(calls.length + 1).fill(0);
  for (const symbol of symbols) {
    const row = [0];
    for (let j = 0; j < calls.length; j++) {
      row.push(calls[j].symbol === symbol ? above[j] + 1 : Math.max(above[j + 1], row[j]));
    }
    above = row;
  }
  return above[calls.length];
}

function outermost(call: CallLine): CallLine {
  let root = call;
  while (root.parent !== null) root = root.parent;
  return root;
}
