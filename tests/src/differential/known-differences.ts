/** Where the two controllers differ on purpose, each with the section that decides it. docs/differential.md shows this table. */
import { dword, opcodeOf, type Step } from './step.js';

export interface KnownDifference {
  readonly id: string;
  /** What differs, in a sentence. */
  readonly what: string;
  /** The section of the specification that decides. */
  readonly spec: string;
  /** Who is right, and why it stays. */
  readonly why: string;
  matches(step: Step, ours: string, theirs: string): boolean;
}

/** Status as `type/code`. */
const is = (text: string, status: string): boolean => text.startsWith(status);
const SUCCESS = '0/00';
const INVALID_FIELD = '0/02';
const TRANSFER_ERROR = '0/04';

const statusOf = (text: string): string => text.slice(0, 4);
const isIo = (step: Step, opcode: number): boolean => step.queue !== 0 && opcodeOf(step) === opcode;
const isAdmin = (step: Step, opcode: number): boolean => step.queue === 0 && opcodeOf(step) === opcode;
/** Statuses that say what is wrong with an SGL. */
const SGL_ERRORS: ReadonlySet<string> = new Set(['0/0d', '0/0e', '0/0f', '0/11']);
const LID = 0xff;

export const KNOWN_DIFFERENCES: readonly KnownDifference[] = [
  {
    id: 'no-memory-there',
    what: 'QEMU completes a command with success whose data lie where no memory is; ours gives Data Transfer Error.',
    spec: '[NVMe] 4.6.1 (Data Transfer Error)',
    why: 'The data were not transferred. QEMU reads zeroes there and drops writes.',
    matches: (_step, ours) => is(ours, TRANSFER_ERROR),
  },
  {
    id: 'reserved-select',
    what: 'Get Features with a reserved Select value: QEMU takes it for the current value, ours refuses it.',
    spec: '[NVMe] 5.1.11 figure Select, 1.8 (reserved coded values)',
    why: 'A reserved coded value is an error: Invalid Field.',
    matches: (step, ours) =>
      opcodeOf(step) === 0x0a && step.queue === 0 && ((dword(step, 10) >>> 8) & 7) > 3 && is(ours, INVALID_FIELD),
  },
  {
    id: 'misaligned-prp1',
    what: 'PRP1 that is not a multiple of 4: ours gives PRP Offset Invalid, QEMU transfers to that byte.',
    spec: '[NVMe] 4.1.1: the controller is not required to check bits 1:0',
    why: 'Either is allowed; a driver under test learns more from the error.',
    matches: (step, ours) => is(ours, '0/13') && ((step.pointers[0]?.[1].target ?? 0) & 3) !== 0,
  },
  {
    id: 'copy-error',
    what: 'Copy that is refused: QEMU gives Internal Error and may have copied some ranges; ours says why and copies nothing.',
    spec: '[NVM] 3.2.2 (LBA Out of Range, Command Size Limit Exceeded)',
    why: 'The specification names the status.',
    matches: (step, ours, theirs) => isIo(step, 0x19) && is(theirs, '0/06') && !is(ours, SUCCESS),
  },
  {
    id: 'sgl-subtype',
    what: 'SGL descriptors with a sub type or of a type that Identify does not offer: QEMU takes the type alone and bit buckets, ours refuses both.',
    spec: '[NVMe] 4.1.2 (SGL Descriptor Type Invalid), 5.1.13.2.1 SGLS',
    why: 'SGLS offers data blocks and segments only.',
    matches: (step, ours) => (step.sqe[1] as number) >> 6 !== 0 && SGL_ERRORS.has(statusOf(ours)),
  },
  {
    id: 'command-sets',
    what: 'The list of I/O command set combinations: QEMU has NVM and Zoned, ours has NVM.',
    spec: '[NVMe] 5.1.13.2.18',
    why: 'Each says what it has.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 6) && (dword(step, 10) & 0xff) === 0x1c && is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
  {
    id: 'smart-nsid-0',
    what: 'SMART log with namespace identifier 0: QEMU gives Invalid Namespace, ours the controller’s log.',
    spec: '[NVMe] 5.1.12 (log pages of the controller: 0h or FFFFFFFFh)',
    why: 'A log page of the controller’s scope takes both values.',
    matches: (step, ours) =>
      isAdmin(step, 2) && (dword(step, 10) & LID) === 2 && dword(step, 1) === 0 && !is(ours, '0/0b'),
  },
  {
    id: 'smart-counters',
    what: 'Counters of the SMART log: QEMU counts what its block layer does, ours the commands that the specification names.',
    spec: '[NVM] 1.4.2.7 to 1.4.2.10',
    why: 'A Copy is one command however many ranges it has, and a failed command was completed too.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 2) && (dword(step, 10) & LID) === 2 && is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
  {
    id: 'default-data',
    what: 'The default of a feature whose value is a data structure: ours transfers it, QEMU only completes.',
    spec: '[NVMe] 5.1.11, 5.1.25 (attributes in a data structure)',
    why: 'The value is in the data.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 0x0a) &&
      ((dword(step, 10) >>> 8) & 7) !== 0 &&
      is(ours, SUCCESS) &&
      is(theirs, SUCCESS) &&
      ours.includes('byte'),
  },
  {
    id: 'never-completes',
    what: 'A transfer to where no memory is, of several pages: QEMU waits for ever; ours refuses the pointer or the transfer.',
    spec: '[NVMe] 4.1.1, 4.6.1',
    why: 'A command completes.',
    matches: (step, ours, theirs) =>
      theirs === 'pending' && step.pointers.length > 0 && (is(ours, '0/13') || is(ours, TRANSFER_ERROR)),
  },
  {
    id: 'effects-csi',
    what: 'The effects log of a command set that does not exist: QEMU gives the admin part, ours Invalid Field.',
    spec: '[NVMe] 5.1.12.1.6',
    why: 'The command set is not supported.',
    matches: (step, ours) =>
      isAdmin(step, 2) && (dword(step, 10) & LID) === 5 && dword(step, 14) >>> 24 !== 0 && is(ours, INVALID_FIELD),
  },
  {
    id: 'flush-fused',
    what: 'Flush as a part of a fused operation: QEMU flushes, ours refuses as for every command.',
    spec: '[NVMe] 3.4.2, 5.1.13.2.1 FUSES',
    why: 'Fused operations are not supported.',
    matches: (step, ours) => isIo(step, 0) && ((step.sqe[1] as number) & 3) !== 0 && is(ours, INVALID_FIELD),
  },
  {
    id: 'identify-command-set',
    what: 'Identify for a command set that ours does not have: QEMU gives Zoned, or zeroes for one it does not have either.',
    spec: '[NVMe] 5.1.13.1 (Command Set Identifier)',
    why: 'The command set is not supported: Invalid Field.',
    matches: (step, ours) => isAdmin(step, 6) && dword(step, 11) >>> 24 !== 0 && is(ours, INVALID_FIELD),
  },
  {
    id: 'metadata-formats',
    what: 'Format NVM with metadata or protection: QEMU formats, ours gives Invalid Format.',
    spec: '[NVM] 5.1, [NVMe] 5.1.10 (Invalid Format)',
    why: 'Metadata are not modelled; the formats are listed because the preset is equal to QEMU’s.',
    matches: (step, ours) => isAdmin(step, 0x80) && is(ours, '1/0a'),
  },
  {
    id: 'misaligned-list',
    what: 'PRP2 that points to a list and is not a multiple of 8: ours gives PRP Offset Invalid, QEMU reads a list there.',
    spec: '[NVMe] 4.1.1 (the offset of a PRP list pointer is qword aligned)',
    why: 'The pointer is invalid.',
    matches: (step, ours) => is(ours, '0/13') && ((step.pointers.find(([at]) => at === 32)?.[1].target ?? 0) & 7) !== 0,
  },
  {
    id: 'psdt-3-retry',
    what: 'Data pointer type 3 (reserved) in Copy and Dataset Management: QEMU lets the host retry, or does not look.',
    spec: '[NVMe] 3.3.3.1 figure PSDT, 4.2.3 (Do Not Retry)',
    why: 'The same command fails again.',
    matches: (step, ours, theirs) =>
      (step.sqe[1] as number) >> 6 === 3 && is(ours, '0/02 DNR') && (is(theirs, '0/02 dw0') || isIo(step, 9)),
  },
  {
    id: 'virtualization-management',
    what: 'Virtualization Management: ours refuses it, QEMU refuses it in other words or gives itself the nothing it has.',
    spec: '[NVMe] 5.2.6',
    why: 'Neither controller has a secondary one, and neither says in OACS that it has the command.',
    matches: (step, ours) => isAdmin(step, 0x1c) && !is(ours, SUCCESS),
  },
  {
    id: 'deallocated-error',
    what: 'With Error Recovery’s DULBE set, QEMU fails reads of deallocated blocks; ours reads zeroes.',
    spec: '[NVM] 4.1.3.2 (Deallocated or Unwritten Logical Block Error Enable)',
    why: 'QEMU is right; a medium here does not know which blocks are deallocated.',
    matches: (step, _ours, theirs) =>
      step.queue !== 0 && (is(theirs, '2/87') || (opcodeOf(step) === 0x19 && is(theirs, '0/06'))),
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
      (isAdmin(step, 2) && (dword(step, 10) & LID) === 4 && is(ours, SUCCESS) && is(theirs, SUCCESS)) ||
      (isAdmin(step, 0x80) && ours.includes('event')),
  },
  {
    id: 'copy-length',
    what: 'Copy of more blocks in all than MCL: ours refuses it, QEMU copies.',
    spec: '[NVM] 3.2.2, 4.1.5.1 MCL',
    why: 'Command Size Limit Exceeded.',
    matches: (step, ours, theirs) => isIo(step, 0x19) && is(ours, '1/83') && is(theirs, SUCCESS),
  },
  {
    id: 'error-recovery-bits',
    what: 'Error Recovery keeps every bit it was given on QEMU, and the time limit alone here.',
    spec: '[NVM] 4.1.3.2 (TLER, DULBE; the others are reserved)',
    why: 'Reserved bits read as 0; DULBE is not offered (see deallocated-error).',
    matches: (step, ours, theirs) =>
      (step.name === 'state: feature 5' || (isAdmin(step, 0x0a) && (dword(step, 10) & 0xff) === 5)) &&
      is(ours, SUCCESS) &&
      is(theirs, SUCCESS),
  },
  {
    id: 'timestamp',
    what: 'The timestamp goes on here; QEMU takes it from a clock that stands still while its CPU is parked.',
    spec: '[NVMe] 5.1.25.1.7',
    why: 'It is a clock.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 0x0a) && (dword(step, 10) & 0xff) === 0x0e && is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
  {
    id: 'format-without-metadata',
    what: 'Format NVM without metadata that says how metadata would lie: QEMU shows it in FLBAS and DPS, ours does not.',
    spec: '[NVM] 4.1.5.1 (FLBAS bit 4, DPS bit 3), [NVMe] 5.1.10',
    why: 'The bits have no meaning without metadata.',
    matches: (step, ours, theirs) =>
      isAdmin(step, 6) && [0, 0x11].includes(dword(step, 10) & 0xff) && is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
  {
    id: 'dataset-hints',
    what: 'Dataset Management that deallocates nothing: QEMU does not look at the ranges, ours reads and checks them.',
    spec: '[NVM] 3.2.3',
    why: 'Either is allowed: hints may be ignored, a bad pointer may be reported.',
    matches: (step, ours, theirs) =>
      isIo(step, 9) && (dword(step, 11) & 4) === 0 && !is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
  {
    id: 'error-log',
    what: 'The error information log: QEMU keeps no errors, ours does.',
    spec: '[NVMe] 5.1.12.1.2',
    why: 'The log is mandatory; a host reads there what failed.',
    matches: (step, ours, theirs) =>
      opcodeOf(step) === 2 && (dword(step, 10) & 0xff) === 1 && is(ours, SUCCESS) && is(theirs, SUCCESS),
  },
];

/** The entry that explains a difference; null: nobody knows. */
export function explain(step: Step, ours: string, theirs: string): KnownDifference | null {
  return KNOWN_DIFFERENCES.find((known) => known.matches(step, ours, theirs)) ?? null;
}
