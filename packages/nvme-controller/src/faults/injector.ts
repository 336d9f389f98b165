// The rules of a fault plan at work: the controller's FaultPlan that reads them, and what they do to it.
// Kernel counterpart: none. Spec: [NVMe] 2.0 §3.1.4.6 (CSTS), §5.2 (asynchronous events), §3.7 (resets).
import { NVME_SC_READ_ERROR, NVME_SC_WRITE_FAULT, NVME_STATUS_DNR, NvmeNvmOpcode } from '@nvme-stack/nvme-protocol';
import { raiseEvent } from '../async-events.js';
import { type ControllerState, EVENT_BACK, EVENT_FAULT } from '../controller-state.js';
import {
  type CommandFault,
  type CompletionFault,
  FAULT_ALTER,
  FAULT_DELAY,
  FAULT_DROP,
  FAULT_STATUS,
  type FaultControl,
  type FaultPlan,
  type FaultRuleReport,
  type InterruptFault,
} from '../ports.js';
import { fatalError } from '../registers.js';
import { resetQueues } from '../reset.js';
import { TRACE_FAULT } from '../trace-events.js';
import { checkFaultPlan, checkFaultRule } from './check.js';
import type { FaultPlanDescription, FaultRule } from './rule.js';
import { type FaultRuleCounters, FaultRuleState } from './rule-state.js';

const NEVER = false;

/** Rules in force, as a snapshot keeps them. */
export interface FaultSnapshot {
  readonly seed: number;
  readonly rules: readonly FaultRule[];
  readonly counters: readonly FaultRuleCounters[];
}

/** One controller's rules; consulted after the plan that came as code, if there is one. */
export class FaultInjector implements FaultPlan, FaultControl {
  readonly #controller: ControllerState;
  readonly #code: FaultPlan | null;
  #rules: FaultRuleState[];
  #seed: number;

  constructor(controller: ControllerState, code: FaultPlan | null) {
    this.#controller = controller;
    this.#code = code;
    this.#rules = [];
    this.#seed = 1;
    this.#putInForce();
  }

  get rules(): readonly FaultRuleReport[] {
    return this.#rules.map(({ rule, matched, acted }) => ({ rule, matched, acted }));
  }

  set(plan: FaultPlanDescription): void {
    const { seed, faults } = checkFaultPlan(plan);
    this.#seed = seed;
    this.#rules = faults.map((rule, i) => new FaultRuleState(rule, i, seed));
    for (const state of this.#rules) this.#startClock(state);
    this.#putInForce();
  }

  add(rule: FaultRule): void {
    const state = new FaultRuleState(checkFaultRule(rule), this.#rules.length, this.#seed);
    this.#rules.push(state);
    this.#startClock(state);
    this.#putInForce();
  }

  clear(): void {
    this.#rules = [];
    this.#putInForce();
  }

  /** The rules with their counters. */
  snapshot(): FaultSnapshot {
    return {
      seed: this.#seed,
      rules: this.#rules.map(({ rule }) => rule),
      counters: this.#rules.map((state) => state.counters()),
    };
  }

  /** Takes rules and counters; their timed events come with the controller's. */
  restore(snapshot: FaultSnapshot): void {
    this.set({ seed: snapshot.seed, faults: snapshot.rules });
    this.#rules.forEach((state, i) => {
      state.restore(snapshot.counters[i] as FaultRuleCounters);
    });
  }

