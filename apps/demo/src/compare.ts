/** Two kernels load the driver, read once and unload it: what differs, and their calls side by side. */
import type { Machine } from '@nvme-stack/machine';
import { type CallLine, findCall, rootOf, taskCalls } from './call-tree.js';
import { describeMachine } from './description.js';
import { toDocument, toJson } from './json.js';
import type { View } from './layout.js';
import type { DemoIo } from './main.js';
import type { DemoOptions, Profile } from './options.js';
import { openMachine } from './platform.js';
import { isGood, newRun, type Run, steps } from './run.js';
import { compareScreen } from './screens/compare.js';
import { endNs, liveNs, loadingRoots, loadingTree } from './screens/loading.js';
import type { Loaded } from './session.js';

/** A point in which kernels may differ, and what it is in each. */
export interface Point {
  readonly name: string;
  readonly values: readonly [string, string];
}

/** A call of one kernel, and of the other where both have it. */
export interface Pair {
  readonly left: TreeLine | null;
  readonly right: TreeLine | null;
}

/** A call, or the task that the calls below it run in. */
export interface TreeLine {
  readonly depth: number;
  readonly symbol: string;
  readonly task: string;
  readonly isTask: boolean;
}

/** One kernel's run. */
export interface Side {
  readonly profile: Profile;
  readonly run: Run;
  readonly lines: readonly TreeLine[];
}

/** Runs both and shows them. Exit codes as the demo's. */
export async function compare(
  options: DemoOptions,
  profiles: readonly [Profile, Profile],
  io: DemoIo,
  view: View,
): Promise<number> {
  const left = await runSide(options, profiles[0], io);
  const right = await runSide(options, profiles[1], io);
  const points = differences(left, right);
  if (options.json) {
    io.out(toJson({ schemaVersion: 1, compare: [toDocument(left.run), toDocument(right.run)], differences: points }));
  } else if (options.quiet) {
    io.out(`${points.map(({ name, values }) => `${name}: ${values[0]} | ${values[1]}`).join('\n')}\n`);
  } else {
    io.out(`${compareScreen(left, right, points, pairUp(left.lines, right.lines), view).join('\n')}\n`);
  }
  return isGood(left.run) && isGood(right.run) ? 0 : 1;
}

async function runSide(options: DemoOptions, profile: Profile, io: DemoIo): Promise<Side> {
  const machine = await openMachine(describeMachine(options, io.cwd, profile));
  try {
    const host = { terminal: null, nowMs: io.nowMs, width: 0 };
    const run = newRun(machine, { ...options, operations: 0 }, null, host);
    for (const step of steps(run.options)) await step.act?.(run);
    return { profile, run, lines: treeLines(run.loaded.entries) };
  } finally {
    machine.close();
  }
}

/** Every tree from insmod to a live disk, each below its task. */
function treeLines(entries: Loaded['entries']): TreeLine[] {
  return loadingRoots(entries).flatMap((root) => {
    const task = taskName(root.entry.task);
    const head: TreeLine = { depth: 0, symbol: task, task, isTask: true };
    const line = ({ entry, depth }: CallLine): TreeLine => ({
      depth: depth + 1,
      symbol: entry.symbol,
      task,
      isTask: false,
    });
    return [head, ...loadingTree(root).map(line)];
  });
}

/** `kworker` of `kworker/u8:0`: which worker it is says nothing. */
function taskName(task: string): string {
  return task.split('/')[0] as string;
}

/** The longest common sequence of both trees, and between its members what only one has. */
export function pairUp(left: readonly TreeLine[], right: readonly TreeLine[]): Pair[] {
  const same = (i: number, j: number): boolean =>
    left[i]?.symbol === right[j]?.symbol && left[i]?.isTask === right[j]?.isTask;
  const longest = Array.from({ length: left.length + 1 }, () => new Array<number>(right.length + 1).fill(0));
  const at = (i: number, j: number): number => longest[i]?.[j] ?? 0;
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      (longest[i] as number[])[j] = same(i, j) ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pairs: Pair[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    if (i < left.length && j < right.length && same(i, j))
      pairs.push({ left: left[i++] as TreeLine, right: right[j++] as TreeLine });
    else if (j >= right.length || (i < left.length && at(i + 1, j) >= at(i, j + 1)))
      pairs.push({ left: left[i++] as TreeLine, right: null });
    else pairs.push({ left: null, right: right[j++] as TreeLine });
  }
  return pairs;
}

