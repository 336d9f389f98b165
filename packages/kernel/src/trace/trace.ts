/**
 * The trace: one stream of function entries and events, from which every text and picture is made.
 * Kernel counterpart: kernel/trace/ (function_graph and trace events).
 */
import type { KernelExecutor, Trace, TraceEntry, TraceEventType, TraceLevel } from '../ports.js';
import { RollingHash, textHash } from './rolling-hash.js';

const NO_FIELDS: readonly string[] = [];
const NO_ARGS: readonly number[] = [];

export class TraceImpl implements Trace {
  readonly schemaVersion = 1;
  readonly level: TraceLevel;
  readonly functions: boolean;
  readonly events: boolean;
  readonly entries: TraceEntry[] = [];
  tracingOn = true;
  private readonly ex: KernelExecutor;
  private readonly rolling = new RollingHash();
  private readonly listeners = new Set<(entry: TraceEntry) => void>();
  private readonly symbols = new Map<string, string | null>();
  private readonly typeHashes = new Map<TraceEventType, number>();
  private seq = 0;

  constructor(ex: KernelExecutor, level: TraceLevel) {
    this.ex = ex;
    this.level = level;
    this.functions = level === 'full';
    this.events = level !== 'off';
    ex.describeStack = () => this.describeStack();
  }

  renameSymbols(table: Readonly<Record<string, string | null>>): void {
    for (const id of Object.keys(table)) this.symbols.set(id, table[id] as string | null);
  }

  enter(id: string): void {
    const renamed = this.symbols.get(id);
    const symbol = renamed === undefined ? id : renamed;
    const { frames } = this.ex;
    if (symbol === null) {
      frames.open.push(null);
      return;
    }
    const entry = this.entry('function', symbol, -1, frames.depth, NO_FIELDS, NO_ARGS, '');
    frames.open.push(entry);
    frames.depth++;
    this.keep(entry);
  }

  exit(): void {
    const { frames } = this.ex;
    const entry = frames.open.pop();
    if (entry === undefined) this.ex.bug('trace: exit without enter');
    if (entry === null) return;
    frames.depth--;
    entry.durationNs = this.ex.now() - entry.startNs;
  }

  event(type: TraceEventType, a: number, b: number, c: number, d: number, text = ''): void {
    const { rolling } = this;
    rolling.add(this.typeHash(type));
    rolling.addNumber(this.ex.now());
    rolling.add(this.ex.cpu);
    rolling.addNumber(a);
    rolling.addNumber(b);
    rolling.addNumber(c);
    rolling.addNumber(d);
    if (text !== '') rolling.add(textHash(text));
    if (!this.functions) return;
    const args = [a, b, c, d].slice(0, type.fields.length);
    this.keep(this.entry(type.kind, type.name, 0, this.ex.frames.depth, type.fields, args, text));
  }

  hash(): string {
    return this.rolling.digest();
  }

  subscribe(listener: (entry: TraceEntry) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private entry(
    kind: TraceEntry['kind'],
    symbol: string,
    durationNs: number,
    depth: number,
    fields: readonly string[],
    args: readonly number[],
    text: string,
  ): TraceEntry {
    const { ex } = this;
    const { name, pid } = ex.current;
    const startNs = ex.now();
    const seq = this.seq++;
    return {
      seq,
      startNs,
      durationNs,
      cpu: ex.cpu,
      task: name,
      pid,
      context: ex.context,
      depth,
      kind,
      symbol,
      fields,
      args,
      text,
    };
  }

  private keep(entry: TraceEntry): void {
    if (!this.tracingOn) return;
    this.entries.push(entry);
    for (const listener of this.listeners) listener(entry);
  }

  private typeHash(type: TraceEventType): number {
    let hash = this.typeHashes.get(type);
    if (hash === undefined) {
      hash = textHash(`${type.kind}/${type.name}`);
      this.typeHashes.set(type, hash);
    }
    return hash;
  }

  private describeStack(): string {
    const open = this.ex.frames.open.filter((entry) => entry !== null);
    return open.length === 0 ? '' : `\n  in ${open.map((entry) => entry.symbol).join(' > ')}`;
  }
}
