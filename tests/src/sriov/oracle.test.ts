/** SR-IOV side by side: our controller answers a host as QEMU's does, register for register and byte for byte. */
import { readFileSync } from 'node:fs';
import { qemuMissing } from '@nvme-stack/platform-qemu/node';
import { describe, expect, it } from 'vitest';
import { ours, qemus } from './corners.js';
import { tell } from './story.js';

const missing = qemuMissing();
/** What QEMU 7.2 did. */
const KEPT = readFileSync(new URL('./qemu-7.2-story.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');

describe('virtual functions', () => {
  it('are ours as they were QEMU 7.2’s, from the capability to the last reset', async () => {
    expect(await ours(tell)).toEqual(KEPT);
    expect(KEPT.length).toBeGreaterThan(200);
  });

  it.skipIf(missing !== null)('are that of the QEMU at hand', async () => {
    expect(await qemus(tell)).toEqual(KEPT);
  });
});
