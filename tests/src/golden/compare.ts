/** Compares a run with captures of any kind, and writes the report. */
import type { KernelProfile } from '@nvme-stack/kernel/ports';
import { BadInput, type CaptureFile, type CaptureKind } from './capture-file.js';
import { compareCalls } from './compare-calls.js';
import { compareDevice } from './compare-device.js';
import { type Comparison, countOf, FINDING_KINDS } from './finding.js';
import type { GoldenRun } from './machine-run.js';

const TITLES: Record<CaptureKind, string> = {
  'ftrace-insmod': 'function calls of insmod',
  'ftrace-io': 'function calls of I/O',
  'mmio-cmd': 'registers and commands of the device',
};

/** Compares one capture with the part of the run it was taken of. */
export function compareCapture(capture: CaptureFile, run: GoldenRun): Comparison {
  if (capture.kind === 'mmio-cmd') return compareDevice(capture, run.device);
  return compareCalls(capture, capture.kind === 'ftrace-io' ? run.io : run.insmod);
}

/** Throws BadInput when a capture says that it is of another kernel than the profile's. */
export function checkProfile(capture: CaptureFile, profile: KernelProfile): void {
  const { name, linux } = capture;
  if (linux === null || linux === profile || linux.startsWith(`${profile}.`)) return;
  throw new BadInput(`${name} was captured on Linux ${linux}, but --profile is ${profile}.`);
}

/** The report's part for one capture. */
export function report(capture: CaptureFile, comparison: Comparison): string {
  const counts = FINDING_KINDS.map((kind) => `${countOf(comparison, kind)} ${kind}`).join(', ');
  const findings = comparison.findings.map(
    ({ kind, line, text }) => `  ${kind.padEnd(9)} ${capture.name}:${line}: ${text}`,
  );
  const notes = comparison.notes.map((note) => `  (${note})`);
  return `${[`${capture.name} (${TITLES[capture.kind]}): ${counts}`, ...findings, ...notes].join('\n')}\n`;
}