  /** Virtual time has moved by so much since the times of the rules were set. */
  moveTimes(byNs: number): void {
    for (const state of this.#rules) state.dueNs += byNs;
  }

  /** The function was put on a board, or a reset has cleared the timed events: those of rules are armed again. */
  arm(): void {
    const { host, backAtNs } = this.#controller;
    if (host !== null && backAtNs !== Number.POSITIVE_INFINITY) {
      this.#controller.schedule(Math.max(0, backAtNs - host.nowNs()), EVENT_BACK, 0);
    }
    for (const state of this.#rules) {
      if (state.dueNs === Number.POSITIVE_INFINITY && state.matched === 0) this.#startClock(state);
      else if (state.dueNs !== Number.POSITIVE_INFINITY) this.#schedule(state);
    }
  }

  command(
    sqid: number,
    cid: number,
    opcode: number,
    nsid: number,
    slba: number,
    blocks: number,
    cdw10: number,
  ): CommandFault | null {
    const coded = this.#code?.command?.(sqid, cid, opcode, nsid, slba, blocks, cdw10) ?? null;
    if (coded !== null) return coded;
    let fault: CommandFault | null = null;
    for (const state of this.#rules) {
      if (state.rule.on !== 'command') continue;
      if (!state.matchesCommand(sqid, opcode, nsid, slba, blocks, cdw10) || !state.acts()) continue;
      this.#tell(state, sqid, cid);
      if (!this.#incident(state)) fault ??= commandFault(this.#controller, state.rule, opcode, cid);
    }
    return fault;
  }

  completion(cqid: number, sqid: number, cid: number, status: number): CompletionFault | null {
    return this.#code?.completion?.(cqid, sqid, cid, status) ?? null;
  }

  interrupt(cqid: number, vector: number): boolean | InterruptFault {
    const coded = this.#code?.interrupt?.(cqid, vector);
    if (coded) return coded;
    let fault: boolean | InterruptFault = false;
    for (const state of this.#rules) {
      if (state.rule.on !== 'interrupt' || !state.matchesInterrupt(cqid, vector) || !state.acts()) continue;
      this.#tell(state, cqid, vector);
      if (this.#incident(state) || fault !== false) continue;
      const { kind, delayNs, toVector } = state.rule;
      fault = kind === 'interrupt-lost' ? true : kind === 'interrupt-late' ? { delayNs } : { vector: toVector };
    }
    return fault;
  }

  doorbell(qid: number, isCompletion: boolean, value: number): boolean {
    let ignored = this.#code?.doorbell?.(qid, isCompletion, value) ?? false;
    for (const state of this.#rules) {
      if (state.rule.on !== 'doorbell' || !state.matchesDoorbell(qid, isCompletion) || !state.acts()) continue;
      this.#tell(state, qid, value);
      if (!this.#incident(state)) ignored = true;
    }
    return ignored;
  }

  register(offset: number, value: number, isWrite: boolean): number {
    let altered = this.#code?.register?.(offset, value, isWrite) ?? value;
    for (const state of this.#rules) {
      if (state.rule.on !== 'register' || !state.matchesRegister(offset, isWrite) || !state.acts()) continue;
      this.#tell(state, offset, value);
      const { rule } = state;
      if (!this.#incident(state)) altered = (((rule.value ?? altered) & ~(rule.clear ?? 0)) | (rule.set ?? 0)) >>> 0;
    }
    return altered;
  }

  ready(): boolean | number {
    return this.#code?.ready?.() === NEVER ? NEVER : this.#follows('enable');
  }

  unready(): boolean | number {
    return this.#code?.unready?.() === NEVER ? NEVER : this.#follows('disable');
  }

  shutdown(): boolean | number {
    return this.#code?.shutdown?.() === NEVER ? NEVER : this.#follows('shutdown');
  }

  /** A timed event came: what is due acts. */
  serveTime(nowNs: number): void {
    for (const state of [...this.#rules]) {
      if (state.dueNs > nowNs) continue;
      const { everyNs } = state.rule;
      state.dueNs = Number.POSITIVE_INFINITY;
      const acts = state.acts();
      if (everyNs !== undefined && !state.isSpent) {
        state.dueNs = nowNs + everyNs;
        this.#schedule(state);
      }
      if (!acts) continue;
      this.#tell(state, 0, 0);
      this.#incident(state);
    }
  }

  /** Nothing is asked while there is nothing to say: plain commands then go the short way. */
  #putInForce(): void {
    this.#controller.faults = this.#rules.length === 0 ? this.#code : this;
  }

  #startClock(state: FaultRuleState): void {
    const { host } = this.#controller;
    if (state.rule.on !== 'time' || host === null) return;
    state.dueNs = host.nowNs() + (state.rule.afterNs ?? state.rule.everyNs ?? 0);
    this.#schedule(state);
  }

  #schedule(state: FaultRuleState): void {
    const controller = this.#controller;
    if (controller.host === null) return;
    controller.schedule(Math.max(0, state.dueNs - controller.host.nowNs()), EVENT_FAULT, state.index);
  }

  /** What CSTS does after CC: true as it would, false never, else so many nanoseconds later. */
  #follows(on: 'enable' | 'disable' | 'shutdown'): boolean | number {
    let answer: boolean | number = true;
    for (const state of this.#rules) {
      if (state.rule.on !== on || !state.acts()) continue;
      this.#tell(state, 0, 0);
      if (!this.#incident(state) && answer === true) answer = state.rule.delayNs ?? NEVER;
    }
    return answer;
  }

  /** What befalls the controller as a whole; false for a kind that alters one thing. */
  #incident({ rule }: FaultRuleState): boolean {
    const controller = this.#controller;
    switch (rule.kind) {
      case 'fatal':
        fatalError(controller);
        return true;
      case 'gone':
        disappear(controller, rule.forNs);
        return true;
      case 'event':
        raiseEvent(controller, rule.type as number, rule.info ?? 0, rule.logPage ?? 0);
        return true;
      case 'spurious-interrupt':
        for (let i = 0; i < (rule.count ?? 1); i++) spuriousInterrupt(controller, rule.toVector ?? 0);
        return true;
      default:
        return false;
    }
  }

  #tell(state: FaultRuleState, a: number, b: number): void {
    if (this.#controller.tracing) this.#controller.host?.trace(TRACE_FAULT, state.index, state.acted, a, b);
  }
}

function commandFault(controller: ControllerState, rule: FaultRule, opcode: number, cid: number): CommandFault {
  switch (rule.kind) {
    case 'hang':
      return { kind: FAULT_DROP };
    case 'delay':
      return { kind: FAULT_DELAY, delayNs: rule.delayNs as number };
    case 'status':
      return { kind: FAULT_STATUS, status: rule.status as number };
    case 'media-error': {
      controller.health.mediaErrors++;
      const isRead =
        opcode === NvmeNvmOpcode.read || opcode === NvmeNvmOpcode.compare || opcode === NvmeNvmOpcode.verify;
      const status = isRead ? NVME_SC_READ_ERROR : NVME_SC_WRITE_FAULT;
      return { kind: FAULT_STATUS, status: status | (rule.dnr ? NVME_STATUS_DNR : 0) };
    }
    case 'drop-completion':
      return { kind: FAULT_ALTER, completion: { drop: true } };
    case 'duplicate':
      return { kind: FAULT_ALTER, completion: { duplicates: rule.count ?? 1 } };
    case 'corrupt':
      return { kind: FAULT_ALTER, data: corruption(rule) };
    case 'transfer-error':
      return { kind: FAULT_ALTER, data: { offset: rule.afterBytes ?? 0, fails: true } };
    default:
      return { kind: FAULT_ALTER, completion: alteredEntry(rule, cid) };
  }
}

function corruption({ offsetBytes = 0, lengthBytes, xor = 0xff, replace }: FaultRule): {
  offset: number;
  length: number;
  xor: number;
  replace?: readonly number[];
} {
  const length = lengthBytes ?? replace?.length ?? 1;
  return replace === undefined ? { offset: offsetBytes, length, xor } : { offset: offsetBytes, length, xor, replace };
}

function alteredEntry(rule: FaultRule, cid: number): CompletionFault {
  const { status, dw0, sqid, sqhd, invertPhase } = rule;
  const altered = rule.cid ?? (rule.cidXor === undefined ? undefined : cid ^ rule.cidXor);
  return {
    ...(status === undefined ? {} : { status }),
    ...(dw0 === undefined ? {} : { dw0 }),
    ...(sqid === undefined ? {} : { sqid }),
    ...(sqhd === undefined ? {} : { sqhd }),
    ...(invertPhase === undefined ? {} : { invertPhase }),
    ...(altered === undefined ? {} : { cid: altered }),
  };
}

function spuriousInterrupt(controller: ControllerState, vector: number): void {
  const { endpoint } = controller;
  if (controller.isGone) return;
  if (endpoint.messageSignalled) {
    endpoint.notify(vector);
    return;
  }
  // An edge on the pin that no queue is the cause of: up, and down again.
  endpoint.setIntx(true);
  endpoint.setIntx((controller.intStatus & ~controller.intMask) !== 0);
}

/** The function falls off the bus: what it was doing is lost. */
function disappear(controller: ControllerState, forNs: number | undefined): void {
  if (controller.isGone) return;
  controller.isGone = true;
  controller.backAtNs = forNs === undefined ? Number.POSITIVE_INFINITY : (controller.host?.nowNs() ?? 0) + forNs;
  resetQueues(controller);
  controller.virtualFunctions?.removeAll();
  controller.registers.cc = 0;
  controller.registers.csts = 0;
}
