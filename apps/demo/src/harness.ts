/** Runs the demo as its process would, and keeps what it says; for tests. */
import type { Answer } from './keys.js';
import { main } from './main.js';

/** The surroundings of a run, where they are not plain. */
export interface Surroundings {
  readonly colour?: boolean;
  /** Columns of the terminal; null: none. */
  readonly columns?: number | null;
  readonly cwd?: string;
  /** Answers to the questions for a key. */
  readonly keys?: readonly Answer[];
}

/** What a run said. */
export interface Said {
  readonly code: number;
  readonly out: string;
  readonly error: string;
  /** What was drawn on the terminal besides. */
  readonly drawn: readonly string[];
  readonly keysAsked: number;
}

/** Operations of the load phase of a run that names none: enough for every queue. */
const FEW_OPERATIONS = ['--operations', '400'];

/** One run of the demo; its clock is the tests'. */
export async function demo(args: readonly string[] = [], surroundings: Surroundings = {}): Promise<Said> {
  const { colour = false, columns = null, cwd = process.cwd(), keys = [] } = surroundings;
  let out = '';
  let error = '';
  let nowMs = 0;
  let keysAsked = 0;
  const drawn: string[] = [];
  const isWhole = args.some((arg) => arg.startsWith('--operations')) || args.includes('--help');
  const code = await main(isWhole ? args : [...args, ...FEW_OPERATIONS], {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      error += text;
    },
    colour,
    columns,
    terminal: columns === null ? null : (text) => void drawn.push(text),
    cwd,
    nowMs: () => {
      nowMs += 10;
      return nowMs;
    },
    nextKey: async () => keys[keysAsked++] ?? 'next',
  });
  return { code, out, error, drawn, keysAsked };
}

/** Text without the codes that colour it. */
export function uncoloured(text: string): string {
  return text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[\\d;]*[mK]`, 'g'), '');
}
