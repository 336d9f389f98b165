import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TraceEntry } from '@nvme-stack/machine';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { demo } from './harness.js';
import type { ChromeEvent } from './traces/chrome.js';

const GOLDEN = fileURLToPath(new URL('../../../tests/golden/linux-6.1-userland/trace.events', import.meta.url));

let folder = '';
let trace: readonly TraceEntry[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nvme-stack-trace-'));
  trace = JSON.parse((await demo(['--json'])).out).trace;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function traceOf(format: string, ...more: string[]): Promise<string> {
  const { code, out, error } = await demo(['--trace', format, ...more]);
  expect({ code, error }).toEqual({ code: 0, error: '' });
  return out;
}

describe('--trace', () => {
  it.each(['graph', 'events', 'chrome'])(
    '%s goes to standard output and nothing else does, or to --out',
    async (format) => {
      const plain = await traceOf(format);
      const { out } = await demo(['--trace', format, '--out', 'trace.txt'], { cwd: folder });
      expect(readFileSync(join(folder, 'trace.txt'), 'utf8')).toBe(plain);
      expect(out).toContain('── 7/7');
      expect(out).toMatch(/\nThe trace is in trace\.txt, [\d.]+ [KM]iB\.\n$/);
      expect(plain).not.toContain('── 7/7');
    },
  );

  it('goes beside the result with --quiet', async () => {
    const { out } = await demo(['--trace', 'graph', '--out', 'quiet.txt', '--quiet'], { cwd: folder });
    expect(out).toMatch(/^nvme0 live; .*nothing left behind\.\n$/);
    expect(readFileSync(join(folder, 'quiet.txt'), 'utf8')).toContain('nvme_probe');
    expect(await traceOf('graph', '--quiet')).toBe(await traceOf('graph'));
  });
});

describe('--trace graph', () => {
  it('is the text of function_graph, every function opened and closed', async () => {
    const lines = (await traceOf('graph')).trimEnd().split('\n');
    expect(lines.slice(0, 4)).toEqual([
      '# tracer: function_graph',
      '#',
      '# CPU  DURATION                  FUNCTION CALLS',
      '# |     |   |                     |   |   |   |',
    ]);
    const calls = lines.filter((line) => /^ \d\) .*\|/.test(line));
    expect(calls.some((line) => /\| +nvme_probe\(\) \{$/.test(line))).toBe(true);
    const opened = calls.filter((line) => line.endsWith('{')).length;
    const closed = calls.filter((line) => /\| +\}/.test(line)).length;
    const leaves = calls.filter((line) => line.endsWith('();')).length;
    expect(closed).toBe(opened);
    expect(opened + leaves).toBe(trace.filter(({ kind }) => kind === 'function').length);
  });
});

describe('--trace events', () => {
  const LINE = /^ *(\S.*)-(\d+) +\[(\d{3})\] ([.\w]{5}) +(\d+\.\d{6}): (\w+):(?: (.*))?$/;
  /** What is left of an event's text without what differs from run to run. */
  const shape = (text: string): string =>
    text
      .replaceAll(/\[[^\]]*\]/g, '[]')
      .replaceAll(/(?<=\s|^)[RWDFSAMN]{1,3}(?=\s)/g, 'RWBS')
      .replaceAll(/nvme_cmd_\w+ .*\)/g, 'COMMAND)')
      .replaceAll(/0x[0-9a-f]+|\d+/g, '#');

  it('is the text of trace events, in the order of their times', async () => {
    const lines = (await traceOf('events')).trimEnd().split('\n');
    const events = lines.filter((line) => !line.startsWith('#'));
    expect(lines[2]).toBe(`# entries-in-buffer/entries-written: ${events.length}/${events.length}   #P:4`);
    expect(events.filter((line) => !LINE.test(line))).toEqual([]);
    const times = events.map((line) => Number(LINE.exec(line)?.[5]));
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(events).toHaveLength(trace.filter(({ kind }) => kind !== 'function').length);
  });

  it('prints the events that Linux has in the shapes of a capture', async () => {
    const shapes = (text: string): Map<string, Set<string>> => {
      const byName = new Map<string, Set<string>>();
      for (const line of text.split('\n')) {
        const [, , , , , , name = '', rest = ''] = LINE.exec(line) ?? [];
        if (!/nvme_cmd|qid=1|^block_(?!rq)|^irq/.test(`${name} ${rest}`) && !/^block_rq/.test(name)) continue;
        byName.set(name, (byName.get(name) ?? new Set()).add(shape(rest)));
      }
      return byName;
    };
    const linux = shapes(readFileSync(GOLDEN, 'utf8'));
    const ours = shapes(await traceOf('events'));
    expect(linux.size).toBeGreaterThan(9);
    for (const [name, known] of linux) {
      // A single disk read without a scheduler is never inserted into one.
      if (name === 'block_rq_insert' && !ours.has(name)) continue;
      const missing = [...known].filter((one) => !ours.get(name)?.has(one));
      expect({ name, missing }).toEqual({ name, missing: [] });
    }
  });
});

