// The fault plan as plain data: what a rule may say, kind by kind, field by field. This table is the one source of the
// check, of the JSON Schema and of the list in docs/faults.md.
// Kernel counterpart: none (Linux has lib/fault-inject.c on the host's side). Spec: [NVMe] 2.0 §3.1.4, §4.2, §5.2.
import { NvmeAdminOpcode, NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';

/** What happens in the controller that a rule can be tied to. */
export type FaultTrigger =
  | 'command'
  | 'doorbell'
  | 'register'
  | 'interrupt'
  | 'enable'
  | 'disable'
  | 'shutdown'
  | 'time';

/** What a rule does; FAULT_KINDS says it in words. */
export type FaultKind =
  | 'hang'
  | 'drop-completion'
  | 'delay'
  | 'status'
  | 'media-error'
  | 'completion'
  | 'duplicate'
  | 'corrupt'
  | 'transfer-error'
  | 'doorbell-ignored'
  | 'register'
  | 'interrupt-lost'
  | 'interrupt-late'
  | 'interrupt-misdirected'
  | 'not-ready'
  | 'fatal'
  | 'gone'
  | 'event'
  | 'spurious-interrupt';

/** Registers a rule can name; 64-bit registers in halves. */
export const FAULT_REGISTERS = {
  CAP: 0x00,
  CAP_HI: 0x04,
  VS: 0x08,
  INTMS: 0x0c,
  INTMC: 0x10,
  CC: 0x14,
  CSTS: 0x1c,
  NSSR: 0x20,
  AQA: 0x24,
  ASQ: 0x28,
  ASQ_HI: 0x2c,
  ACQ: 0x30,
  ACQ_HI: 0x34,
  CMBLOC: 0x38,
  CMBSZ: 0x3c,
} as const;

/** One rule: what is matched, which matches count, and what is done. Plain JSON; absent fields match everything. */
export interface FaultRule {
  readonly kind: FaultKind;
  /** What the rule is tied to; each kind has a default. */
  readonly on?: FaultTrigger;

  // Which commands, doorbells, interrupts or registers.
  readonly queue?: 'admin' | 'io';
  readonly qid?: number;
  /** A command by its name; implies the queue. */
  readonly command?: string;
  readonly opcode?: number;
  readonly nsid?: number;
  /** Commands whose range of logical blocks touches firstLba..lastLba. */
  readonly firstLba?: number;
  readonly lastLba?: number;
  /** Feature identifier of Get and Set Features. */
  readonly fid?: number;
  /** Log page identifier of Get Log Page. */
  readonly lid?: number;
  /** CNS of Identify. */
  readonly cns?: number;
  readonly side?: 'sq' | 'cq';
  readonly vector?: number;
  readonly register?: keyof typeof FAULT_REGISTERS;
  readonly access?: 'read' | 'write';
  /** Virtual nanoseconds from when the rule is put in force; then again every so many. */
  readonly afterNs?: number;
  readonly everyNs?: number;

  // Which matches.
  /** Only from the nth match on, 1-based; alone it means that match only. */
  readonly nth?: number;
  /** At most so many times. */
  readonly times?: number;
  /** In so many of these, above 0 and up to 1; drawn from the plan's seed. */
  readonly probability?: number;

  // What is done.
  readonly delayNs?: number;
  /** 15-bit status field: SC, SCT << 8, CRD << 11, More 0x2000, DNR 0x4000. */
  readonly status?: number;
  readonly dnr?: boolean;
  readonly dw0?: number;
  readonly cid?: number;
  readonly cidXor?: number;
  readonly sqid?: number;
  readonly sqhd?: number;
  readonly invertPhase?: boolean;
  readonly count?: number;
  readonly offsetBytes?: number;
  readonly lengthBytes?: number;
  readonly xor?: number;
  readonly replace?: readonly number[];
  readonly afterBytes?: number;
  readonly value?: number;
  readonly clear?: number;
  readonly set?: number;
  readonly toVector?: number;
  readonly type?: number;
  readonly info?: number;
  readonly logPage?: number;
  readonly forNs?: number;
}

/** A fault plan: rules in order, and the seed of their probabilities. */
export interface FaultPlanDescription {
  /** 0..2^32 - 1; 1 unless told. */
  readonly seed?: number;
  readonly faults: readonly FaultRule[];
}

/** What a field may hold. */
export type FieldCheck =
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum: number; readonly description: string }
  | { readonly type: 'number'; readonly minimum: number; readonly maximum: number; readonly description: string }
  | { readonly type: 'boolean'; readonly description: string }
  | { readonly enum: readonly string[]; readonly description: string }
  | { readonly type: 'bytes'; readonly description: string };

