import { readFileSync } from 'node:fs';
import type { TraceEntry } from '@nvme-stack/kernel/ports';
import { describe, expect, it } from 'vitest';
import { readCapture } from './capture-file.js';
import { compareCalls } from './compare-calls.js';
import type { Finding } from './finding.js';
import { type CallLine, splitThreads } from './threads.js';

const NAMES = [
  'ftrace-insmod-6.12.111.txt',
  'ftrace-io-6.12.111.txt',
  'ftrace-insmod-6.1.176.txt',
  'ftrace-io-6.1.176.txt',
];
const read = (name: string) =>
  readCapture(name, readFileSync(new URL(`../../golden/${name}`, import.meta.url), 'utf8'));

/** A call of a synthetic run; frames the capture's filter hides may stand between. */
interface Call {
  symbol: string;
  children: Call[];
}

const copy = (line: CallLine): Call => ({ symbol: line.symbol, children: line.children.map(copy) });

/** A run in which everything happens as captured, each thread on a task or interrupt of its own. */
function runOf(name: string): Call[] {
  return splitThreads(read(name).lines).map((thread) => copy(thread.root));
}

function entriesOf(threads: readonly Call[]): TraceEntry[] {
  const entries: TraceEntry[] = [];
  const visit = (call: Call, pid: number, depth: number): void => {
    const seq = entries.length;
    const base = { durationNs: 1, cpu: 0, task: `task${pid}`, pid, context: 'task', kind: 'function' } as const;
    entries.push({ ...base, seq, startNs: seq, depth, symbol: call.symbol, fields: [], args: [], text: '' });
    for (const child of call.children) visit(child, pid, depth + 1);
  };
  for (const [i, thread] of threads.entries()) visit(thread, i + 1, 0);
  return entries;
}

function find(calls: readonly Call[], symbol: string, nth = 0): Call {
  const all = (call: Call): Call[] => [call, ...call.children.flatMap(all)];
  return calls.flatMap(all).filter((call) => call.symbol === symbol)[nth];
}

function parentOf(calls: readonly Call[], symbol: string): Call {
  const all = (call: Call): Call[] => [call, ...call.children.flatMap(all)];
  return calls.flatMap(all).filter((call) => call.children.some((child) => child.symbol === symbol))[0];
}

function compare(name: string, threads: readonly Call[]): string[] {
  return compareCalls(read(name), entriesOf(threads)).findings.map(
    ({ kind, line, text }: Finding) => `${kind} ${line} ${text}`,
  );
}

const INSMOD = 'ftrace-insmod-6.12.111.txt';

