// One rule in force: does it match, and is it its turn. Counters and the random state are plain numbers.
// Kernel counterpart: none.
import { NvmeAdminOpcode, NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import { type CheckedFaultRule, commandOf } from './check.js';
import { FAULT_REGISTERS } from './rule.js';

const { getFeatures: GET_FEATURES, setFeatures: SET_FEATURES } = NvmeAdminOpcode;
const { getLogPage: GET_LOG_PAGE, identify: IDENTIFY } = NvmeAdminOpcode;
const { read: READ, write: WRITE, compare: COMPARE } = NvmeNvmOpcode;
const { writeZeroes: WRITE_ZEROES, writeUncor: WRITE_UNCOR, verify: VERIFY } = NvmeNvmOpcode;

/** I/O commands that name a range of logical blocks in dwords 10 to 12. */
const HAS_RANGE: ReadonlySet<number> = new Set([READ, WRITE, COMPARE, WRITE_ZEROES, WRITE_UNCOR, VERIFY]);

const UINT32 = 0x100000000;
/** Spreads neighbouring seeds (the golden ratio as a fraction of 2^32). */
const SPREAD = 0x9e3779b9;

/** The counters of a rule, as a snapshot keeps them. */
export interface FaultRuleCounters {
  matched: number;
  acted: number;
  random: number;
  /** When a timed rule is due, Infinity as null. */
  dueNs: number | null;
}

/** A rule and how far it is. */
export class FaultRuleState {
  readonly rule: CheckedFaultRule;
  readonly index: number;
  matched: number;
  acted: number;
  /** When a timed rule acts next. */
  dueNs: number;
  private random: number;
  private readonly isAdmin: boolean | null;
  private readonly opcode: number | null;
  private readonly skip: number;
  private readonly limit: number;

  constructor(rule: CheckedFaultRule, index: number, seed: number) {
    this.rule = rule;
    this.index = index;
    this.matched = 0;
    this.acted = 0;
    this.dueNs = Number.POSITIVE_INFINITY;
    this.random = (Math.imul(seed ^ (index + 1), SPREAD) ^ seed) >>> 0 || SPREAD;
    const command = commandOf(rule);
    this.isAdmin = command?.admin ?? (rule.queue === undefined ? null : rule.queue === 'admin');
    this.opcode = command?.opcode ?? rule.opcode ?? null;
    this.skip = (rule.nth ?? 1) - 1;
    this.limit = rule.times ?? (rule.nth === undefined ? Number.POSITIVE_INFINITY : 1);
  }

  matchesCommand(sqid: number, opcode: number, nsid: number, slba: number, blocks: number, cdw10: number): boolean {
    const { rule } = this;
    if (!this.matchesQueue(sqid) || (rule.kind === 'media-error' && sqid === 0)) return false;
    if (this.opcode !== null && this.opcode !== opcode) return false;
    if (rule.nsid !== undefined && rule.nsid !== nsid) return false;
    if (rule.firstLba !== undefined || rule.lastLba !== undefined) {
      if (sqid === 0 || !HAS_RANGE.has(opcode)) return false;
      if (slba > (rule.lastLba ?? Number.MAX_SAFE_INTEGER) || slba + blocks <= (rule.firstLba ?? 0)) return false;
    }
    return this.matchesIdentifier(sqid, opcode, cdw10);
  }

  matchesDoorbell(qid: number, isCompletion: boolean): boolean {
    const { side } = this.rule;
    return this.matchesQueue(qid) && (side === undefined || (side === 'cq') === isCompletion);
  }

  matchesRegister(offset: number, isWrite: boolean): boolean {
    const { register, access } = this.rule;
    if (register !== undefined && FAULT_REGISTERS[register] !== offset) return false;
    return ((access ?? 'read') === 'write') === isWrite;
  }

  matchesInterrupt(cqid: number, vector: number): boolean {
    return this.matchesQueue(cqid) && (this.rule.vector === undefined || this.rule.vector === vector);
  }

  /** Counts a match and says whether the rule acts on it. */
  acts(): boolean {
    const { probability } = this.rule;
    this.matched++;
    if (this.matched <= this.skip || this.acted >= this.limit) return false;
    if (probability !== undefined && this.draw() >= probability * UINT32) return false;
    this.acted++;
    return true;
  }

  /** Whether the rule may still act. */
  get isSpent(): boolean {
    return this.acted >= this.limit;
  }

  counters(): FaultRuleCounters {
    const { matched, acted, random, dueNs } = this;
    return { matched, acted, random, dueNs: dueNs === Number.POSITIVE_INFINITY ? null : dueNs };
  }

  restore(counters: FaultRuleCounters): void {
    this.matched = counters.matched;
    this.acted = counters.acted;
    this.random = counters.random;
    this.dueNs = counters.dueNs ?? Number.POSITIVE_INFINITY;
  }

  private matchesQueue(qid: number): boolean {
    if (this.rule.qid !== undefined && this.rule.qid !== qid) return false;
    return this.isAdmin === null || this.isAdmin === (qid === 0);
  }

  private matchesIdentifier(sqid: number, opcode: number, cdw10: number): boolean {
    const { fid, lid, cns } = this.rule;
    if (fid === undefined && lid === undefined && cns === undefined) return true;
    if (sqid !== 0) return false;
    const id = cdw10 & 0xff;
    if (fid !== undefined && !((opcode === GET_FEATURES || opcode === SET_FEATURES) && id === fid)) return false;
    if (lid !== undefined && !(opcode === GET_LOG_PAGE && id === lid)) return false;
    return cns === undefined || (opcode === IDENTIFY && id === cns);
  }

  /** The next uint32 of the rule's own stream (xorshift). */
  private draw(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x >>> 0;
    return this.random;
  }
}