const U8 = 0xff;
const U16 = 0xffff;
const U32 = 0xffffffff;
const MAX = Number.MAX_SAFE_INTEGER;

const integer = (minimum: number, maximum: number, description: string): FieldCheck => ({
  type: 'integer',
  minimum,
  maximum,
  description,
});

/** A command's queue and opcode. */
interface FaultCommand {
  readonly admin: boolean;
  readonly opcode: number;
}

const commands = (table: Readonly<Record<string, number>>, admin: boolean): [string, FaultCommand][] =>
  Object.entries(table).map(([name, opcode]) => [name, { admin, opcode }]);

/** Names a rule's `command` may have, with queue and opcode. */
export const FAULT_COMMANDS: ReadonlyMap<string, FaultCommand> = new Map([
  ...commands(NvmeAdminOpcode, true),
  ...commands(NvmeNvmOpcode, false),
]);

/** Every field of a rule but `kind` and `on`. */
export const FAULT_FIELDS = {
  queue: { enum: ['admin', 'io'], description: 'The admin queue, or any I/O queue.' },
  qid: integer(0, U16, 'Queue identifier; 0 is the admin queue.'),
  command: { enum: [...FAULT_COMMANDS.keys()], description: 'A command by its name; implies the queue.' },
  opcode: integer(0, U8, 'Opcode.'),
  nsid: integer(0, U32, 'Namespace identifier of the command.'),
  firstLba: integer(0, MAX, 'Commands whose logical blocks touch the range from here ...'),
  lastLba: integer(0, MAX, '... to here.'),
  fid: integer(0, U8, 'Feature identifier of Get Features and Set Features.'),
  lid: integer(0, U8, 'Log page identifier of Get Log Page.'),
  cns: integer(0, U8, 'CNS of Identify.'),
  side: { enum: ['sq', 'cq'], description: 'Tail doorbells or head doorbells.' },
  vector: integer(0, 2047, 'Interrupt vector.'),
  register: { enum: Object.keys(FAULT_REGISTERS), description: 'Register; of 64-bit ones the half.' },
  access: { enum: ['read', 'write'], description: 'Kind of register access; read unless told.' },
  afterNs: integer(0, MAX, 'Virtual nanoseconds after the rule is put in force.'),
  everyNs: integer(1, MAX, 'Again every so many virtual nanoseconds.'),
  nth: integer(1, MAX, 'From the nth match on, 1-based; without `times` that match only.'),
  times: integer(1, MAX, 'At most so many times.'),
  probability: { type: 'number', minimum: 0, maximum: 1, description: 'In so many of the matches, drawn from `seed`.' },
  delayNs: integer(0, MAX, 'Virtual nanoseconds later.'),
  status: integer(0, 0x7fff, 'Status field of the completion: SC, SCT << 8, CRD << 11, More 0x2000, DNR 0x4000.'),
  dnr: { type: 'boolean', description: 'Do Not Retry.' },
  dw0: integer(0, U32, 'Dword 0 of the completion.'),
  cid: integer(0, U16, 'Command identifier in the completion.'),
  cidXor: integer(0, U16, 'Bits of the command identifier to invert.'),
  sqid: integer(0, U16, 'Submission queue identifier in the completion.'),
  sqhd: integer(0, U16, 'Submission queue head in the completion.'),
  invertPhase: { type: 'boolean', description: 'The phase tag of the previous pass.' },
  count: integer(1, 4096, 'How many.'),
  offsetBytes: integer(0, MAX, "First byte altered within the command's data."),
  lengthBytes: integer(1, MAX, 'Bytes altered; 1 unless told.'),
  xor: integer(1, U8, 'Exclusive-ored onto each byte; 0xff unless told.'),
  replace: { type: 'bytes', description: 'Bytes that take the place of the data from offsetBytes on.' },
  afterBytes: integer(0, MAX, 'Bytes that move before the transfer fails.'),
  value: integer(0, U32, 'What is read or written instead.'),
  clear: integer(0, U32, 'Bits cleared, after `value`.'),
  set: integer(0, U32, 'Bits set, after `clear`.'),
  toVector: integer(0, 2047, 'The vector that is signalled.'),
  type: integer(0, 7, 'Asynchronous event type.'),
  info: integer(0, U8, 'Asynchronous event information.'),
  logPage: integer(0, U8, 'Log page of the asynchronous event.'),
  forNs: integer(1, MAX, 'Virtual nanoseconds until it is back, as after power-on; for good unless told.'),
} as const satisfies Record<string, FieldCheck>;

export type FaultField = keyof typeof FAULT_FIELDS;

