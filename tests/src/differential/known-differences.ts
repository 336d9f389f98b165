/** Where the two controllers differ on purpose, each with the section that decides it. docs/differential.md shows this table. */
import {
  COMPARE_FAILURE,
  INVALID_FIELD,
  is,
  isAdmin,
  isIo,
  type KnownDifference,
  SGL_ERRORS,
  SUCCESS,
  statusOf,
  TRANSFER_ERROR,
  type Where,
} from './difference.js';
import type { Failures } from './failures.js';
import { METADATA_DIFFERENCES } from './metadata-differences.js';
import { differsIn, differsOnlyIn, field, type SentData } from './sent-data.js';
import { dword, opcodeOf, type Step } from './step.js';

interface Descriptor {
  readonly address: number;
  readonly length: number;
  readonly type: number;
}
/** The descriptors of the SGL segment that a command leads to, where memory may hold anything. [NVMe] 4.3.2. */
function segmentOf({ sqe, pointers }: Step, memory: Uint8Array): readonly Descriptor[] {
  if ((sqe[1] as number) >> 6 === 0 || (sqe[39] as number) < 0x20) return [];
  const start = pointers.find(([at]) => at === 24)?.[1].target ?? 0;
  const end = Math.min(start + new DataView(sqe.buffer, sqe.byteOffset).getUint32(32, true), memory.length);
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const found: Descriptor[] = [];
  for (let at = start; at + 16 <= end; at += 16) {
    const address = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
    found.push({ address, length: view.getUint32(at + 8, true), type: view.getUint8(at + 15) });
  }
  return found;
}
/** Whether a pointer or descriptor of it leads to where no memory is. */
const leadsNowhere = (step: Step, { memory, medium }: Where): boolean =>
  [...step.pointers, ...step.entries].some(([, { isAbsolute }]) => isAbsolute === true) ||
  segmentOf(step, memory).some(({ address, length }) => length > 0 && address + length > RAM_BYTES) ||
  takesDataForList(step) ||
  (step.queue !== 0 && medium.metadataBytes !== 0 && metadataLeadsNowhere(step));
/** Outside the arena there may be anything where a descriptor of the metadata is looked for. */
const metadataLeadsNowhere = (step: Step): boolean =>
  metadataAddress(step) + MOST_METADATA > RAM_BYTES ||
  ((step.sqe[1] as number) >> 6 === 2 && metadataAddress(step) !== 0);
/** Of the metadata pointer, if a command has one that the stream did not place. */
const metadataAddress = (step: Step): number =>
  step.pointers.some(([at]) => at === 16) ? 0 : dword(step, 5) * 2 ** 32 + dword(step, 4);
const MOST_METADATA = 8192;
const RAM_BYTES = 16 << 20;
/** Whether it may have grown so long that its second data page is read as a PRP list: what lies there are no addresses. */
const takesDataForList = ({ list, pointers, changed }: Step): boolean =>
  list < 0 && pointers.some(([at]) => at === 32) && changed.some((what) => GROWING.has(what));
const GROWING: ReadonlySet<string> = new Set(['opcode', 'PRP1', 'dword 10', 'dword 12']);
/** Whether an SGL descriptor has a sub type, or is neither a data block nor a segment. */
const hasOddDescriptor = (step: Step, { memory }: Where): boolean =>
  [
    step.sqe[39] as number,
    metadataDescriptorType(step, memory),
    ...segmentOf(step, memory).map(({ type }) => type),
  ].some((type) => !DESCRIPTOR_TYPES.has(type));
/** Of the descriptor that the metadata pointer leads to; 0: it leads to none. */
function metadataDescriptorType({ sqe, pointers }: Step, memory: Uint8Array): number {
  const at = (sqe[1] as number) >> 6 === 2 ? pointers.find(([offset]) => offset === 16)?.[1].target : undefined;
  return at === undefined ? 0 : (memory[at + 15] as number);
}
const DESCRIPTOR_TYPES: ReadonlySet<number> = new Set([0x00, 0x20, 0x30]);
/** What may be wrong with the ranges of a Copy, with their PRINFO fields, or with what is read from them. */
const COPY_ERRORS: ReadonlySet<string> = new Set(['0/02', '0/80', '1/81', '1/83', '2/82', '2/83', '2/84', '2/87']);
/** What metadata, or their descriptor, that were read as zeroes may be found to be. */
const METADATA_OF_ZEROES: ReadonlySet<string> = new Set([
  '0/0d',
  '0/10',
  '1/81',
  '2/80',
  '2/81',
  '2/82',
  '2/83',
  '2/84',
]);
const LID = 0xff;
const isLog = (step: Step, lid: number): boolean => isAdmin(step, 2) && (dword(step, 10) & LID) === lid;
/** Bits of a combination of command sets. */
const ONLY_NVM = 1;
const NVM_AND_ZONED = 5;

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

