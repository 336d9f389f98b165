/** Widths, headings and tables of the demo's text. Text is cut before it is coloured. */
import type { Paint } from './paint.js';

/** How wide and in which colours screens are written. */
export interface View {
  readonly paint: Paint;
  /** Columns a line may have. */
  readonly width: number;
  /** On a terminal long log lines are wrapped; elsewhere they stay as they are. */
  readonly wraps: boolean;
  /** What passes in the machine: time of its own, or that of the world. */
  readonly time: 'virtual' | 'real';
}

/** Columns where there is no terminal, and the least and most that are used of one. */
export const PLAIN_WIDTH = 100;
const MIN_WIDTH = 60;
const MAX_WIDTH = 160;

/** The width used for a terminal of so many columns; null: no terminal. */
export function widthOf(columns: number | null): number {
  return columns === null ? PLAIN_WIDTH : Math.min(Math.max(columns, MIN_WIDTH), MAX_WIDTH);
}

/** The first line of a screen. */
export function heading({ paint, width }: View, number: string, title: string): string {
  const head = `── ${number}  `;
  const rule = ` ${'─'.repeat(Math.max(width - head.length - title.length - 1, 3))}`;
  return paint.quiet(head) + paint.title(title) + paint.quiet(rule);
}

/** The text, at most so long. */
export function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(length - 1, 0))}…`;
}

/** Words in lines of at most `width`, later lines indented. */
export function wrap(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (line !== '' && longer.length > width) {
      lines.push(line);
      line = indent + word;
    } else {
      line = longer;
    }
  }
  return [...lines, line];
}

/** A cell: text, or a number that stands to the right. */
export type Cell = string | number;

/** A table indented by two; the head is quiet, numbers stand to the right, the last column is cut to the width. */
export function table({ paint, width }: View, head: readonly string[], rows: readonly (readonly Cell[])[]): string[] {
  const texts = rows.map((row) => row.map((cell) => (typeof cell === 'number' ? count(cell) : cell)));
  const widths = head.map((title, i) => Math.max(title.length, ...texts.map((row) => row[i]?.length ?? 0)));
  const isNumber = head.map((_, i) => rows.some((row) => typeof row[i] === 'number' || /^[\d.]+$/.test(`${row[i]}`)));
  const line = (cells: readonly string[]): string =>
    clip(
      `  ${cells.map((cell, i) => (isNumber[i] ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('  ')}`,
      width,
    ).trimEnd();
  return [paint.quiet(line(head)), ...texts.map(line)];
}

/** A whole number with its thousands apart. */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ');
}

/** Virtual microseconds with three decimals. */
export function us(ns: number): string {
  return (ns / 1000).toFixed(3);
}

/** A duration in the unit that suits it. */
export function duration(ns: number): string {
  if (ns < 1e6) return `${(ns / 1e3).toFixed(1)} us`;
  return ns < 1e9 ? `${(ns / 1e6).toFixed(1)} ms` : `${(ns / 1e9).toFixed(2)} s`;
}

/** A size as people write it. */
export function size(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}

/** CPUs as Linux lists them: `0-3,7`. */
export function cpuList(cpus: readonly number[]): string {
  const runs: string[] = [];
  for (let i = 0; i < cpus.length; i++) {
    const first = cpus[i];
    while (i + 1 < cpus.length && cpus[i + 1] === (cpus[i] as number) + 1) i++;
    runs.push(first === cpus[i] ? String(first) : `${first}-${cpus[i]}`);
  }
  return runs.join(',');
}

/** At most `most` lines, and how many more there were. */
export function first(lines: readonly string[], most: number, what: string, paint: Paint): string[] {
  if (lines.length <= most) return [...lines];
  return [...lines.slice(0, most - 1), paint.quiet(`  … and ${lines.length - most + 1} more ${what}`)];
}