/** Fields that say which of a trigger's happenings match. */
export const TRIGGER_FIELDS: Readonly<Record<FaultTrigger, readonly FaultField[]>> = {
  command: ['queue', 'qid', 'command', 'opcode', 'nsid', 'firstLba', 'lastLba', 'fid', 'lid', 'cns'],
  doorbell: ['queue', 'qid', 'side'],
  register: ['register', 'access'],
  interrupt: ['queue', 'qid', 'vector'],
  enable: [],
  disable: [],
  shutdown: [],
  time: ['afterNs', 'everyNs'],
};

/** Fields that say which of the matches. */
export const COUNT_FIELDS: readonly FaultField[] = ['nth', 'times', 'probability'];

/** A kind of fault: its triggers, the default first, and its own fields. */
export interface FaultKindShape {
  readonly on: readonly FaultTrigger[];
  readonly needs: readonly FaultField[];
  readonly may: readonly FaultField[];
  readonly description: string;
}

const ANY: readonly FaultTrigger[] = [
  'command',
  'time',
  'register',
  'doorbell',
  'interrupt',
  'enable',
  'disable',
  'shutdown',
];
const AT_TIME: readonly FaultTrigger[] = ['time', ...ANY.filter((trigger) => trigger !== 'time')];

/** Every kind there is. */
export const FAULT_KINDS: Readonly<Record<FaultKind, FaultKindShape>> = {
  hang: {
    on: ['command'],
    needs: [],
    may: [],
    description: 'The command is fetched, never executed, never completed.',
  },
  'drop-completion': {
    on: ['command'],
    needs: [],
    may: [],
    description: 'The command is executed; its completion entry is never posted.',
  },
  delay: { on: ['command'], needs: ['delayNs'], may: [], description: 'The command is executed later.' },
  status: {
    on: ['command'],
    needs: ['status'],
    may: [],
    description: 'The command ends with `status` and is not executed; 0 claims a success that never was.',
  },
  'media-error': {
    on: ['command'],
    needs: [],
    may: ['dnr'],
    description: 'The medium fails an I/O command: Unrecovered Read Error, of writes Write Fault; counted in SMART.',
  },
  completion: {
    on: ['command'],
    needs: [],
    may: ['status', 'dw0', 'cid', 'cidXor', 'sqid', 'sqhd', 'invertPhase'],
    description: 'The command is executed; its completion entry says something else.',
  },
  duplicate: {
    on: ['command'],
    needs: [],
    may: ['count'],
    description: 'The completion entry is posted `count` times more; once unless told.',
  },
  corrupt: {
    on: ['command'],
    needs: [],
    may: ['offsetBytes', 'lengthBytes', 'xor', 'replace'],
    description: "The command's data are altered on their way; the medium of a read stays as it is.",
  },
  'transfer-error': {
    on: ['command'],
    needs: [],
    may: ['afterBytes'],
    description: "The host memory of the command's data pointer fails: Data Transfer Error.",
  },
  'doorbell-ignored': { on: ['doorbell'], needs: [], may: [], description: 'The doorbell write has no effect.' },
  register: {
    on: ['register'],
    needs: ['register'],
    may: ['value', 'clear', 'set'],
    description: 'What is read from or written to a register is altered.',
  },
  'interrupt-lost': { on: ['interrupt'], needs: [], may: [], description: 'Entries are posted without an interrupt.' },
  'interrupt-late': { on: ['interrupt'], needs: ['delayNs'], may: [], description: 'The interrupt comes later.' },
  'interrupt-misdirected': {
    on: ['interrupt'],
    needs: ['toVector'],
    may: [],
    description: 'The interrupt comes by another vector.',
  },
  'not-ready': {
    on: ['enable', 'disable', 'shutdown'],
    needs: [],
    may: ['delayNs'],
    description: 'CSTS follows CC `delayNs` later than it would; without `delayNs`, never.',
  },
  fatal: { on: ANY, needs: [], may: [], description: 'The controller fails: CSTS.CFS, and no command runs any more.' },
  gone: {
    on: ANY,
    needs: [],
    may: ['forNs'],
    description: 'The function no longer answers: every read gives all ones, nothing is written, no DMA, no interrupt.',
  },
  event: {
    on: AT_TIME,
    needs: ['type'],
    may: ['info', 'logPage'],
    description: 'An asynchronous event, whether or not it is enabled.',
  },
  'spurious-interrupt': {
    on: AT_TIME,
    needs: [],
    may: ['toVector', 'count'],
    description: 'Interrupts without a cause, by `toVector`; by vector 0 unless told.',
  },
};

/** Fields a rule of this kind and trigger may have besides `kind` and `on`. */
export function fieldsOf(kind: FaultKind, trigger: FaultTrigger): FaultField[] {
  const { needs, may } = FAULT_KINDS[kind];
  return [...new Set([...TRIGGER_FIELDS[trigger], ...COUNT_FIELDS, ...needs, ...may])];
}