/** A number as 16 bytes. */
function number(value: number): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Whether ours has these bytes from `start` of the structure, as far as it was sent. */
function has(data: SentData, start: number, expected: Uint8Array): boolean {
  const { from, ours } = field(data, start, start + expected.length);
  return ours.every((byte, i) => byte === expected[from - start + i]);
}

/** The first that matches counts: what is about one command stands before what is about all. */
export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: 'dataset-hints',
    what: 'Dataset Management that deallocates nothing: QEMU does not look at the ranges, ours reads and checks them.',
    spec: '[NVM] 3.3.3',
    why: 'Either is allowed: hints may be ignored, a bad pointer may be reported.',
    matches: (step, ours, theirs) =>
      isIo(step, 9) && (dword(step, 11) & 4) === 0 && !is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
  {
    id: 'no-memory-there',
    what: 'QEMU completes a command with success whose data lie where no memory is, or, with metadata, lets the host retry; ours gives Data Transfer Error.',
    spec: '[NVMe] 4.2.3.1 (Data Transfer Error)',
    why: 'The data were not transferred, and are not the next time. QEMU reads zeroes there and drops writes.',
    matches: (step, ours, theirs, where) =>
      is(ours, TRANSFER_ERROR) &&
      ([SUCCESS, TRANSFER_ERROR, COMPARE_FAILURE].includes(statusOf(theirs)) ||
        METADATA_OF_ZEROES.has(statusOf(theirs)) ||
        (isIo(step, 0x19) && is(theirs, '0/06'))) &&
      leadsNowhere(step, where),
  },
  {
    id: 'reserved-select',
    what: 'Get Features with a reserved Select value: QEMU takes it for the current value, ours refuses it.',
    spec: '[NVMe] 5.1.11 figure Select, 1.4.1 (reserved)',
    why: 'A reserved coded value is an error: Invalid Field.',
    matches: (step, ours) =>
      opcodeOf(step) === 0x0a && step.queue === 0 && ((dword(step, 10) >>> 8) & 7) > 3 && is(ours, INVALID_FIELD),
  },
  {
    id: 'misaligned-prp1',
    what: 'PRP1 that is not a multiple of 4: ours gives PRP Offset Invalid, QEMU transfers to that byte.',
    spec: '[NVMe] 4.3.1: the controller is not required to check bits 1:0',
    why: 'Either is allowed; a driver under test learns more from the error.',
    matches: (step, ours) => is(ours, '0/13') && ((step.pointers[0]?.[1].target ?? 0) & 3) !== 0,
  },
  {
    id: 'copy-error',
    what: 'Copy that is refused: QEMU gives Internal Error and may have copied some ranges; ours says why and copies nothing.',
    spec: '[NVM] 3.3.2 (LBA Out of Range, Command Size Limit Exceeded), 5 (checks of protection information), 4.1.3.2 (deallocated blocks)',
    why: 'The specification names the status.',
    matches: (step, ours, theirs) => isIo(step, 0x19) && is(theirs, '0/06') && COPY_ERRORS.has(statusOf(ours)),
  },
  {
    id: 'sgl-subtype',
    what: 'SGL descriptors with a sub type or of a type that Identify does not offer: QEMU takes the type alone and bit buckets, ours refuses both.',
    spec: '[NVMe] 4.3.2, 4.2.3.1 (SGL Descriptor Type Invalid), 5.1.13.2.1 SGLS',
    why: 'SGLS offers data blocks and segments only.',
    matches: (step, ours, _theirs, where) =>
      (step.sqe[1] as number) >> 6 !== 0 && SGL_ERRORS.has(statusOf(ours)) && hasOddDescriptor(step, where),
  },
  {
    id: 'command-sets',
    what: 'The list of I/O command set combinations: QEMU has NVM and Zoned, ours has NVM.',
    spec: '[NVMe] 5.1.13.2.19',
    why: 'Each says what it has.',
    bytes: (step) => (isAdmin(step, 6) && (dword(step, 10) & 0xff) === 0x1c ? [[0, 1]] : []),
    holds: ({ ours, theirs }) => ours[0] === ONLY_NVM && theirs[0] === NVM_AND_ZONED,
  },
  {
    id: 'smart-nsid-0',
    what: 'SMART log with namespace identifier 0: QEMU gives Invalid Namespace, ours the controller’s log.',
    spec: '[NVMe] 5.1.12 (log pages of the controller: 0h or FFFFFFFFh)',
    why: 'A log page of the controller’s scope takes both values.',
    matches: (step, ours, theirs) => isLog(step, 2) && dword(step, 1) === 0 && !is(ours, '0/0b') && is(theirs, '0/0b'),
  },
  {
    id: 'smart-counters',
    what: 'Counters of the SMART log: QEMU counts what its block layer does, ours the commands that the specification names.',
    spec: '[NVM] 1.4.2 (SMART Host Read Command, User Data Out Command)',
    why: 'A Copy is one command however many ranges it has, and a failed command was completed too.',
    bytes: (step) => (isLog(step, 2) ? [[32, 96]] : []),
  },
  {
    id: 'default-data',
    what: 'The default of a feature whose value is a data structure: ours transfers it, QEMU only completes.',
    spec: '[NVMe] 5.1.11, 5.1.25 (attributes in a data structure)',
    why: 'The value is in the data.',
    bytes: (step) =>
      isAdmin(step, 0x0a) && [1, 2].includes((dword(step, 10) >>> 8) & 7) ? [[0, Number.POSITIVE_INFINITY]] : [],
    holds: ({ ours }) => isZero(ours),
  },
  {
    id: 'never-completes',
    what: 'A transfer to where no memory is, of several pages: QEMU waits for ever; ours refuses the pointer or the transfer.',
    spec: '[NVMe] 4.3.1, 4.2.3.1',
    why: 'A command completes.',
    matches: (step, ours, theirs, where) =>
      theirs === 'pending' && leadsNowhere(step, where) && (is(ours, '0/13') || is(ours, TRANSFER_ERROR)),
  },
  {
    id: 'effects-csi',
    what: 'The effects log of a command set that does not exist: QEMU gives the admin part, ours Invalid Field.',
    spec: '[NVMe] 5.1.12.1.6',
    why: 'The command set is not supported.',
    matches: (step, ours, theirs) =>
      isLog(step, 5) && dword(step, 14) >>> 24 !== 0 && is(ours, INVALID_FIELD) && !is(theirs, INVALID_FIELD),
  },
  {
    id: 'flush-fused',
    what: 'Flush as a part of a fused operation: QEMU flushes, ours refuses as for every command.',
    spec: '[NVMe] 3.4.2, 5.1.13.2.1 FUSES',
    why: 'Fused operations are not supported.',
    matches: (step, ours, theirs) =>
      isIo(step, 0) && ((step.sqe[1] as number) & 3) !== 0 && is(ours, INVALID_FIELD) && is(theirs, SUCCESS),
  },
  {
    id: 'identify-command-set',
    what: 'Identify for a command set that ours does not have: QEMU gives Zoned, or zeroes for one it does not have either.',
    spec: '[NVMe] 5.1.13.1 (Command Set Identifier)',
    why: 'The command set is not supported: Invalid Field.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 6) && dword(step, 11) >>> 24 !== 0 && is(ours, INVALID_FIELD) && !is(theirs, INVALID_FIELD),
  },
  {
    id: 'misaligned-list',
    what: 'PRP2 that points to a list and is not a multiple of 8: ours gives PRP Offset Invalid, QEMU reads a list there.',
    spec: '[NVMe] 4.3.1 (the offset of a PRP list pointer is qword aligned)',
    why: 'The pointer is invalid.',
    matches: (step, ours) => is(ours, '0/13') && ((step.pointers.find(([at]) => at === 32)?.[1].target ?? 0) & 7) !== 0,
  },
  {
    id: 'psdt-3-retry',
    what: 'Data pointer type 3 (reserved) in Copy and Dataset Management: QEMU lets the host retry, or does not look.',
    spec: '[NVMe] 4.1.1 figure PSDT, 4.2.3 (Do Not Retry)',
    why: 'The same command fails again.',
    matches: (step, ours, theirs) =>
      (step.sqe[1] as number) >> 6 === 3 && is(ours, '0/02 DNR') && (is(theirs, '0/02 dw0') || isIo(step, 9)),
  },
  {
    id: 'log-length',
    what: 'Get Log Page of 16 GiB and more: QEMU counts bytes in 32 bits and sends a little, ours refuses more than MDTS.',
    spec: '[NVMe] 5.1.12 (NUMDU), 5.1.13.2.1 MDTS',
    why: 'What is asked for is beyond MDTS.',
    matches: (step, ours) => isAdmin(step, 2) && (dword(step, 11) & 0xffff) >= 0x4000 && is(ours, INVALID_FIELD),
  },
  {
    id: 'abort-event-request',
    what: 'Abort of an outstanding Asynchronous Event Request: ours ends it, QEMU aborts nothing.',
    spec: '[NVMe] 5.1.1, 5.1.2',
    why: 'Either is allowed: an abort is best effort.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 8) && ours.includes('event 0 status 7') && theirs.startsWith('0/00 dw0 1'),
  },
  {
    id: 'reserved-threshold',
    what: 'The default of a temperature threshold of a reserved type: QEMU has one, ours refuses it as it refuses the current one.',
    spec: '[NVMe] 5.1.25.1.3 figure THSEL',
    why: 'A reserved coded value is an error.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 0x0a) && (dword(step, 10) & 0xff) === 4 && is(ours, INVALID_FIELD) && is(theirs, SUCCESS),
  },
  {
    id: 'changed-namespaces',
    what: 'Format NVM to another block size: ours reports that the namespace changed, QEMU does not.',
    spec: '[NVMe] 5.1.12.1.5, 5.1.2.1 (Namespace Attribute Changed)',
    why: 'Identify Namespace reads differently afterwards.',
    matches: (step, ours, theirs) =>
      (isAdmin(step, 0x80) && ours.endsWith(', event 40002 status 0')) ||
      (isAdmin(step, 0xc) && is(ours, '0/00 dw0 40002 ') && theirs === 'pending'),
    bytes: (step) => (isLog(step, 4) ? [[0, 4]] : []),
    holds: (data) => has(data, 0, number(1)) && isZero(data.theirs),
  },
  {
    id: 'copy-length',
    what: 'Copy of more blocks in all than MCL: ours refuses it, QEMU copies.',
    spec: '[NVM] 3.3.2, 4.1.5.1 MCL',
    why: 'Command Size Limit Exceeded.',
    matches: (step, ours, theirs) => isIo(step, 0x19) && is(ours, '1/83') && is(theirs, SUCCESS),
  },
  {
    id: 'error-log',
    what: 'The error information log: QEMU keeps no errors, ours does.',
    spec: '[NVMe] 5.1.12.1.2',
    why: 'The log is mandatory; a host reads there what failed.',
    bytes: (step) => (isLog(step, 1) ? [[0, 64]] : []),
    holds: (data, { entry }) => isZero(data.theirs) && has(data, 0, entry),
  },
  {
    id: 'error-count',
    what: 'The number of error log entries in the SMART log: QEMU has none, ours counts the commands that failed.',
    spec: '[NVMe] 5.1.12.1.3 (Number of Error Information Log Entries)',
    why: 'As error-log.',
    bytes: (step) => (isLog(step, 2) ? [[176, 192]] : []),
    holds: (data, { count }) => isZero(field(data, 176, 192).theirs) && has(data, 176, number(count)),
  },
  ...METADATA_DIFFERENCES,
];

/** The entry that explains answers that differ, by its id; none: nobody knows. */
export function explain(step: Step, ours: string, theirs: string, where: Where): readonly string[] {
  const known = KNOWN_DIFFERENCES.find((one) => one.matches?.(step, ours, theirs, where) === true);
  return known === undefined ? [] : [known.id];
}

/** The entries that together explain every byte that differs, by their ids; none: nobody knows. */
export function explainData(step: Step, data: SentData, failures: Failures): readonly string[] {
  const concerned = KNOWN_DIFFERENCES.filter((one) => {
    const ranges = one.bytes?.(step) ?? [];
    return ranges.some(([start, end]) => differsIn(field(data, start, end)));
  });
  const ranges = concerned.flatMap((one) => one.bytes?.(step) ?? []);
  const isAll = differsOnlyIn(data, ranges) && concerned.every((one) => one.holds?.(data, failures) !== false);
  return isAll ? concerned.map(({ id }) => id) : [];
}
