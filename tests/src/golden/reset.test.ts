/** Everything that Linux 6.1 calls when `nvme reset` has a controller with two namespaces reset, against ours on profile 6.1. */
import { readFileSync } from 'node:fs';
import { createMachine, type TraceEntry } from '@nvme-stack/machine';
import { NVME_IOCTL_RESET } from '@nvme-stack/nvme-core/ports';
import { expect, it } from 'vitest';
import { compareThreads, flatten } from './compare-calls.js';
import { readFunctionGraph } from './function-graph.js';
import { notModelledReason } from './not-modelled.js';
import { ourCalls } from './our-calls.js';
import type { CallLine, GoldenThread } from './threads.js';

/** The two Delete I/O Completion Queue commands completed one interrupt each; ours, as Linux's own pair before them, in one. */
const INTERRUPT_OF_SECOND_DELETION = 84;

/** The capture without what differs on purpose or by chance. */
function capturedThreads(): GoldenThread[] {
  const text = readFileSync(new URL('../../golden/linux-6.1-userland/trace.fgraph_reset', import.meta.url), 'utf8');
  const threads = readFunctionGraph(text).filter(({ root }) => root.line !== INTERRUPT_OF_SECOND_DELETION);
  withDoorbellBuffersFirst(rootOf(threads, 'nvme_reset_work').children);
  return threads;
}

/**
 * Linux 6.1 tells the controller of its shadow doorbells only when what waited has been sent, and so may miss commands after
 * a reset; the driver's eras.ts mends that. It is the one thing that is out of place.
 */
function withDoorbellBuffersFirst(calls: CallLine[]): void {
  const started = calls.findIndex(({ symbol }) => symbol === 'nvme_start_queues');
  const [start, wait, free, submit] = calls.slice(started, started + 4) as [CallLine, CallLine, CallLine, CallLine];
  expect([wait, free, submit].map(({ symbol }) => symbol)).toEqual([
    'nvme_wait_freeze',
    'nvme_free_queues',
    'nvme_submit_sync_cmd',
  ]);
  calls.splice(started, 4, submit, start, wait, free);
}

function rootOf(threads: readonly Pick<GoldenThread, 'root'>[], symbol: string): CallLine {
  const roots = threads.filter(({ root }) => root.symbol === symbol);
  expect([symbol, roots.length]).toEqual([symbol, 1]);
  return (roots[0] as GoldenThread).root;
}

/** Each call with all that it is called beneath. */
function paths(call: CallLine): string[] {
  return [call.symbol, ...call.children.flatMap((child) => paths(child).map((path) => `${call.symbol} > ${path}`))];
}

async function ourReset(): Promise<TraceEntry[]> {
  const namespaces = [{ sizeMiB: 64 }, { sizeMiB: 32 }];
  const machine = await createMachine({ profile: '6.1', cpus: 2, nvme: [{ namespaces }] });
  await machine.modprobe('nvme');
  await machine.settle();
  const from = machine.trace.entries.length;
  await machine.ioctl('/dev/nvme0', NVME_IOCTL_RESET, null);
  await machine.settle();
  return machine.trace.entries.slice(from);
}

it('has every call of every task and interrupt of the capture, in its order and below its callers', async () => {
  const { findings, notes } = compareThreads(capturedThreads(), await ourReset());
  expect(findings).toEqual([]);
  expect(notes).toEqual([
    '435 calls of 74 functions in 52 threads and interrupts compared',
    '0 work items of the captured machine not compared: their functions are not in the capture',
    '0 calls not modelled',
  ]);
});

it.each(['nvme_reset_work', 'nvme_scan_work', 'nvme_dev_ioctl'])(
  'calls nothing below %s that Linux did not',
  async (name) => {
    const threads = capturedThreads();
    const visible = new Set(threads.flatMap(({ root }) => flatten(root)).map(({ symbol }) => symbol));
    const linux = paths(rootOf(threads, name)).filter((path) => !path.split(' > ').some(isNotModelled));
    const roots = ourCalls(await ourReset(), visible).map((root) => ({ root }));
    expect(paths(rootOf(roots, name))).toEqual(linux);
  },
);

function isNotModelled(symbol: string): boolean {
  return notModelledReason(symbol, null) !== null;
}
