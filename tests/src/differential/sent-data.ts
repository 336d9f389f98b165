/** The data that a command was to send to its host: where in the arena they lie, and what either host has there. */
import { DATA_PAGES, dword, LIST_PAGE, opcodeOf, PAGE, type Step } from './step.js';

/** A structure, or a part of one, as both hosts were sent it. */
export interface SentData {
  /** Offset of the first byte in the structure: a log page may be read from its middle. */
  readonly from: number;
  readonly ours: Uint8Array;
  readonly theirs: Uint8Array;
}

/** The pages that were compared after a step, in the order of `step.pages`, as each corner has them. */
export interface ComparedPages {
  readonly ours: readonly Uint32Array[];
  readonly theirs: readonly Uint32Array[];
}

const LOG_BYTES: ReadonlyMap<number, number> = new Map([
  [1, 64],
  [2, 512],
  [3, 512],
  [4, 4096],
  [5, 4096],
]);
const FEATURE_BYTES: ReadonlyMap<number, number> = new Map([
  [0x0e, 8],
  [0x16, 512],
]);

/** First byte and length of what Get Log Page, Identify or Get Features sends; null: it sends nothing that is known here. */
function extent(step: Step): { from: number; length: number } | null {
  if (step.queue !== 0) return null;
  const id = dword(step, 10) & 0xff;
  if (opcodeOf(step) === 6) return { from: 0, length: PAGE };
  if (opcodeOf(step) === 10) {
    const length = FEATURE_BYTES.get(id);
    return length === undefined ? null : { from: 0, length };
  }
  const size = LOG_BYTES.get(id);
  if (opcodeOf(step) !== 2 || size === undefined || dword(step, 13) !== 0) return null;
  const asked = 4 * ((dword(step, 10) >>> 16) + (dword(step, 11) & 0xffff) * 0x10000 + 1);
  const from = dword(step, 12);
  return from < size ? { from, length: Math.min(asked, size - from) } : null;
}

const targetAt = (step: Step, at: number): number | null => {
  const pointer = step.pointers.find(([offset]) => offset === at)?.[1];
  return pointer === undefined || pointer.isAbsolute === true ? null : pointer.target;
};

/** Where entry `index` of a PRP list points, if the list is that of the step. */
function listEntry(step: Step, listAt: number, index: number): number | null {
  const at = listAt + 8 * index;
  const changed = step.entries.findLast(([offset]) => offset === at)?.[1];
  if (changed !== undefined) return changed.isAbsolute === true ? null : changed.target;
  const first = (at - LIST_PAGE * PAGE) / 8;
  const isInList = step.list >= 0 && Number.isInteger(first) && first >= 0 && first < PAGE / 8;
  return isInList ? ((step.list + first) % DATA_PAGES) * PAGE : null;
}

/** Offsets in the arena of the data's bytes, as PRP1 and PRP2 say; null where they lead out of it. [NVMe] 4.3.1. */
function arenaOffsets(step: Step, length: number): readonly number[] | null {
  const first = targetAt(step, 24);
  const second = targetAt(step, 32);
  if (first === null) return null;
  const inFirst = Math.min(length, PAGE - (first % PAGE));
  const isList = length > inFirst + PAGE;
  const offsets: number[] = [];
  for (let i = 0; i < length; i++) {
    if (i < inFirst) {
      offsets.push(first + i);
      continue;
    }
    const page = Math.floor((i - inFirst) / PAGE);
    const start = second !== null && isList ? listEntry(step, second, page) : second;
    if (start === null) return null;
    offsets.push(start + ((i - inFirst) % PAGE));
  }
  return offsets;
}

/**
 * What both were sent, as far as its pages were compared; null unless all that differs lies in it, so that a difference
 * beside it is never taken for one in it.
 */
export function sentData(step: Step, pages: ComparedPages): SentData | null {
  const part = extent(step);
  const offsets = part === null ? null : arenaOffsets(step, part.length);
  if (part === null || offsets === null) return null;
  const bytesOf = (words: readonly Uint32Array[]): Map<number, Uint8Array> =>
    new Map(step.pages.map((page, i) => [page, bytes(words[i] as Uint32Array)]));
  const [left, right] = [bytesOf(pages.ours), bytesOf(pages.theirs)];
  const end = offsets.findIndex((offset) => !left.has(pageOf(offset)));
  const compared = end < 0 ? offsets : offsets.slice(0, end);
  const sent = (found: Map<number, Uint8Array>): Uint8Array =>
    Uint8Array.from(compared, (offset) => found.get(pageOf(offset))?.[offset % PAGE] as number);
  const data = { from: part.from, ours: sent(left), theirs: sent(right) };
  const inside = new Set(compared);
  for (const [page, a] of left) {
    const b = right.get(page) as Uint8Array;
    for (let at = 0; at < PAGE; at++) if (a[at] !== b[at] && !inside.has(page * PAGE + at)) return null;
  }
  return data;
}

const pageOf = (offset: number): number => Math.floor(offset / PAGE);
const bytes = (words: Uint32Array): Uint8Array => new Uint8Array(words.buffer, words.byteOffset, words.byteLength);

/** Whether nothing differs but bytes from `start` to before `end` of the structure. */
export function differsOnlyIn(data: SentData, ranges: readonly (readonly [start: number, end: number])[]): boolean {
  return data.ours.every((byte, i) => {
    const at = data.from + i;
    return byte === data.theirs[i] || ranges.some(([start, end]) => at >= start && at < end);
  });
}

export const differsIn = ({ ours, theirs }: SentData): boolean => ours.some((byte, i) => byte !== theirs[i]);

/** The bytes of both from `start` to before `end` of the structure; what was not sent is left out. */
export function field(data: SentData, start: number, end: number): SentData {
  const [a, b] = [Math.max(0, start - data.from), Math.max(0, end - data.from)];
  return { from: Math.max(start, data.from), ours: data.ours.subarray(a, b), theirs: data.theirs.subarray(a, b) };
}
