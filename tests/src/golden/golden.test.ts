import { readFileSync } from 'node:fs';
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { createMachine } from '@nvme-stack/machine';
import { describe, expect, it } from 'vitest';
import { readCapture } from './capture-file.js';
import { compareCapture, report } from './compare.js';
import { capturedMachine, type GoldenRun, goldenRun } from './machine-run.js';

const CASES: readonly (readonly [profile: KernelProfile, linux: string])[] = [
  ['6.12', '6.12.111'],
  ['6.1', '6.1.176'],
];

describe.each(CASES)('profile %s against Linux %s', (profile, linux) => {
  let run: Promise<GoldenRun> | undefined;

  // @acceptance 55 59 82 102 104 127
  it.each(['ftrace-insmod', 'ftrace-io', 'mmio-cmd'])('%s has nothing missing, inverted or different', async (kind) => {
    run ??= goldenRun(createMachine, capturedMachine(profile));
    const name = `${kind}-${linux}.txt`;
    const capture = readCapture(name, readFileSync(new URL(`../../golden/${name}`, import.meta.url), 'utf8'));
    const comparison = compareCapture(capture, await run);
    expect(comparison.findings, report(capture, comparison)).toEqual([]);
  });
});
