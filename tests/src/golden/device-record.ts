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

/** Records of our entries; register accesses are the controller's own events, or the board's when it has none. */
export function ourRecords(entries: readonly TraceEntry[]): DeviceRecord[] {
  const hasOwnMmio = entries.some((entry) => entry.symbol === 'pci_nvme_mmio_read');
  return entries.flatMap(({ seq, kind, symbol, fields, args }) => {
    const isOwn = symbol.startsWith(PREFIX);
    const isBoards = !hasOwnMmio && kind === 'mmio' && (symbol === 'mmio_read' || symbol === 'mmio_write');
    if (kind === 'function' || !(isOwn || isBoards)) return [];
    const name = isOwn ? symbol.slice(PREFIX.length) : symbol;
    return [{ line: seq, name, fields: new Map(fields.map((field, i) => [field, args[i]])) }];
  });
}
