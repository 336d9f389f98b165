/**
 * A journal as JSON, so that a report can carry a run. Bytes are `{ "$bytes": "<base64>" }`, or `{ "$fill": 90, "$length":
 * 4096 }` when they are all the same; everything else is what it is.
 */
import { base64Of, bytesOfBase64 } from './base64.js';
import type { MachineDescription } from './description.js';
import type { Journal, JournalCall } from './ports.js';

/** Grows when a form is not read by older versions. */
export const JOURNAL_SCHEMA_VERSION = 1;

/** What JSON can hold. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

/** A journal as JSON holds it. */
export interface JournalJson {
  readonly schemaVersion: typeof JOURNAL_SCHEMA_VERSION;
  readonly description: JsonValue;
  readonly calls: readonly {
    readonly items: number;
    readonly timeNs: number;
    readonly method: string;
    readonly args: readonly JsonValue[];
  }[];
}

/** As few equal bytes as are shorter when counted. */
const SHORTEST_FILL = 16;
const BYTES = '$bytes';
const FILL = '$fill';
const LENGTH = '$length';

/** The journal for `JSON.stringify`. Throws a RangeError that names the argument for what JSON cannot hold, such as the functions of one's own module. */
export function journalToJson(journal: Journal): JournalJson {
  return {
    schemaVersion: JOURNAL_SCHEMA_VERSION,
    description: toJson(journal.description, 'journal.description'),
    calls: journal.calls.map(({ items, timeNs, method, args }, index) => ({
      items,
      timeNs,
      method,
      args: args.map((arg, at) => toJson(arg, `journal.calls[${index}] (${method}).args[${at}]`)),
    })),
  };
}

function toJson(value: unknown, path: string): JsonValue {
  if (value instanceof Uint8Array) return bytesToJson(value);
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number' && value - value === 0) return value;
  if (Array.isArray(value)) return value.map((one, index) => toJson(one, `${path}[${index}]`));
  if (typeof value !== 'object' || !isPlain(value)) throw refused(path, value);
  const fields: Record<string, JsonValue> = {};
  for (const [name, one] of Object.entries(value)) {
    if (name.startsWith('$')) throw refused(`${path}.${name}`, name);
    if (one !== undefined) fields[name] = toJson(one, `${path}.${name}`);
  }
  return fields;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function refused(path: string, value: unknown): RangeError {
  const what = typeof value === 'object' ? 'an object of a class' : `a ${typeof value}`;
  return new RangeError(`${path} is ${typeof value === 'number' ? value : what}; allowed: what JSON holds, and bytes`);
}

function bytesToJson(bytes: Uint8Array): JsonValue {
  const [first = 0] = bytes;
  const isFill = bytes.length >= SHORTEST_FILL && bytes.every((byte) => byte === first);
  return isFill ? { [FILL]: first, [LENGTH]: bytes.length } : { [BYTES]: base64Of(bytes) };
}

/** The journal of what `JSON.parse` gave. Throws a RangeError of one sentence that names the field, its value and what is allowed. */
export function journalFromJson(json: unknown): Journal {
  const { schemaVersion, description, calls } = fieldsOf(json, 'journal', ['schemaVersion', 'description', 'calls']);
  if (schemaVersion !== JOURNAL_SCHEMA_VERSION) wrong('journal.schemaVersion', schemaVersion, JOURNAL_SCHEMA_VERSION);
  if (!Array.isArray(calls)) wrong('journal.calls', calls, 'a list');
  return {
    description: fromJson(
      fieldsOf(description, 'journal.description', null),
      'journal.description',
    ) as MachineDescription,
    calls: calls.map((call: unknown, index) => callOf(call, `journal.calls[${index}]`)),
  };
}

function callOf(json: unknown, path: string): JournalCall {
  const { items, timeNs, method, args } = fieldsOf(json, path, ['items', 'timeNs', 'method', 'args']);
  if (!isCount(items)) wrong(`${path}.items`, items, 'a whole number from 0');
  if (!isCount(timeNs)) wrong(`${path}.timeNs`, timeNs, 'a whole number from 0');
  if (typeof method !== 'string') wrong(`${path}.method`, method, 'a string');
  if (!Array.isArray(args)) wrong(`${path}.args`, args, 'a list');
  return { items, timeNs, method, args: args.map((arg, at) => fromJson(arg, `${path}.args[${at}]`)) };
}

/** A value of JSON with its bytes; what was left out in an argument list stays left out. */
function fromJson(json: unknown, path: string): unknown {
  if (json === null) return undefined;
  if (Array.isArray(json)) return json.map((one, index) => fromJson(one, `${path}[${index}]`));
  if (typeof json !== 'object') return json;
  const fields = json as Readonly<Record<string, unknown>>;
  if (BYTES in fields) {
    const text = fields[BYTES];
    return (typeof text === 'string' ? bytesOfBase64(text) : null) ?? wrong(`${path}.${BYTES}`, text, 'base64');
  }
  if (FILL in fields) {
    const { [FILL]: fill, [LENGTH]: length } = fields;
    if (!isCount(fill) || fill > 0xff) wrong(`${path}.${FILL}`, fill, 'a byte');
    if (!isCount(length)) wrong(`${path}.${LENGTH}`, length, 'a whole number from 0');
    return new Uint8Array(length).fill(fill);
  }
  return Object.fromEntries(Object.entries(fields).map(([name, one]) => [name, fromJson(one, `${path}.${name}`)]));
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value % 1 === 0;
}

function fieldsOf(json: unknown, path: string, names: readonly string[] | null): Readonly<Record<string, unknown>> {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) return wrong(path, json, 'an object');
  for (const name of names === null ? [] : Object.keys(json)) {
    if (names?.includes(name) === false) {
      throw new RangeError(`${path}.${name} is not known; allowed are ${names.join(', ')}`);
    }
  }
  return json as Readonly<Record<string, unknown>>;
}

function wrong(path: string, value: unknown, allowed: string | number): never {
  const shown = value === undefined ? 'missing' : `${JSON.stringify(value)}`;
  throw new RangeError(`${path} is ${shown.slice(0, 80)}; allowed: ${allowed}`);
}
