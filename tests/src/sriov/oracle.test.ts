/** SR-IOV side by side: our controller answers a host as QEMU's does, register for register and byte for byte. */
import { qemuMissing } from '@nvme-stack/platform-qemu/node';
import { describe, expect, it } from 'vitest';
import { ours, qemus } from './corners.js';
import { tell } from './story.js';

const missing = qemuMissing();

describe('virtual functions', () => {
  it.skipIf(missing !== null)('are ours as they are QEMU’s, from the capability to the last reset', async () => {
    const [mine, theirs] = [await ours(tell), await qemus(tell)];
    expect(mine).toEqual(theirs);
    expect(mine.length).toBeGreaterThan(200);
  });
});
