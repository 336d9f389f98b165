/** A known difference, and the words in which answers are told apart. */
import type { Failures } from './failures.js';
import type { Medium } from './medium.js';
import type { SentData } from './sent-data.js';
import { opcodeOf, type Step } from './step.js';

export interface KnownDifference {
  readonly id: string;
  /** What differs, in a sentence. */
  readonly what: string;
  /** The section of the specification that decides. */
  readonly spec: string;
  /** Who is right, and why it stays. */
  readonly why: string;
  /** Whether it is why the answers differ: status, dword 0, queue, events. Absent: it never is. */
  matches?(step: Step, ours: string, theirs: string, where: Where): boolean;
  /** Bytes of the structure sent to the host that it explains, where both succeeded. Absent: none. */
  bytes?(step: Step): readonly ByteRange[];
  /** What must be true of those bytes besides. Absent: nothing. */
  holds?(data: SentData, failures: Failures): boolean;
}

/** What a command met: the arena as it is now, and the format of the namespace. */
export interface Where {
  readonly memory: Uint8Array;
  readonly medium: Medium;
}

/** Bytes of a structure, from one to before another. */
export type ByteRange = readonly [start: number, end: number];

/** Status as `type/code`. */
export const is = (text: string, status: string): boolean => text.startsWith(status);
export const SUCCESS = '0/00';
export const INVALID_FIELD = '0/02';
export const TRANSFER_ERROR = '0/04';
export const COMPARE_FAILURE = '2/85';

export const statusOf = (text: string): string => text.slice(0, 4);
export const isIo = (step: Step, opcode: number): boolean => step.queue !== 0 && opcodeOf(step) === opcode;
export const isAdmin = (step: Step, opcode: number): boolean => step.queue === 0 && opcodeOf(step) === opcode;
/** Statuses that say what is wrong with an SGL. */
export const SGL_ERRORS: ReadonlySet<string> = new Set(['0/0d', '0/0e', '0/0f', '0/11']);
