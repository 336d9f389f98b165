/** What the tests of errata look at: the calls and events of a machine's trace. */
import {
  type CallNode,
  callForest,
  createMachine,
  type Machine,
  type MachineDescription,
  type MachineOptions,
  type TraceEntry,
} from '@nvme-stack/machine';

/** A machine of a profile with one small disk, not yet with a driver. */
export function machineOf(
  profile: Machine['description']['profile'],
  more: MachineDescription = {},
  options: MachineOptions = {},
): Promise<Machine> {
  return createMachine({ profile, cpus: 2, nvme: [{ namespaces: [{ sizeMiB: 8 }] }], ...more }, options);
}

/** The trees of calls in tasks. */
export function taskTrees(entries: readonly TraceEntry[]): CallNode[] {
  return callForest(entries.filter(({ context, pid }) => context === 'task' && pid !== 0));
}

/** The calls from a root down to the first call of a symbol. */
export function pathTo(trees: readonly CallNode[], symbol: string): CallNode[] {
  for (const tree of trees) {
    if (tree.entry.symbol === symbol) return [tree];
    const below = pathTo(tree.children, symbol);
    if (below.length > 0) return [tree, ...below];
  }
  return [];
}

/** Symbols of such a path. */
export function roadTo(trees: readonly CallNode[], symbol: string): string[] {
  return pathTo(trees, symbol).map(({ entry }) => entry.symbol);
}

/** When the first call or event of a symbol began; fails when there was none. */
export function firstNs(entries: readonly TraceEntry[], symbol: string): number {
  const found = entries.find((entry) => entry.symbol === symbol);
  if (found === undefined) throw new Error(`there is no ${symbol} in the trace`);
  return found.startNs;
}

/** Position in the trace of the first entry of a symbol; fails when there was none. */
export function at(
  entries: readonly TraceEntry[],
  symbol: string,
  fits: (entry: TraceEntry) => boolean = () => true,
): number {
  const index = entries.findIndex((entry) => entry.symbol === symbol && fits(entry));
  if (index < 0) throw new Error(`there is no ${symbol} in the trace`);
  return index;
}

/** The numbers of every event of a name. */
export function eventArgs(entries: readonly TraceEntry[], name: string): (readonly number[])[] {
  return entries.filter(({ symbol, kind }) => symbol === name && kind !== 'function').map(({ args }) => args);
}
