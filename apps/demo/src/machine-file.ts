/** A described machine from a file: JSON or YAML, checked against the published JSON Schema. */
import { readFileSync } from 'node:fs';
import { type MachineDescription, machineSchema, validate } from '@nvme-stack/machine';
import { type Document, isMap, isScalar, parseDocument } from 'yaml';
import { BadInput, refusal } from './input.js';

/** A description is text of people; what is longer is not one. */
const MAX_BYTES = 1 << 20;
const MAX_ALIASES = 100;

/** Reads a description; `name` is the path as the user gave it. Throws BadInput. */
export function readMachine(path: string, name: string): MachineDescription {
  const document = parseDocument(readText(path, name), { uniqueKeys: true });
  const problem = document.errors[0];
  if (problem !== undefined) {
    const { line = 1, col = 1 } = problem.linePos?.[0] ?? {};
    const [what = 'it cannot be read'] = problem.message.split(/ at line |\n/);
    throw notReadable(name, `line ${line}, column ${col}: ${what}`);
  }
  keepProfileText(document);
  const description = toData(document, name);
  try {
    validate(machineSchema, description, 'machine');
  } catch (error) {
    if (error instanceof RangeError) throw new BadInput(`${name}: ${error.message}.`);
    throw error;
  }
  return description as MachineDescription;
}

/** What the document says; an empty one says nothing. */
function toData(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {};
  } catch (error) {
    // References to what is not there, or that grow without end.
    throw notReadable(name, error instanceof Error ? (error.message.split('\n')[0] as string) : String(error));
  }
}

function notReadable(name: string, why: string): BadInput {
  return new BadInput(`--machine is ${JSON.stringify(name)}; allowed: JSON or YAML, but ${why}.`);
}

function readText(path: string, name: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch {
    throw refusal('--machine', name, 'the path of a readable file');
  }
  if (bytes.length > MAX_BYTES) throw refusal('--machine', name, `a description of at most ${MAX_BYTES} bytes`);
  return new TextDecoder().decode(bytes);
}

/** `profile: 4.10` is a number to YAML; a profile is the text that stands there. */
function keepProfileText({ contents }: Document): void {
  if (!isMap(contents)) return;
  const value = contents.get('profile', true);
  if (isScalar(value) && typeof value.value === 'number' && value.source !== undefined) value.value = value.source;
}
