/** The same demo on QEMU's own controller. */
import { readFileSync } from 'node:fs';
import { qemuMissing } from '@nvme-stack/machine/node';
import { afterEach, describe, expect, it } from 'vitest';
import { demo } from './harness.js';

const { PATH } = process.env;

afterEach(() => {
  process.env.PATH = PATH;
});

describe.skipIf(qemuMissing() !== null)('the demo on QEMU', () => {
  it('goes through every step and leaves nothing behind', async () => {
    const { code, out, error } = await demo(['--platform', 'qemu']);
    expect([code, error]).toEqual([0, '']);
    expect(out).toContain("The controllers are QEMU's own, driven in real time");
    expect(out).toContain('nvme nvme0: 4/0/0 default/read/poll queues');
    expect(out).toContain('Verified: all 4096 bytes read back are the bytes written.');
    expect(out).toContain('Left behind: nothing.');
    expect(out).toContain('Rates and latencies are of real time');
    expect(out).not.toContain('virtual');
  });

  it('prints what README.md shows of it, but for its times', async () => {
    const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');
    const shown = /<!-- demo output on QEMU -->\n```text\n([\s\S]*?)\n```/.exec(readme)?.[1] ?? '';
    const timeless = (line: string): string => line.replace(/\d+\.\d+/g, '#').replace(/ +/g, ' ');
    const lines = (await demo(['--platform', 'qemu'])).out.split('\n').map(timeless);
    let at = 0;
    for (const line of shown
      .split('\n')
      .filter((one) => one !== '…')
      .map(timeless)) {
      const found = lines.indexOf(line, at);
      expect(found, line).toBeGreaterThanOrEqual(0);
      at = found + 1;
    }
    expect(at).toBeGreaterThan(20);
  });

  it('runs another kernel there', async () => {
    const { code, out } = await demo(['--platform', 'qemu', '--profile', '6.1', '--quiet', '--operations', '40']);
    expect(code, out).toBe(0);
  });
});

describe('the demo without QEMU', () => {
  it.runIf(process.platform === 'linux')('says in one sentence how to install it, with exit code 2', async () => {
    process.env.PATH = '';
    expect(await demo(['--platform', 'qemu'])).toMatchObject({
      code: 2,
      out: '',
      error:
        'there is no qemu-system-x86_64 here; install it with: apt-get install --no-install-recommends qemu-system-x86.\n',
    });
  });
});
