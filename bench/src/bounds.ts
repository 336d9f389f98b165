/** The bounds of the bench, and how a run stands to them. */

/** A figure, the bound it must keep, and both in words. */
export interface Verdict {
  readonly name: string;
  readonly measured: string;
  readonly bound: string;
  /** Null: there was nothing to hold it against. */
  readonly kept: boolean | null;
}

/** At most so many times the yardstick. */
export const NULL_READ_RATIO = 1.2;
export const READ_RATIO = 2;
export const INSMOD_MS = 20;

/** The middle value. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1] as number;
}

/** A figure in nanoseconds against a multiple of a yardstick's. */
export function ratioVerdict(
  name: string,
  ns: number,
  against: { name: string; ns: number } | null,
  most: number,
): Verdict {
  if (against === null) return { name, measured: `${ns.toFixed(0)} ns`, bound: `${most} x (no yardstick)`, kept: null };
  const ratio = ns / against.ns;
  return {
    name,
    measured: `${ns.toFixed(0)} ns, ${(1e3 / ns).toFixed(2)} M/s`,
    bound: `${ratio.toFixed(2)} x ${against.name} (${against.ns.toFixed(0)} ns); at most ${most} x`,
    kept: ratio <= most,
  };
}

/** A table for people. */
export function table(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ name, measured, bound, kept }) => [
    kept === null ? '-' : kept ? 'kept' : 'MISSED',
    name,
    measured,
    bound,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const pad = (row: string[]): string => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return `${rows.map(pad).join('\n')}\n`;
}
