import { PROFILES } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { pairUp, type TreeLine } from './compare.js';
import { demo } from './harness.js';

const line = (symbol: string, task = 'modprobe'): TreeLine => ({ depth: 1, symbol, task, isTask: false });
const marks = (pairs: ReturnType<typeof pairUp>): string =>
  pairs.map(({ left, right }) => `${left?.symbol ?? '-'}|${right?.symbol ?? '-'}`).join(' ');

describe('two trees', () => {
  it('are paired by their longest common sequence', () => {
    const left = ['a', 'b', 'c', 'd'].map((name) => line(name));
    const right = ['a', 'c', 'x', 'd', 'b'].map((name) => line(name));
    expect(marks(pairUp(left, right))).toBe('a|a b|- c|c -|x d|d -|b');
    expect(marks(pairUp([], right.slice(0, 2)))).toBe('-|a -|c');
    expect(marks(pairUp(left.slice(0, 2), []))).toBe('a|- b|-');
    expect(pairUp([], [])).toEqual([]);
  });
});

describe('--compare', () => {
  it('finds nothing different between a kernel and itself', async () => {
    const { code, out } = await demo(['--compare', '6.12', '6.12']);
    expect(code).toBe(0);
    const trees = out.split('\n').filter((one) => one.includes('()'));
    expect(trees.length).toBeGreaterThan(40);
    expect(trees.every((one) => /^(\s*\S+)\s+\1$/.test(one.trim()) || !/[<>~]/.test(one))).toBe(true);
    expect(out).toContain('Nothing: the two runs agree in every point that is looked at.');
  });

  it.runIf(PROFILES.includes('6.1'))(
    'shows 6.1 beside 6.12: who probes, who makes the queues, how a read enters',
    async () => {
      const { code, out, error } = await demo(['--compare', '6.1', '6.12']);
      expect({ code, error }).toEqual({ code: 0, error: '' });
      expect(out).toMatch(/^Linux 6\.1 +Linux 6\.12$/m);
      expect(out).toMatch(/^ +nvme_reset_work\(\) +<$/m);
      expect(out).toMatch(/^ +> +async_run_entry_fn\(\)$/m);
      expect(out).toMatch(/^ +nvme_probe\(\) +~ +nvme_probe\(\)$/m);
      expect(out).toMatch(/^ +nvme_init\(\) {3,}nvme_init\(\)$/m);
      expect(out).toMatch(/^nvme_probe runs in +modprobe +kworker$/m);
      expect(out).toMatch(/^queues are made by +nvme_reset_work +nvme_probe$/m);
      expect(out).toMatch(/^a read enters by +nvme_queue_rq +nvme_queue_rqs$/m);
    },
  );

  it.runIf(PROFILES.includes('4.13'))(
    'shows 4.13 beside 6.12: one write to enable, a shared vector, an early return',
    async () => {
      const { code, out } = await demo(['--compare', '4.13', '6.12']);
      expect(code).toBe(0);
      expect(out).toMatch(/^nvme_probe runs in +modprobe +kworker$/m);
      expect(out).toMatch(/^modprobe returns +before LIVE +after LIVE$/m);
      expect(out).toMatch(/^writes to enable +0x[0-9a-f]+ +0x[0-9a-f]+, 0x[0-9a-f]+$/m);
      expect(out).toMatch(/^vector of queue 1 +0 +1$/m);
    },
  );

  it('takes the machine from the other options, and prints JSON or only the points', async () => {
    const [one = '', other = ''] = [PROFILES.at(-1), PROFILES[0]];
    const { out } = await demo(['--compare', one, other, '--cpus', '2', '--json']);
    const document = JSON.parse(out);
    expect(Object.keys(document)).toEqual(['schemaVersion', 'compare', 'differences']);
    expect(document.compare).toMatchObject([
      { profile: one, cpus: 2, leaks: [] },
      { profile: other, cpus: 2, leaks: [] },
    ]);
    const { out: quiet } = await demo(['--compare', one, other, '--cpus', '2', '--quiet']);
    const lines = document.differences.map(
      ({ name, values }: { name: string; values: string[] }) => `${name}: ${values[0]} | ${values[1]}`,
    );
    expect(quiet).toBe(`${lines.join('\n')}\n`);
  });
});