describe('compareCalls', () => {
  it.each(NAMES)('finds nothing in a run that happened as %s', (name) => {
    expect(compare(name, runOf(name))).toEqual([]);
  });

  it.each(NAMES)('allows other calls before, between and around those of %s', (name) => {
    const wrap = (call: Call): Call => ({
      symbol: 'unseen_outer',
      children: [
        { symbol: 'unseen', children: [] },
        { symbol: call.symbol, children: call.children.map(wrap) },
      ],
    });
    const more = runOf(name).map(wrap);
    more.unshift({ symbol: 'process_one_work', children: [] }, { symbol: 'nvme_irq', children: [] });
    expect(compare(name, more)).toEqual([]);
  });

  it('reports a call that is not there once, and still compares what it calls', () => {
    const run = runOf(INSMOD);
    const parent = parentOf(run, 'nvme_pci_enable');
    const at = parent.children.findIndex((call) => call.symbol === 'nvme_pci_enable');
    parent.children.splice(at, 1, ...parent.children[at].children);
    expect(compare(INSMOD, run)).toEqual(['missing 67 nvme_pci_enable below nvme_probe']);
  });

  it('reports a call of a collapsed repeat that is not there', () => {
    const run = runOf(INSMOD);
    const { children } = parentOf(run, 'nvme_alloc_io_tag_set');
    children.splice(
      children.findIndex((call) => call.symbol === 'nvme_alloc_queue'),
      1,
    );
    expect(compare(INSMOD, run)).toEqual(['missing 156 nvme_alloc_queue below nvme_probe']);
  });

  it('reports two calls that changed places as one inversion', () => {
    const run = runOf(INSMOD);
    const { children } = find(run, 'nvme_pci_enable');
    const at = children.findIndex((call) => call.symbol === 'pci_enable_device_mem');
    children.splice(at, 2, children[at + 1], children[at]);
    expect(compare(INSMOD, run)).toHaveLength(1);
    expect(compare(INSMOD, run)[0]).toMatch(
      /^inverted 6[89] pci_(enable_device_mem|set_master) below nvme_pci_enable$/,
    );
  });

  it('reports a call below another caller', () => {
    const run = runOf(INSMOD);
    const { children } = find(run, 'nvme_pci_enable');
    const at = children.findIndex((call) => call.symbol === 'pci_request_irq');
    const [moved] = children.splice(at, 1);
    children[at - 1].children.push(moved);
    expect(compare(INSMOD, run)).toEqual([
      'different 89 pci_request_irq below nvme_init_queue, not below nvme_pci_enable',
    ]);
  });

  it('reports a captured function between a call and its caller', () => {
    const run = runOf('ftrace-io-6.12.111.txt');
    const parent = find(run, 'nvme_queue_rqs');
    parent.children = [{ symbol: 'blk_mq_start_request', children: parent.children }];
    const found = compare('ftrace-io-6.12.111.txt', run);
    expect(found).toHaveLength(3);
    expect(found[0]).toBe('different 19 nvme_setup_cmd below blk_mq_start_request, not below nvme_queue_rqs');
  });

  it('reports an interrupt that never came', () => {
    const run = runOf('ftrace-io-6.12.111.txt');
    run.splice(
      run.findLastIndex((thread) => thread.symbol === '__common_interrupt'),
      1,
    );
    const found = compare('ftrace-io-6.12.111.txt', run);
    expect(found).toHaveLength(20);
    expect(found[0]).toBe('missing 75 __common_interrupt');
  });

  it('reports a thread whose start is missing, and compares the rest of it', () => {
    const run = runOf('ftrace-io-6.12.111.txt');
    run[0] = run[0].children[0];
    expect(compare('ftrace-io-6.12.111.txt', run)).toEqual(['missing 2 submit_bio']);
  });

  it('compares nothing that is not modelled', () => {
    const run = runOf(INSMOD);
    const prune = (call: Call): void => {
      call.children = call.children.filter((child) => !/^nvme_auth_|module_address/.test(child.symbol));
      for (const child of call.children) prune(child);
    };
    for (const thread of run) prune(thread);
    const { children } = find(run, 'device_add_disk');
    children.splice(
      children.findIndex((call) => call.symbol === 'blk_mq_freeze_queue'),
      1,
    );
    expect(compare(INSMOD, run)).toEqual([]);
    find(run, 'nvme_update_ns_info_block').children.splice(2, 1);
    expect(compare(INSMOD, run)).toEqual([
      'missing 311 blk_mq_freeze_queue below nvme_update_ns_info_block',
      'missing 312 blk_mq_freeze_queue_wait below blk_mq_freeze_queue',
    ]);
  });

  it('says what it compared', () => {
    expect(compareCalls(read(INSMOD), []).notes).toMatchInlineSnapshot(`
      [
        "342 calls of 131 functions in 9 threads and interrupts compared",
        "47 work items of the captured machine not compared: their functions are not in the capture",
        "4 calls not modelled: blk_mq_freeze_queue, blk_mq_freeze_queue_wait, module_address_lookup, nvme_auth_init_ctrl",
      ]
    `);
    expect(compareCalls(read(INSMOD), []).findings.every((finding) => finding.kind === 'missing')).toBe(true);
  });
});
