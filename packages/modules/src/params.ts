/**
 * Module parameters: from what a user gave to a checked value, and back to the text sysfs shows.
 * Kernel counterpart: kernel/params.c, lib/kstrtox.c.
 */
import { KernelError } from '@nvme-stack/kernel';
import type { ModuleDefinition, ModuleParam } from './ports.js';

/** A parameter's value. */
export type ParamValue = number | boolean | string;

const INT_RANGES: Readonly<Record<'int' | 'uint' | 'ulong', readonly [number, number]>> = {
  int: [-0x80000000, 0x7fffffff],
  uint: [0, 0xffffffff],
  // Numbers are exact up to here.
  ulong: [0, Number.MAX_SAFE_INTEGER],
};

/** Longest text of a `charp`. @kernel kernel/params.c param_set_charp */
const MAX_TEXT = 1024;

const INTEGER = /^([+-]?)(?:0[xX]([0-9a-fA-F]+)|0([0-7]+)|(0|[1-9][0-9]*))$/;

/** An integer in decimal, 0x hexadecimal or 0 octal; null when it is none. @kernel lib/kstrtox.c kstrtoint */
function parseInteger(text: string): number | null {
  const match = INTEGER.exec(text);
  if (match === null) return null;
  const [, sign, hex, octal, decimal] = match;
  let value: number;
  if (hex !== undefined) value = Number.parseInt(hex, 16);
  else if (octal !== undefined) value = Number.parseInt(octal, 8);
  else value = Number.parseInt(decimal as string, 10);
  return sign === '-' && value !== 0 ? -value : value;
}

/** The first letters decide; null when they do not. @kernel lib/kstrtox.c kstrtobool */
function parseBool(text: string): boolean | null {
  if (/^[yYtT1]/.test(text)) return true;
  if (/^[nNfF0]/.test(text)) return false;
  if (/^[oO][nN]/.test(text)) return true;
  return /^[oO][fF]/.test(text) ? false : null;
}

/** What a parameter of this type may hold, in words. */
function allowedText(param: ModuleParam): string {
  if (param.type === 'bool') return 'Y, N, 1, 0, on, off, true or false';
  if (param.type === 'charp') return `a text of at most ${MAX_TEXT} characters`;
  const [least, most] = INT_RANGES[param.type];
  return `an integer from ${least} to ${most}`;
}

/** Checked against the type only; null: refused. */
function parseTyped(param: ModuleParam, given: unknown): ParamValue | null {
  if (typeof given !== 'string' && typeof given !== 'number' && typeof given !== 'boolean') return null;
  const text = String(given).replace(/\n$/, '');
  if (param.type === 'bool') return parseBool(text);
  if (param.type === 'charp') return text.length <= MAX_TEXT ? text : null;
  if (typeof given === 'boolean') return null;
  const value = typeof given === 'number' ? given : parseInteger(text);
  const [least, most] = INT_RANGES[param.type];
  return value !== null && Number.isInteger(value) && value >= least && value <= most ? value : null;
}

/** The value to store. Throws EINVAL with one sentence that names module, parameter, value and what is allowed. @kernel kernel/params.c parse_one */
export function parseParam(module: string, param: ModuleParam, given: unknown): ParamValue {
  const value = parseTyped(param, given);
  if (value === null) {
    throw new KernelError(
      'EINVAL',
      `module ${module}: parameter ${param.name} cannot be '${String(given)}'; allowed is ${allowedText(param)}`,
    );
  }
  return param.set === undefined ? value : param.set(value);
}

/** All values of a module, defaults included. Throws EINVAL for an unknown name as well. @kernel kernel/params.c parse_args */
export function parseParams(
  definition: ModuleDefinition,
  given: Readonly<Record<string, unknown>>,
): Record<string, ParamValue> {
  const { name, params } = definition;
  for (const key of Object.keys(given)) {
    if (params.some((param) => param.name === key)) continue;
    const known = params.map((param) => param.name).join(', ');
    throw new KernelError(
      'EINVAL',
      `module ${name} has no parameter '${key}' (given '${String(given[key])}'); it has ${known === '' ? 'none' : known}`,
    );
  }
  const values: Record<string, ParamValue> = {};
  for (const param of params) {
    values[param.name] = Object.hasOwn(given, param.name)
      ? parseParam(name, param, given[param.name])
      : param.defaultValue;
  }
  return values;
}

/** As sysfs shows it. @kernel kernel/params.c param_get_bool */
export function showParam(value: ParamValue): string {
  if (typeof value === 'boolean') return value ? 'Y\n' : 'N\n';
  return `${value}\n`;
}
