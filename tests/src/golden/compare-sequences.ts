/** Compares two sequences of things with fields: what is missing, out of order, different or too much. */
import type { Finding } from './finding.js';

export interface SequenceItem {
  readonly line: number;
  readonly what: string;
  readonly fields: ReadonlyMap<string, number>;
}

/** Two equal items weigh more than any number of items that differ in a field. */
const EQUAL = 1e6;
const ALIKE = 1;

/** Findings of `ours` against `golden`: ours must have every field that golden has, with the same value. */
export function compareSequences(golden: readonly SequenceItem[], ours: readonly SequenceItem[]): Finding[] {
  const pairs = align(golden, ours);
  const leftOver = new Set(ours);
  for (const item of pairs.values()) leftOver.delete(item);
  const findings: Finding[] = [];
  for (const item of golden) {
    const counterpart = pairs.get(item);
    if (counterpart === undefined) findings.push(absent(item, leftOver));
    else if (!isEqual(item, counterpart))
      findings.push({ kind: 'different', line: item.line, text: difference(item, counterpart) });
  }
  const lineOf = new Map([...pairs].map(([item, counterpart]) => [counterpart, item.line]));
  let line = golden[0]?.line ?? 1;
  for (const item of ours) {
    line = lineOf.get(item) ?? line;
    if (leftOver.has(item))
      findings.push({ kind: 'different', line, text: `too much after this line: ${describe(item)}` });
  }
  return findings;
}

function absent(item: SequenceItem, leftOver: Set<SequenceItem>): Finding {
  const elsewhere = [...leftOver].find((other) => isEqual(item, other));
  if (elsewhere === undefined) return { kind: 'missing', line: item.line, text: describe(item) };
  leftOver.delete(elsewhere);
  return { kind: 'inverted', line: item.line, text: describe(item) };
}

function isEqual(golden: SequenceItem, ours: SequenceItem): boolean {
  if (golden.what !== ours.what) return false;
  for (const [name, value] of golden.fields) if (ours.fields.get(name) !== value) return false;
  return true;
}

function align(golden: readonly SequenceItem[], ours: readonly SequenceItem[]): Map<SequenceItem, SequenceItem> {
  const weight = (i: number, j: number): number => {
    if (golden[i].what !== ours[j].what) return 0;
    return isEqual(golden[i], ours[j]) ? EQUAL : ALIKE;
  };
  const best = Array.from({ length: golden.length + 1 }, () => new Float64Array(ours.length + 1));
  for (let i = golden.length - 1; i >= 0; i--) {
    for (let j = ours.length - 1; j >= 0; j--) {
      const together = weight(i, j);
      best[i][j] = Math.max(together > 0 ? together + best[i + 1][j + 1] : 0, best[i + 1][j], best[i][j + 1]);
    }
  }
  const pairs = new Map<SequenceItem, SequenceItem>();
  let i = 0;
  let j = 0;
  while (i < golden.length && j < ours.length) {
    const together = weight(i, j);
    if (together > 0 && best[i][j] === together + best[i + 1][j + 1]) pairs.set(golden[i++], ours[j++]);
    else if (best[i][j] === best[i][j + 1]) j++;
    else i++;
  }
  return pairs;
}

function describe(item: SequenceItem): string {
  const fields = [...item.fields].map(([name, value]) => `${name} ${show(value)}`);
  return [item.what, ...fields].join(', ');
}

function difference(golden: SequenceItem, ours: SequenceItem): string {
  const fields = [...golden.fields].filter(([name, value]) => ours.fields.get(name) !== value);
  const texts = fields.map(([name, value]) => {
    const actual = ours.fields.get(name);
    return `${name} is ${actual === undefined ? 'not known' : show(actual)}, not ${show(value)}`;
  });
  return `${golden.what}: ${texts.join('; ')}`;
}

function show(value: number): string {
  return value < 10 ? String(value) : `0x${value.toString(16)}`;
}
