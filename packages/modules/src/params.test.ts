import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseParam, parseParams, showParam } from './params.js';
import type { ModuleDefinition, ModuleParam } from './ports.js';

function param(type: ModuleParam['type'], more: Partial<ModuleParam> = {}): ModuleParam {
  return { name: 'p', type, defaultValue: 0, mode: 0o644, description: '', ...more };
}

describe('a parameter', () => {
  it.each([
    ['int', '-5', -5],
    ['int', '0x10', 16],
    ['int', '010', 8],
    ['int', '0', 0],
    ['int', '+7', 7],
    ['int', '12\n', 12],
    ['int', -2147483648, -2147483648],
    ['uint', '4294967295', 4294967295],
    ['ulong', '9007199254740991', Number.MAX_SAFE_INTEGER],
    ['bool', 'Y', true],
    ['bool', '1', true],
    ['bool', 'true', true],
    ['bool', true, true],
    ['bool', 'on', true],
    ['bool', 'n', false],
    ['bool', 'off', false],
    ['bool', 0, false],
    ['charp', 'round-robin', 'round-robin'],
    ['charp', 3, '3'],
  ] as const)('of type %s takes %j as %j', (type, given, value) => {
    expect(parseParam('m', param(type), given)).toBe(value);
  });

  it.each([
    ['int', '2147483648'],
    ['int', '-2147483649'],
    ['int', '1.5'],
    ['int', 1.5],
    ['int', '08'],
    ['int', ''],
    ['int', '12 '],
    ['int', true],
    ['int', null],
    ['int', Number.NaN],
    ['uint', '-1'],
    ['uint', 4294967296],
    ['ulong', '9007199254740992'],
    ['bool', 'maybe'],
    ['bool', 'o'],
    ['bool', ''],
    ['bool', 2],
    ['charp', 'x'.repeat(1025)],
    ['charp', {}],
  ] as const)('of type %s refuses %j', (type, given) => {
    expect(() => parseParam('m', param(type), given)).toThrow(/EINVAL/);
  });

  it('refuses in one sentence that names module, parameter, value and what is allowed', () => {
    expect(() => parseParam('nvme', param('uint', { name: 'poll_queues' }), 'many')).toThrow(
      "module nvme: parameter poll_queues cannot be 'many'; allowed is an integer from 0 to 4294967295: EINVAL (-22)",
    );
  });

  it('has the last word on its own value', () => {
    const even = param('int', { set: (value) => (value as number) & ~1 });
    expect(parseParam('m', even, '7')).toBe(6);
  });

  it('shows what it reads', async () => {
    await fc.assert(
      fc.property(fc.integer({ min: -0x80000000, max: 0x7fffffff }), fc.boolean(), (number, flag) => {
        expect(parseParam('m', param('int'), showParam(number))).toBe(number);
        expect(parseParam('m', param('int'), `${number < 0 ? '-' : ''}0x${Math.abs(number).toString(16)}`)).toBe(
          number,
        );
        expect(parseParam('m', param('bool'), showParam(flag))).toBe(flag);
      }),
    );
  });

  it('with an unknown name is refused, with the names there are', () => {
    const definition = { name: 'nvme', params: [param('int', { name: 'a' }), param('int', { name: 'b' })] };
    expect(() => parseParams(definition as unknown as ModuleDefinition, { c: 1 })).toThrow(
      "module nvme has no parameter 'c' (given '1'); it has a, b: EINVAL (-22)",
    );
    expect(() => parseParams(definition as unknown as ModuleDefinition, { toString: 1 })).toThrow(/EINVAL/);
  });
});
