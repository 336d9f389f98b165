/** What a comparison finds. */

export type FindingKind = 'missing' | 'inverted' | 'different';

export interface Finding {
  readonly kind: FindingKind;
  /** The capture's line, from 1. */
  readonly line: number;
  readonly text: string;
}

/** The result for one capture file. */
export interface Comparison {
  readonly findings: readonly Finding[];
  /** How many things of the capture were compared, and how many were left out, each in words. */
  readonly notes: readonly string[];
}

export const FINDING_KINDS: readonly FindingKind[] = ['missing', 'inverted', 'different'];

/** How many findings there are of a kind. */
export function countOf(comparison: Comparison, kind: FindingKind): number {
  return comparison.findings.filter((finding) => finding.kind === kind).length;
}
