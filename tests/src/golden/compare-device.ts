/** Compares what our driver did to its controller with a captured pci_nvme_* trace. */
import type { CaptureFile } from './capture-file.js';
import { compareSequences } from './compare-sequences.js';
import { capturedRecords, type DeviceRecord } from './device-record.js';
import { type DeviceRun, deviceRun } from './device-run.js';
import type { Comparison } from './finding.js';

const PARTS: readonly (readonly [part: keyof DeviceRun, name: string])[] = [
  ['registers', 'register accesses'],
  ['commands', 'admin commands'],
  ['eventRequests', 'event requests'],
  ['ioCommands', 'I/O commands'],
  ['adminTails', 'admin tails'],
  ['adminHeads', 'admin completions'],
  ['ioTails', 'I/O tails'],
  ['ioHeads', 'I/O completions'],
];

/** Compares a capture of kind mmio-cmd with what the device did in our run. */
export function compareDevice(capture: CaptureFile, records: readonly DeviceRecord[]): Comparison {
  const golden = deviceRun(capturedRecords(capture.lines));
  const ours = deviceRun(records);
  const findings = PARTS.flatMap(([part]) => compareSequences(golden[part], ours[part]));
  const counts = PARTS.map(([part, name]) => `${golden[part].length} ${name}`);
  return { findings: findings.sort((a, b) => a.line - b.line), notes: [`${counts.join(', ')} compared`] };
}