/** The points in which the two runs differ. */
export function differences(left: Side, right: Side): Point[] {
  const [one, other] = [facts(left.run), facts(right.run)];
  return Object.keys(one)
    .map((name): Point => ({ name, values: [one[name] ?? '-', other[name] ?? '-'] }))
    .filter(({ values }) => values[0] !== values[1]);
}

const CC = 0x14;
const CC_EN = 1;
const SET_UP = ['nvme_reset_work', 'nvme_probe'];

/** What a run shows of its kernel, point by point. */
function facts({ machine, loaded, transfers }: Run): Record<string, string> {
  const { entries, controllers } = loaded;
  const calls = taskCalls(entries);
  const events = (symbol: string) => entries.filter((entry) => entry.symbol === symbol && entry.kind !== 'function');
  const probeRoot = rootOf(calls, 'nvme_probe');
  const setUpRoot = rootOf(calls, 'nvme_setup_io_queues');
  const setUp = SET_UP.find((symbol) => {
    const call = setUpRoot === undefined ? undefined : findCall([setUpRoot], symbol);
    return call !== undefined && findCall([call], 'nvme_setup_io_queues') !== undefined;
  });
  const live = liveNs(calls);
  const returnedNs = endNs(rootOf(calls, 'nvme_init'));
  const added = machine.uevents.find(({ action, devpath }) => action === 'add' && devpath === '/bus/pci/drivers/nvme');
  const probe = probeRoot === undefined ? undefined : findCall([probeRoot], 'nvme_probe')?.entry;
  const [admin, first] = controllers[0]?.queues ?? [];
  const read = transfers.at(-1)?.entries ?? [];
  const commandId = read.find(({ symbol }) => symbol === 'nvme_setup_cmd')?.args[1];
  return {
    'nvme_probe runs in': probeRoot === undefined ? '-' : taskName(probeRoot.entry.task),
    'nvme_probe and KOBJ_ADD': probe === undefined || added === undefined ? '-' : order(probe.startNs, added.timeNs),
    'queues are made by': setUp ?? '-',
    'modprobe returns': live === null ? '-' : `${returnedNs < live ? 'before' : 'after'} LIVE`,
    'writes to enable': enableWrites(entries),
    'admin commands': String(events('pci_nvme_admin_cmd').length),
    'admin queue depth': String(admin?.depth ?? '-'),
    'vector of queue 1': first === undefined ? '-' : first.polled ? 'polled' : String(first.vector),
    'doorbell buffers': events('pci_nvme_dbbuf_config').length > 0 ? 'yes' : 'no',
    'a read enters by': firstOf(read, ['nvme_queue_rqs', 'nvme_queue_rq']),
    'it is completed by': firstOf(read, ['nvme_pci_complete_batch', 'nvme_pci_complete_rq', 'nvme_complete_rq']),
    'its command id': commandId === undefined ? '-' : `0x${commandId.toString(16)}`,
  };
}

function order(probeNs: number, addedNs: number): string {
  return probeNs < addedNs ? 'probe first' : 'KOBJ_ADD first';
}

/** Values written to CC from the first one that configures it to the one that enables. */
function enableWrites(entries: Loaded['entries']): string {
  const values = entries
    .filter(({ symbol, args }) => symbol === 'mmio_write' && args[0] === CC)
    .map(({ args }) => args[1] as number);
  const enabled = values.findIndex((value) => (value & CC_EN) !== 0);
  return values
    .slice(0, enabled + 1)
    .filter((value) => value !== 0)
    .map((value) => `0x${value.toString(16)}`)
    .join(', ');
}

function firstOf(entries: Machine['trace']['entries'], symbols: readonly string[]): string {
  return entries.find(({ kind, symbol }) => kind === 'function' && symbols.includes(symbol))?.symbol ?? '-';
}
