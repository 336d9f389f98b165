/**
 * The trace as Chrome trace events, for ui.perfetto.dev and chrome://tracing: functions as slices that nest on the
 * track of their task or interrupt, events as instants, commands as spans of their own, commands in flight as counters.
 */
import type { TraceEntry } from '@nvme-stack/machine';

/** One event; `ts` and `dur` in microseconds. */
export interface ChromeEvent {
  readonly ph: 'X' | 'i' | 'b' | 'e' | 'C' | 'M';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly id?: string;
  readonly s?: 't';
  readonly args?: Readonly<Record<string, unknown>>;
}

/** The tracks' groups; Perfetto shows each as a process. */
const GROUPS = { tasks: 1, interrupts: 2, controller: 3, commands: 4 } as const;
const GROUP_NAMES: Readonly<Record<keyof typeof GROUPS, string>> = {
  tasks: 'tasks',
  interrupts: 'interrupts',
  controller: 'NVMe controller',
  commands: 'NVMe commands',
};
/** Thread ids that no task has. */
const INTERRUPT_TID = 1_000_000;
const CONTROLLER_TID = 2_000_000;
const COMMANDS_TID = 3_000_000;

interface Track {
  readonly pid: number;
  readonly tid: number;
  readonly name: string;
}

/** One JSON document. */
export function chromeTrace(entries: readonly TraceEntry[], profile: string): string {
  const lines = chromeEvents(entries).map((event) => JSON.stringify(event));
  const otherData = JSON.stringify({ producer: 'nvme-stack', profile });
  return `{"displayTimeUnit":"ns","otherData":${otherData},"traceEvents":[\n${lines.join(',\n')}\n]}\n`;
}

/** The events, tracks' names first. */
export function chromeEvents(entries: readonly TraceEntry[]): ChromeEvent[] {
  const sorted = [...entries].sort((a, b) => a.startNs - b.startNs || a.seq - b.seq);
  const endNs = sorted.reduce((end, { startNs, durationNs }) => Math.max(end, startNs + durationNs), 0);
  const tracks = new Map<number, Track>();
  const events = sorted.map((entry) => {
    const track = trackOf(entry);
    tracks.set(track.tid, track);
    return entry.kind === 'function' ? slice(entry, track, endNs) : instant(entry, track);
  });
  return [...names(tracks), ...events, ...commands(sorted)];
}

function trackOf({ context, cpu, pid, task }: TraceEntry): Track {
  if (context === 'device') return { pid: GROUPS.controller, tid: CONTROLLER_TID, name: 'controller' };
  if (context === 'task' && pid !== 0) return { pid: GROUPS.tasks, tid: pid, name: task };
  const level = ['task', 'softirq', 'hardirq'].indexOf(context);
  return { pid: GROUPS.interrupts, tid: INTERRUPT_TID + cpu * 4 + level, name: `CPU ${cpu} ${context}` };
}

const micros = (ns: number): number => ns / 1000;

function slice(entry: TraceEntry, { pid, tid }: Track, endNs: number): ChromeEvent {
  const { symbol, startNs, durationNs, cpu } = entry;
  const dur = micros(durationNs < 0 ? endNs - startNs : durationNs);
  return { ph: 'X', name: symbol, cat: 'function', pid, tid, ts: micros(startNs), dur, args: { cpu } };
}

function instant({ symbol, kind, startNs, fields, args, text }: TraceEntry, { pid, tid }: Track): ChromeEvent {
  const values = {
    ...Object.fromEntries(fields.map((field, i) => [field, args[i]])),
    ...(text === '' ? {} : { text }),
  };
  return { ph: 'i', s: 't', name: symbol, cat: kind, pid, tid, ts: micros(startNs), args: values };
}

/** A span from nvme_setup_cmd to nvme_complete_rq for each command that ended, and how many are in flight. */
function commands(sorted: readonly TraceEntry[]): ChromeEvent[] {
  const place = { pid: GROUPS.commands, tid: COMMANDS_TID };
  const open = new Map<string, TraceEntry>();
  const spans: { start: TraceEntry; end: TraceEntry; queue: string }[] = [];
  for (const entry of sorted) {
    if (entry.symbol !== 'nvme_setup_cmd' && entry.symbol !== 'nvme_complete_rq') continue;
    const queue = `${/^\w+/.exec(entry.text)?.[0] ?? 'nvme'}q${entry.args[0]}`;
    const key = `${queue}/${entry.args[1]}`;
    const start = open.get(key);
    if (entry.symbol === 'nvme_setup_cmd') open.set(key, entry);
    else if (start !== undefined && open.delete(key)) spans.push({ start, end: entry, queue });
  }
  const inFlight = new Map<string, number>();
  const moments = spans
    .flatMap(({ start, end, queue }, i) => [
      { entry: start, ph: 'b' as const, queue, start, i },
      { entry: end, ph: 'e' as const, queue, start, i },
    ])
    .sort((a, b) => a.entry.startNs - b.entry.startNs || a.entry.seq - b.entry.seq);
  return moments.flatMap(({ entry, ph, queue, start, i }) => {
    const count = (inFlight.get(queue) ?? 0) + (ph === 'b' ? 1 : -1);
    inFlight.set(queue, count);
    const ts = micros(entry.startNs);
    const name = /cmd=\((\w+)/.exec(start.text)?.[1] ?? 'command';
    return [
      { ...place, ph, name, cat: 'command', id: `0x${i.toString(16)}`, ts, args: { text: entry.text } },
      { ...place, ph: 'C' as const, name: `${queue} in flight`, ts, args: { commands: count } },
    ];
  });
}

function names(tracks: ReadonlyMap<number, Track>): ChromeEvent[] {
  const groups = Object.entries(GROUPS).map(([group, pid]): ChromeEvent => {
    return { ph: 'M', name: 'process_name', pid, tid: 0, args: { name: GROUP_NAMES[group as keyof typeof GROUPS] } };
  });
  const threads = [...tracks.values()].map(
    ({ pid, tid, name }): ChromeEvent => ({ ph: 'M', name: 'thread_name', pid, tid, args: { name } }),
  );
  return [...groups, ...threads];
}
