/** Our driver on QEMU's controller against Linux on QEMU's controller: what QEMU itself wrote of both. */
import { readFileSync } from 'node:fs';
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { describe, expect, it } from 'vitest';
import { readCapture } from '../golden/capture-file.js';
import { compareCapture, report } from '../golden/compare.js';
import { capturedMachine, goldenRun } from '../golden/machine-run.js';
import { createGoldenMachine } from './golden-machine.js';
import { missing } from './with-qemu.js';

const CASES: readonly (readonly [profile: KernelProfile, linux: string])[] = [
  ['6.12', '6.12.111'],
  ['6.1', '6.1.176'],
];

describe.skipIf(missing !== null)('QEMU’s own trace of our driver', () => {
  it.each(CASES)('on profile %s is that of Linux %s', async (profile, linux) => {
    const run = await goldenRun(createGoldenMachine, capturedMachine(profile));
    expect(run.device.length).toBeGreaterThan(300);
    const name = `mmio-cmd-${linux}.txt`;
    const capture = readCapture(name, readFileSync(new URL(`../../golden/${name}`, import.meta.url), 'utf8'));
    const comparison = compareCapture(capture, run);
    expect(comparison.findings, report(capture, comparison)).toEqual([]);
  });
});
