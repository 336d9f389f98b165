/**
 * The trace's events in the text format of Linux's tracefs.
 * Kernel counterpart: kernel/trace/trace_output.c, include/trace/events/{block,irq,workqueue}.h, drivers/nvme/host/trace.h.
 */
import type { TraceEntry } from '@nvme-stack/machine';

type Fields = Readonly<Record<string, number>>;
type Print = (fields: Fields, entry: TraceEntry) => string;

const device = ({ dev = 0 }: Fields): string => `${dev >>> 20},${dev & 0xfffff}`;
const range = ({ sector = 0, nr_sector = 0 }: Fields): string => `${sector} + ${nr_sector}`;
const bio: Print = (fields, { text, task }) => `${device(fields)} ${text} ${range(fields)} [${task}]`;
const request: Print = (fields, { text, task }) =>
  `${device(fields)} ${text} ${fields.bytes} () ${range(fields)} [${task}]`;
const pointer = (value = 0): string => value.toString(16).padStart(16, '0');
const own: Print = (_, { text }) => text;

/** How Linux prints its events. */
const LINUX: Readonly<Record<string, Print>> = {
  block_bio_queue: bio,
  block_getrq: bio,
  block_plug: (_, { task }) => `[${task}]`,
  block_unplug: ({ nr_rq }, { task }) => `[${task}] ${nr_rq}`,
  block_rq_insert: request,
  block_rq_issue: request,
  block_rq_merge: request,
  block_rq_requeue: (fields, { text }) => `${device(fields)} ${text} () ${range(fields)} [${fields.error ?? 0}]`,
  block_rq_complete: (fields, { text }) => `${device(fields)} ${text} () ${range(fields)} [${fields.error}]`,
  console: own,
  irq_handler_entry: ({ irq }, { text }) => `irq=${irq} name=${text}`,
  irq_handler_exit: ({ irq, ret }) => `irq=${irq} ret=${ret === 0 ? 'unhandled' : 'handled'}`,
  nvme_setup_cmd: own,
  nvme_complete_rq: own,
  nvme_sq: own,
  nvme_async_event: own,
  workqueue_queue_work: ({ work, req_cpu, cpu }, { text }) =>
    `work struct=${pointer(work)} function=${text} req_cpu=${req_cpu} cpu=${cpu}`,
  workqueue_activate_work: ({ work }) => `work struct ${pointer(work)}`,
  workqueue_execute_start: ({ work }, { text }) => `work struct ${pointer(work)}: function ${text}`,
  workqueue_execute_end: ({ work }, { text }) => `work struct ${pointer(work)}: function ${text}`,
};

/** Interrupts off, no need to reschedule, in which interrupt, preemption count, no migration. */
const FLAGS: Readonly<Record<TraceEntry['context'], string>> = {
  task: '.....',
  softirq: '..s1.',
  hardirq: 'd.h1.',
  device: '.....',
};

/** All events, in the order of their times. The controller's own stand on a CPU of their own, the one behind the last. */
export function eventsText(entries: readonly TraceEntry[], cpus: number): string {
  const events = entries.filter(({ kind }) => kind !== 'function');
  events.sort((a, b) => a.startNs - b.startNs || a.seq - b.seq);
  return `${[...header(events.length, cpus), ...events.map((entry) => line(entry, cpus))].join('\n')}\n`;
}

function line(entry: TraceEntry, cpus: number): string {
  const inDevice = entry.context === 'device';
  const task = inDevice ? 'controller' : entry.pid === 0 ? '<idle>' : entry.task.slice(0, 16);
  const cpu = String(inDevice ? cpus : entry.cpu).padStart(3, '0');
  const nowUs = Math.floor(entry.startNs / 1000);
  const seconds = String(Math.floor(nowUs / 1e6)).padStart(5);
  const time = `${seconds}.${String(nowUs % 1e6).padStart(6, '0')}`;
  const text = print(entry);
  return `${task.padStart(16)}-${String(entry.pid).padEnd(7)} [${cpu}] ${FLAGS[entry.context]} ${time}: ${entry.symbol}:${text === '' ? '' : ` ${text}`}`;
}

function print(entry: TraceEntry): string {
  const fields = Object.fromEntries(entry.fields.map((field, i) => [field, entry.args[i] as number]));
  const linux = LINUX[entry.symbol];
  if (linux !== undefined) return linux(fields, entry);
  const words = entry.fields.map((field, i) => `${field} 0x${(entry.args[i] as number).toString(16)}`);
  return [...words, ...(entry.text === '' ? [] : [entry.text])].join(' ');
}

function header(count: number, cpus: number): string[] {
  return [
    '# tracer: nop',
    '#',
    `# entries-in-buffer/entries-written: ${count}/${count}   #P:${cpus}`,
    '#',
    '#                                _-----=> irqs-off/BH-disabled',
    '#                               / _----=> need-resched',
    '#                              | / _---=> hardirq/softirq',
    '#                              || / _--=> preempt-depth',
    '#                              ||| / _-=> migrate-disable',
    '#                              |||| /     delay',
    '#           TASK-PID     CPU#  |||||  TIMESTAMP  FUNCTION',
    '#              | |         |   |||||     |         |',
  ];
}
