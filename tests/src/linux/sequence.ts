/** What a driver did to its controller as short lines: registers in order, then commands in order. */
import type { SequenceItem } from '../golden/compare-sequences.js';
import type { DeviceRecord } from '../golden/device-record.js';
import { deviceRun } from '../golden/device-run.js';

const REGISTERS: Record<string, string> = {
  '0x00': 'CAP',
  '0x04': 'CAP+4',
  '0x08': 'VS',
  '0x0c': 'INTMS',
  '0x10': 'INTMC',
  '0x14': 'CC',
  '0x1c': 'CSTS',
  '0x20': 'NSSR',
  '0x24': 'AQA',
  '0x28': 'ASQ',
  '0x2c': 'ASQ+4',
  '0x30': 'ACQ',
  '0x34': 'ACQ+4',
  '0x38': 'CMBLOC',
  '0x3c': 'CMBSZ',
};
/** Fields whose values depend on memory or on how long something took. */
const LEFT_OUT = new Set(['bytes', 'result', 'length', 'offset', 'controller', 'CSI']);

/** `R CSTS`, `W CC=460001`: register accesses below the doorbells; a poll of CSTS is one read. */
export function registerLines(records: readonly DeviceRecord[]): string[] {
  return deviceRun(records).registers.map(({ what, fields }) => {
    const [, access, register] = /^(read|write) of register (0x[0-9a-f]+)$/.exec(what) as RegExpExecArray;
    const name = REGISTERS[register as string] ?? register;
    const value = fields.get('value');
    return `${access === 'read' ? 'R' : 'W'} ${name}${value === undefined ? '' : `=${value.toString(16)}`}`;
  });
}

/** `Identify CNS=1`: admin commands, event requests behind them. */
export function commandLines(records: readonly DeviceRecord[]): string[] {
  const { commands, eventRequests } = deviceRun(records);
  return [...commands.map(line), ...eventRequests.map(() => 'Asynchronous Event Request')];
}

/** `Read nsid=1 lba=0 blocks=8`: I/O commands. */
export function ioLines(records: readonly DeviceRecord[]): string[] {
  return deviceRun(records).ioCommands.map(line);
}

function line({ what, fields }: SequenceItem): string {
  const shown = [...fields].filter(([name, value]) => !LEFT_OUT.has(name) && !(name === 'status' && value === 0));
  const text = shown.map(([name, value]) => ` ${name}=${value.toString(16)}`).join('');
  return `${what.replace(/ \(0x[0-9a-f]+\)$/, '')}${text}`;
}

/** Commands whose namespace QEMU's trace tells. */
const TELLS_NSID = /^(Identify|Set Features|Get Features|Read|Write)\b/;

/** The lines of either controller's trace in one form: fields by name, namespaces where both tell them. */
export function alike(line: string): string {
  const [what, ...fields] = line.split(/ (?=[a-zA-Z ]+=)/);
  const kept = fields.filter((field) => field !== 'nsid=0' && (TELLS_NSID.test(line) || !field.startsWith('nsid=')));
  return [what, ...kept.sort()].join(' ');
}
