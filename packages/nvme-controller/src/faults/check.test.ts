// Fault plans that are refused, each with one sentence, and the published schema.
import { describe, expect, it } from 'vitest';
import {
  checkFaultPlan,
  checkFaultRule,
  FAULT_FIELDS,
  FAULT_KINDS,
  type FaultKind,
  type FaultRule,
  faultPlanSchema,
  fieldsOf,
} from '../index.js';

const refusal = (plan: unknown): string => {
  try {
    checkFaultPlan(plan as never);
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return (error as RangeError).message;
  }
  return '';
};
const ofRule = (rule: unknown): string => refusal({ faults: [rule] });

describe('checkFaultPlan', () => {
  it('fills in seed and triggers', () => {
    expect(checkFaultPlan({ faults: [{ kind: 'hang' }, { kind: 'event', type: 1 }] })).toEqual({
      seed: 1,
      faults: [
        { kind: 'hang', on: 'command' },
        { kind: 'event', type: 1, on: 'time' },
      ],
    });
  });

  it.each<[unknown, string]>([
    [null, 'faults null is not allowed: it must be an object with a list `faults`'],
    [{ faults: [], rules: [] }, 'faults.rules is not known; allowed are seed, faults'],
    [{ seed: -1, faults: [] }, 'faults.seed -1 is not allowed: it must be a whole number from 0 to 4294967295'],
    [{ faults: 3 }, 'faults.faults 3 is not allowed: it must be a list of rules'],
    [{ faults: ['hang'] }, 'faults.faults[0] "hang" is not allowed: it must be an object with a `kind`'],
  ])('refuses the plan %j', (plan, sentence) => {
    expect(refusal(plan)).toBe(sentence);
  });

  it.each<[unknown, RegExp]>([
    [{ kind: 'explode' }, /^faults\.faults\[0\]\.kind "explode" is not allowed: it must be one of hang, /],
    [{ kind: 'toString' }, /^faults\.faults\[0\]\.kind "toString" is not allowed/],
    [{ kind: 'hang', on: 'time' }, /\.on "time" is not allowed: it must be one of command for kind hang$/],
    [{ kind: 'hang', delayNs: 3 }, /\.delayNs is not a field of kind hang on command; allowed are queue, qid, /],
    [{ kind: 'delay' }, /\.delayNs undefined is not allowed: it must be a whole number from 0 to 9007199254740991$/],
    [{ kind: 'delay', delayNs: 1.5 }, /\.delayNs 1\.5 is not allowed: it must be a whole number/],
    [{ kind: 'hang', opcode: 256 }, /\.opcode 256 is not allowed: it must be a whole number from 0 to 255$/],
    [{ kind: 'hang', command: 'reed' }, /\.command "reed" is not allowed: it must be one of deleteSq, /],
    [{ kind: 'hang', command: 'read', opcode: 2 }, /\.command "read" is not allowed: it must be alone/],
    [{ kind: 'hang', probability: 0 }, /\.probability 0 is not allowed: it must be above 0$/],
    [{ kind: 'hang', probability: 2 }, /\.probability 2 is not allowed: it must be a number from 0 to 1$/],
    [{ kind: 'hang', firstLba: 9, lastLba: 3 }, /\.firstLba 9 is not allowed: it must be at most lastLba 3$/],
    [
      { kind: 'register', register: 'CAP' },
      /\.value undefined is not allowed: it must be given, unless clear or set is$/,
    ],
    [{ kind: 'register', register: 'FOO', set: 1 }, /\.register "FOO" is not allowed: it must be one of CAP, CAP_HI, /],
    [{ kind: 'media-error', dnr: 1 }, /\.dnr 1 is not allowed: it must be true or false$/],
    [{ kind: 'corrupt', replace: [] }, /\.replace \[\] is not allowed: it must be a list of bytes, one at least$/],
    [
      { kind: 'corrupt', replace: [1, 256] },
      /\.replace\[1\] 256 is not allowed: it must be a whole number from 0 to 255$/,
    ],
    [{ kind: 'event' }, /\.type undefined is not allowed: it must be a whole number from 0 to 7$/],
  ])('refuses the rule %j', (rule, sentence) => {
    expect(ofRule(rule)).toMatch(sentence);
  });

  it('takes every kind with what it needs, and every field with some kind', () => {
    const usable = new Set<string>();
    for (const [kind, { on, needs }] of Object.entries(FAULT_KINDS)) {
      const values = Object.fromEntries(needs.map((name) => [name, name === 'register' ? 'CAP' : 1]));
      for (const trigger of on) {
        const rule = { kind, on: trigger, ...values, ...(kind === 'register' ? { set: 1 } : {}) };
        expect(() => checkFaultRule(rule as FaultRule), JSON.stringify(rule)).not.toThrow();
      }
      for (const trigger of on) for (const name of fieldsOf(kind as FaultKind, trigger)) usable.add(name);
    }
    expect([...usable].sort()).toEqual(Object.keys(FAULT_FIELDS).sort());
  });
});

it('publishes a schema with every field, each with a sentence', () => {
  const rule = faultPlanSchema.properties?.faults.items?.properties ?? {};
  expect(Object.keys(rule)).toEqual(['kind', 'on', ...Object.keys(FAULT_FIELDS)]);
  for (const [name, { description }] of Object.entries(rule)) expect(description, name).toMatch(/\.$/);
});
