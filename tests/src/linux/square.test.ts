/** The square closes: in all four corners the same registers, commands, data and log lines, differences explained. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { qemuMissing } from '@nvme-stack/platform-qemu/node';
import { describe, expect, it } from 'vitest';
import { linuxMissing } from './linux-bench.js';
import { squarePage } from './square-page.js';
import { linuxOnOurs, linuxOnQemu, oursOnOurs, oursOnQemu } from './square-run.js';

const I386 = 'qemu-system-i386';
const missing =
  qemuMissing() ??
  (await linuxMissing()) ??
  (spawnSync(I386, ['--version']).status === 0 ? null : `no ${I386} here; apt-get install qemu-system-x86 brings it`);
if (missing !== null) console.log(`skipped: ${missing}`);

const TIMEOUT_MS = 400_000;

describe.skipIf(missing !== null)('the square', () => {
  it(
    'closes, and docs/square.md says so',
    async () => {
      // One after the other: two Linuxes at once on a small machine would take each other's time.
      const corners = [await oursOnOurs(), await oursOnQemu(), await linuxOnOurs(), await linuxOnQemu()];
      const data = Buffer.from('nvme-stack\n'.repeat(6000)).subarray(0, 65536);
      const sum = createHash('md5').update(data).digest('hex');
      for (const { name, sums, records } of corners) {
        expect(sums, name).toEqual([sum, sum]);
        expect(records.length, name).toBeGreaterThan(200);
      }
      const { page, unexplained, unused } = squarePage(corners);
      expect(unexplained).toEqual([]);
      expect(unused).toEqual([]);
      await expect(page).toMatchFileSnapshot('../../../docs/square.md');
    },
    TIMEOUT_MS,
  );
});
