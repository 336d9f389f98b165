import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCapture } from './capture-file.js';
import { type CallLine, type GoldenThread, plainSymbol, splitThreads } from './threads.js';

const lines = (text: string) => text.split('\n').map((line, i) => ({ number: i + 1, text: line }));

function outline(call: CallLine, indent = ''): string {
  return `${indent}${call.symbol} :${call.line}\n${call.children.map((child) => outline(child, `${indent}  `)).join('')}`;
}

function outlines(threads: readonly GoldenThread[]): string {
  return threads
    .map((thread) => `${thread.isInterrupt ? 'interrupt' : 'thread'}\n${outline(thread.root, '  ')}`)
    .join('');
}

describe('splitThreads', () => {
  it.each(['ftrace-insmod-6.12.111', 'ftrace-io-6.12.111', 'ftrace-insmod-6.1.176', 'ftrace-io-6.1.176'])(
    'rebuilds the threads of %s',
    async (name) => {
      const text = readFileSync(new URL(`../../golden/${name}.txt`, import.meta.url), 'utf8');
      const threads = splitThreads(readCapture(name, text).lines);
      const withCalls = threads.filter((thread) => thread.root.children.length > 0);
      const alone = `${threads.length - withCalls.length} process_one_work alone\n`;
      await expect(outlines(withCalls) + alone).toMatchFileSnapshot(`../../golden/threads/${name}.txt`);
    },
  );

  it('goes back to the thread that was interrupted', () => {
    const capture = `cpu0 submit_bio
cpu0   nvme_queue_rqs
cpu0     __common_interrupt
cpu0       nvme_irq
cpu0     nvme_submit_cmds.part.0`;
    expect(outlines(splitThreads(lines(capture)))).toBe(`thread
  submit_bio :1
    nvme_queue_rqs :2
      nvme_submit_cmds :5
interrupt
  __common_interrupt :3
    nvme_irq :4
`);
  });

  it('keeps threads of two CPUs apart and follows one that slept below a new one', () => {
    const capture = `cpu0 process_one_work
cpu1 process_one_work x2
cpu0   nvme_scan_work
cpu1   nvme_reset_work
cpu0     nvme_scan_ns
cpu0 process_one_work
cpu0   nvme_async_event_work
cpu0       nvme_identify_ns`;
    expect(outlines(splitThreads(lines(capture)))).toBe(`thread
  process_one_work :1
    nvme_scan_work :3
      nvme_scan_ns :5
        nvme_identify_ns :8
thread
  process_one_work :2
thread
  process_one_work :2
    nvme_reset_work :4
thread
  process_one_work :6
    nvme_async_event_work :7
`);
  });
});

describe('plainSymbol', () => {
  it.each([
    ['nvme_prep_rq.part.0', 'nvme_prep_rq'],
    ['blk_mq_rq_ctx_init.isra.0', 'blk_mq_rq_ctx_init'],
    ['nvme_features.constprop.12.isra.0', 'nvme_features'],
    ['nvme_timeout.cold', 'nvme_timeout'],
    ['nvme_irq', 'nvme_irq'],
  ])('makes %s %s', (symbol, plain) => {
    expect(plainSymbol(symbol)).toBe(plain);
  });
});
