/**
 * The trace: one stream of function entries and events, from which every text and picture is made.
 * Kernel counterpart: kernel/trace/ (function_graph and trace events).
 */
import type { ExecutorImpl } from '../executor/executor.js';
import type { Trace, TraceEntry, TraceEventType, TraceLevel } from '../ports.js';
export declare class TraceImpl implements Trace {
    readonly schemaVersion = 1;
    readonly level: TraceLevel;
    readonly functions: boolean;
    readonly events: boolean;
    readonly entries: TraceEntry[];
    private readonly ex;
    private readonly rolling;
    private readonly listeners;
    private readonly symbols;
    private readonly typeHashes;
    private seq;
    constructor(ex: ExecutorImpl, level: TraceLevel);
    renameSymbols(table: Readonly<Record<string, string | null>>): void;
    enter(id: string): void;
    exit(): void;
    event(type: TraceEventType, a: number, b: number, c: number, d: number, text?: string): void;
    hash(): string;
    subscribe(listener: (entry: TraceEntry) => void): () => void;
    private entry;
    private keep;
    private typeHash;
    private describeStack;
}
//# sourceMappingURL=trace.d.ts.map