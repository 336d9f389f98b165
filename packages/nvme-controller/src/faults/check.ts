// Checks fault plans, and the JSON Schema they are published under.
// Kernel counterpart: none.
import { checkNumber, refuse } from '../refuse.js';
import {
  FAULT_COMMANDS,
  FAULT_FIELDS,
  FAULT_KINDS,
  type FaultField,
  type FaultKind,
  type FaultPlanDescription,
  type FaultRule,
  type FaultTrigger,
  type FieldCheck,
  fieldsOf,
  TRIGGER_FIELDS,
} from './rule.js';

/** A plan that was checked: every rule has its trigger, numbers are within their ranges. */
export interface CheckedFaultPlan {
  readonly seed: number;
  readonly faults: readonly CheckedFaultRule[];
}

/** A rule with its trigger. */
export type CheckedFaultRule = FaultRule & { readonly on: FaultTrigger };

/** Checks a plan; throws one RangeError sentence that names field, value and what is allowed. `at` names the plan. */
export function checkFaultPlan(plan: FaultPlanDescription, at = 'faults'): CheckedFaultPlan {
  if (!isObject(plan)) refuse(at, plan, 'an object with a list `faults`');
  for (const name of Object.keys(plan)) {
    if (name !== 'seed' && name !== 'faults')
      throw new RangeError(`${at}.${name} is not known; allowed are seed, faults`);
  }
  const seed = plan.seed ?? 1;
  checkNumber(`${at}.seed`, seed, 0, 0xffffffff);
  if (!Array.isArray(plan.faults)) refuse(`${at}.faults`, plan.faults, 'a list of rules');
  return { seed, faults: plan.faults.map((rule: FaultRule, i) => checkFaultRule(rule, `${at}.faults[${i}]`)) };
}

/** Checks one rule; throws as `checkFaultPlan` does. */
export function checkFaultRule(rule: FaultRule, at = 'fault'): CheckedFaultRule {
  if (!isObject(rule)) refuse(at, rule, 'an object with a `kind`');
  const shape = Object.hasOwn(FAULT_KINDS, rule.kind) ? FAULT_KINDS[rule.kind] : undefined;
  if (shape === undefined) refuse(`${at}.kind`, rule.kind, `one of ${Object.keys(FAULT_KINDS).join(', ')}`);
  const on = rule.on ?? (shape.on[0] as FaultTrigger);
  if (!shape.on.includes(on)) refuse(`${at}.on`, on, `one of ${shape.on.join(', ')} for kind ${rule.kind}`);
  const fields = fieldsOf(rule.kind, on);
  for (const [name, value] of Object.entries(rule)) {
    if (name === 'kind' || name === 'on' || value === undefined) continue;
    if (!fields.includes(name as FaultField)) {
      throw new RangeError(
        `${at}.${name} is not a field of kind ${rule.kind} on ${on}; allowed are ${fields.join(', ')}`,
      );
    }
    checkField(FAULT_FIELDS[name as FaultField], value, `${at}.${name}`);
  }
  for (const name of shape.needs) if (rule[name] === undefined) refuse(`${at}.${name}`, undefined, wants(name));
  checkTogether(rule, at);
  return { ...rule, on };
}

function checkTogether(rule: FaultRule, at: string): void {
  const { firstLba = 0, lastLba = Number.MAX_SAFE_INTEGER } = rule;
  if (firstLba > lastLba) refuse(`${at}.firstLba`, firstLba, `at most lastLba ${lastLba}`);
  if (rule.probability === 0) refuse(`${at}.probability`, 0, 'above 0');
  if (rule.kind === 'register' && rule.value === undefined && rule.clear === undefined && rule.set === undefined) {
    refuse(`${at}.value`, undefined, 'given, unless clear or set is');
  }
  if (rule.command !== undefined && (rule.opcode !== undefined || rule.queue !== undefined)) {
    refuse(`${at}.command`, rule.command, 'alone: it says queue and opcode');
  }
}

function checkField(check: FieldCheck, value: unknown, at: string): void {
  if ('enum' in check) {
    if (!check.enum.includes(value as string)) refuse(at, value, `one of ${check.enum.join(', ')}`);
    return;
  }
  switch (check.type) {
    case 'integer':
      checkNumber(at, value as number, check.minimum, check.maximum);
      return;
    case 'number':
      if (typeof value !== 'number' || !(value >= check.minimum && value <= check.maximum)) {
        refuse(at, value, `a number from ${check.minimum} to ${check.maximum}`);
      }
      return;
    case 'boolean':
      if (typeof value !== 'boolean') refuse(at, value, 'true or false');
      return;
    default:
      checkBytes(value, at);
  }
}

function checkBytes(value: unknown, at: string): void {
  if (!Array.isArray(value) || value.length === 0) refuse(at, value, 'a list of bytes, one at least');
  value.forEach((byte: number, i: number) => {
    checkNumber(`${at}[${i}]`, byte, 0, 0xff);
  });
}

function wants(name: FaultField): string {
  const check: FieldCheck = FAULT_FIELDS[name];
  if ('enum' in check) return `one of ${check.enum.join(', ')}`;
  return check.type === 'integer' ? `a whole number from ${check.minimum} to ${check.maximum}` : `a ${check.type}`;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A node of the schema below; keywords as in JSON Schema 2020-12. */
export interface FaultSchema {
  readonly description?: string;
  readonly type?: 'object' | 'array' | 'integer' | 'number' | 'boolean';
  readonly enum?: readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: FaultSchema;
  readonly properties?: Readonly<Record<string, FaultSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

function schemaOf(check: FieldCheck): FaultSchema {
  if ('enum' in check || check.type !== 'bytes') return check;
  return { type: 'array', items: { type: 'integer', minimum: 0, maximum: 0xff }, description: check.description };
}

/** JSON Schema of a fault plan; which fields go with which kind is for `checkFaultPlan`. */
export const faultPlanSchema: FaultSchema = {
  type: 'object',
  additionalProperties: false,
  required: ['faults'],
  description: 'Misbehaviour of the controller.',
  properties: {
    seed: { type: 'integer', minimum: 0, maximum: 0xffffffff, description: 'Seed of the probabilities.' },
    faults: {
      type: 'array',
      description: 'Rules, in order.',
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['kind'],
        properties: {
          kind: { enum: Object.keys(FAULT_KINDS) as FaultKind[], description: 'What goes wrong.' },
          on: { enum: Object.keys(TRIGGER_FIELDS), description: 'What the rule is tied to.' },
          ...Object.fromEntries(Object.entries(FAULT_FIELDS).map(([name, check]) => [name, schemaOf(check)])),
        },
      },
    },
  },
};

/** Queue and opcode of a rule that names a command. */
export function commandOf(rule: FaultRule): { readonly admin: boolean; readonly opcode: number } | null {
  return rule.command === undefined ? null : (FAULT_COMMANDS.get(rule.command) ?? null);
}
