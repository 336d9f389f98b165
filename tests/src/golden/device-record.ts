/** The device's side of a run as records: from QEMU's pci_nvme_* lines, or from our trace's events of the same names. */
import type { TraceEntry } from '@nvme-stack/kernel/ports';
import type { CaptureLine } from './capture-file.js';

export interface DeviceRecord {
  readonly line: number;
  /** The trace point without `pci_nvme_`. */
  readonly name: string;
  readonly fields: ReadonlyMap<string, number>;
}

const PREFIX = 'pci_nvme_';
const NUMBER = /\b(\w+)[ =](0x[0-9a-f]+|\d+)\b/gi;

export function capturedRecords(lines: readonly CaptureLine[]): DeviceRecord[] {
  return lines.map(({ number, text }) => {
    const [, name, rest] = /pci_nvme_(\w+)(.*)$/.exec(text) as RegExpExecArray;
    return {
      line: number,
      name,
      fields: new Map([...rest.matchAll(NUMBER)].map(([, key, value]) => [key, Number(value)])),
    };
  });
}

/** The records of a trace that QEMU wrote. */
export function writtenRecords(text: string): DeviceRecord[] {
  const lines = text.split('\n').map((line, i) => ({ number: i + 1, text: line }));
  return capturedRecords(lines.filter((line) => /\bpci_nvme_\w/.test(line.text)));
}

/** The records of the controller's own events; the board's events of the same accesses are left out. */
export function ourRecords(entries: readonly TraceEntry[]): DeviceRecord[] {
  return entries.flatMap(({ seq, symbol, fields, args }) => {
    if (!symbol.startsWith(PREFIX)) return [];
    const values = new Map(fields.map((field, i) => [field, args[i]]));
    return [{ line: seq, name: symbol.slice(PREFIX.length), fields: values }];
  });
}
