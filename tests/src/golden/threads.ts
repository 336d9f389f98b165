/**
 * Rebuilds kernel threads from a captured call list, whose lines have only a CPU, a depth and a symbol: threads
 * interleave on a CPU, are interrupted, and move to another CPU while they sleep.
 */
import type { CaptureLine } from './capture-file.js';
import { HIDDEN_FRAMES, INTERRUPT_ENTRIES, KNOWN_GAPS, RESUMPTIONS } from './reading-tables.js';

/** One function call; `line` is its place in the capture, or its order in our run. */
export interface CallLine {
  readonly symbol: string;
  readonly line: number;
  readonly parent: CallLine | null;
  readonly children: CallLine[];
}

export interface GoldenThread {
  readonly root: CallLine;
  readonly isInterrupt: boolean;
}

interface Frame {
  readonly depth: number;
  readonly symbol: string;
  /** Null for a hidden frame. */
  readonly node: CallLine | null;
}

interface OpenThread extends GoldenThread {
  readonly baseDepth: number;
  readonly stack: Frame[];
  /** It has its root only. */
  isFresh: boolean;
}

const LINE = /^cpu(\d+) ( *)([\w.]+)(?: x(\d+))?$/;
const SUFFIX = /\.(?:part|isra|constprop|cold)(?:\.\d+)?/g;

/** The symbol without what the compiler appends to parts and clones of a function. */
export function plainSymbol(symbol: string): string {
  return symbol.replace(SUFFIX, '');
}

/** The threads of a capture in the order of their first lines; an interrupt is a thread of its own. */
export function splitThreads(lines: readonly CaptureLine[]): GoldenThread[] {
  const splitter = new Splitter();
  for (const line of lines) splitter.add(line);
  return splitter.threads;
}

class Splitter {
  readonly threads: OpenThread[] = [];
  /** Threads by CPU, the one that ran last first. */
  private readonly cpus = new Map<string, OpenThread[]>();

  add(line: CaptureLine): void {
    const match = LINE.exec(line.text);
    if (match === null) throw new Error(`line ${line.number}: "${line.text}" is no function call`);
    const [, cpu, spaces, name, repeats] = match;
    const symbol = plainSymbol(name);
    const depth = spaces.length / 2;
    for (let i = 0; i < Number(repeats ?? 1); i++) this.call(cpu, depth, symbol, line.number);
  }

  private call(cpu: string, depth: number, symbol: string, line: number): void {
    const onCpu = (this.cpus.get(cpu) ?? []).filter((thread) => !thread.isInterrupt || thread.baseDepth < depth);
    const thread = this.startsThread(onCpu[0], depth, symbol) ? null : this.continued(onCpu, depth, symbol);
    const chosen = thread ?? this.start(depth, symbol, line);
    if (thread !== null) push(thread, depth, symbol, line);
    const others = onCpu.filter((other) => other !== chosen && !(other.isInterrupt && !chosen.isInterrupt));
    for (const [id, list] of this.cpus)
      this.cpus.set(
        id,
        list.filter((other) => other !== chosen),
      );
    this.cpus.set(cpu, [chosen, ...others]);
  }

  private startsThread(running: OpenThread | undefined, depth: number, symbol: string): boolean {
    if (depth === 0) return true;
    if (!INTERRUPT_ENTRIES.has(symbol)) return false;
    return !(running?.isInterrupt === true && depth <= top(running).depth + 1);
  }

  private start(depth: number, symbol: string, line: number): OpenThread {
    const root: CallLine = { symbol, line, parent: null, children: [] };
    const isInterrupt = INTERRUPT_ENTRIES.has(symbol);
    const stack = [{ depth, symbol, node: root }];
    const thread = { root, isInterrupt, baseDepth: depth, stack, isFresh: true };
    this.threads.push(thread);
    return thread;
  }

  /** Which thread a line belongs to: the one that ran last on the CPU if it fits, else one that slept. */
  private continued(onCpu: readonly OpenThread[], depth: number, symbol: string): OpenThread {
    const resumption = RESUMPTIONS.find((entry) => entry.symbol === symbol);
    if (resumption !== undefined) {
      const slept = this.threads.filter((thread) => thread.stack.some((frame) => frame.symbol === resumption.within));
      if (slept.length > 0) return slept[slept.length - 1];
    }
    const [running] = onCpu;
    if (running !== undefined && (isNext(running, depth) || running.isFresh || isKnownGap(running, depth, symbol))) {
      return running;
    }
    const here = onCpu.find((thread) => isNext(thread, depth));
    if (here !== undefined) return here;
    const elsewhere = this.threads.filter((thread) => !thread.isInterrupt && !thread.isFresh && isNext(thread, depth));
    if (running === undefined && elsewhere.length > 0) return elsewhere[elsewhere.length - 1];
    return running ?? this.start(0, '(unknown)', 0);
  }
}

function top(thread: OpenThread): Frame {
  return thread.stack[thread.stack.length - 1];
}

function isNext(thread: OpenThread, depth: number): boolean {
  return depth > thread.baseDepth && depth <= top(thread).depth + 1;
}

function isKnownGap(thread: OpenThread, depth: number, symbol: string): boolean {
  const caller = thread.stack.filter((frame) => frame.depth < depth).pop()?.symbol;
  return KNOWN_GAPS.some(([from, to]) => from === caller && to === symbol);
}

function push(thread: OpenThread, depth: number, symbol: string, line: number): void {
  const { stack } = thread;
  while (stack.length > 1 && top(thread).depth >= depth) stack.pop();
  openHiddenFrame(thread, symbol);
  const parent = stack.filter((frame) => frame.node !== null).pop()?.node ?? null;
  const node: CallLine = { symbol, line, parent, children: [] };
  parent?.children.push(node);
  stack.push({ depth, symbol, node });
  thread.isFresh = false;
}

function openHiddenFrame(thread: OpenThread, symbol: string): void {
  const { stack } = thread;
  const below = top(thread).symbol;
  const rule = HIDDEN_FRAMES.find((entry) => entry.symbol === symbol && entry.below === below);
  const at = rule === undefined ? -1 : stack.map((frame) => frame.symbol).lastIndexOf(rule.replaces);
  if (rule === undefined || at < 1) return;
  const { depth } = stack[at];
  stack.length = at;
  stack.push({ depth, symbol: rule.hidden, node: null });
}