describe('--trace chrome', () => {
  async function chrome(...more: string[]): Promise<ChromeEvent[]> {
    return JSON.parse(await traceOf('chrome', ...more)).traceEvents;
  }

  it.each([[[]], [['--cpus', '1']], [['--seed', '3']], [['--profile', '6.1', '--cpus', '8']], [['--profile', '4.10']]])(
    'nests the slices of every track (%j)',
    async (more) => {
      const slices = (await chrome(...more)).filter(({ ph }) => ph === 'X');
      expect(slices.length).toBeGreaterThan(1500);
      const open = new Map<string, { name: string; end: number }[]>();
      const crossing: string[] = [];
      let last = 0;
      for (const { name, pid, tid, ts = -1, dur = -1 } of slices) {
        expect(ts).toBeGreaterThanOrEqual(last);
        expect(dur).toBeGreaterThanOrEqual(0);
        last = ts;
        const track = `${pid}/${tid}`;
        const stack = open.get(track) ?? [];
        open.set(track, stack);
        // In nanoseconds: fractions of microseconds are not exact.
        const [start, end] = [Math.round(ts * 1000), Math.round((ts + dur) * 1000)];
        while (stack.length > 0 && (stack.at(-1)?.end ?? 0) <= start && (stack.at(-1)?.end ?? 0) < end) stack.pop();
        const parent = stack.at(-1);
        if (parent !== undefined && end > parent.end) crossing.push(`${name} leaves ${parent.name} on ${track}`);
        stack.push({ name, end });
      }
      expect(crossing).toEqual([]);
    },
  );

  it('names every track, and puts each function on that of its task or interrupt', async () => {
    const events = await chrome();
    const names = new Map(
      events.filter(({ name }) => name === 'thread_name').map(({ tid, args }) => [tid, args?.name as string]),
    );
    const unnamed = events.filter(({ ph, tid }) => ['X', 'i'].includes(ph) && !names.has(tid));
    expect(unnamed).toEqual([]);
    const trackOf = (symbol: string) => names.get(events.find(({ name }) => name === symbol)?.tid ?? -1);
    expect(trackOf('nvme_init')).toBe('modprobe');
    expect(trackOf('nvme_probe')).toMatch(/^kworker/);
    expect(trackOf('nvme_irq')).toBe('CPU 0 hardirq');
    expect(trackOf('pci_nvme_io_cmd')).toBe('controller');
    expect(events.filter(({ ph }) => ph === 'X')).toHaveLength(trace.filter(({ kind }) => kind === 'function').length);
    expect(events.filter(({ ph }) => ph === 'i')).toHaveLength(trace.filter(({ kind }) => kind !== 'function').length);
  });

  it('has a span for every command that ended, one end for each begin, and none in flight at the end', async () => {
    const events = await chrome();
    const begins = events.filter(({ ph }) => ph === 'b');
    const ends = events.filter(({ ph }) => ph === 'e');
    expect(begins.length).toBeGreaterThan(35);
    expect(new Set(begins.map(({ id }) => id)).size).toBe(begins.length);
    for (const { id, ts = 0 } of begins) {
      const own = ends.filter((event) => event.id === id);
      expect(own).toHaveLength(1);
      expect(own[0]?.ts).toBeGreaterThan(ts);
    }
    const counters = new Map(events.filter(({ ph }) => ph === 'C').map(({ name, args }) => [name, args?.commands]));
    expect([...counters.keys()]).toContain('nvme0q1 in flight');
    expect(new Set(counters.values())).toEqual(new Set([0]));
  });
});
