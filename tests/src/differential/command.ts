/** The command `pnpm differential` without its process: arguments in, a report out. */
import { ourCorner, qemuCorner } from './corners.js';
import { KNOWN_DIFFERENCES } from './known-differences.js';
import { type Difference, lockstep, type Report, type RunOptions } from './lockstep.js';

const hex = (bytes: Uint8Array): string =>
  [...new Uint32Array(bytes.buffer, bytes.byteOffset, 16)].map((word) => word.toString(16).padStart(8, '0')).join(' ');

/** One difference as text. */
export function differenceText({ index, epochStart, step, ours, theirs }: Difference): string {
  const changed = step.changed.length === 0 ? '' : `, changed: ${step.changed.join(', ')}`;
  const pointers = step.pointers.map(
    ([at, { target, isAbsolute }]) => `${at}:${isAbsolute ? '' : '+'}${target.toString(16)}`,
  );
  return [
    `command ${index}: ${step.name} on queue ${step.queue}${changed}`,
    `  ${hex(step.sqe)}  (pointers ${pointers.join(' ')})`,
    `  ours: ${ours}`,
    `  QEMU: ${theirs}`,
    `  again: --from ${epochStart} --commands ${index - epochStart + 1}`,
  ].join('\n');
}

/** The report as text. */
export function reportText(report: Report): string {
  const sent = [...report.sent].map(
    ([name, counts]) => `  ${name}: ${counts.sent} sent, ${counts.succeeded} succeeded`,
  );
  const known = [...report.known].map(([id, count]) => `  ${id}: ${count}`);
  const unmet = KNOWN_DIFFERENCES.filter(({ id }) => !report.known.has(id)).map(({ id }) => id);
  return [
    `${report.commands} commands in ${report.epochs} epochs, ${report.unexplained.length} unexplained differences`,
    ...sent,
    ...(known.length === 0 ? [] : ['known differences:', ...known]),
    ...(unmet.length === 0 ? [] : [`entries of the table that nothing met: ${unmet.join(', ')}`]),
    ...report.unexplained.map(differenceText),
    '',
  ].join('\n');
}

/** Runs both corners and compares them. */
export async function differential(options: RunOptions): Promise<Report> {
  const theirs = await qemuCorner();
  try {
    const ours = await ourCorner();
    return await lockstep(ours, theirs, options);
  } finally {
    await theirs.close();
  }
}

/** What the command line asks for. */
export interface DifferentialOptions {
  readonly commands: number;
  readonly seed: number;
  /** Commands of the stream to leave out first. */
  readonly from: number;
  /** Unexplained differences after which it ends. */
  readonly limit: number;
  /** Print docs/differential.md instead. */
  readonly document: boolean;
}

const DEFAULT_COMMANDS = 10_000;
const DEFAULT_LIMIT = 20;
const MOST_COMMANDS = 100_000_000;
type NumberOption = 'commands' | 'seed' | 'from' | 'limit';
const NUMBERS: ReadonlyMap<string, readonly [name: NumberOption, atLeast: number, atMost: number]> = new Map([
  ['--commands', ['commands', 0, MOST_COMMANDS]],
  ['--seed', ['seed', 0, 0xffffffff]],
  ['--from', ['from', 0, MOST_COMMANDS]],
  ['--limit', ['limit', 1, MOST_COMMANDS]],
]);

/** Reads the arguments; a sentence when one is bad. */
export function parseOptions(args: readonly string[]): DifferentialOptions | string {
  const found = { commands: DEFAULT_COMMANDS, seed: 1, from: 0, limit: DEFAULT_LIMIT, document: false };
  for (let i = 0; i < args.length; i++) {
    const [option, attached] = (args[i] as string).split('=', 2) as [string, string | undefined];
    const number = NUMBERS.get(option);
    if (option === '--document') found.document = true;
    else if (option === '--') continue;
    else if (number === undefined) {
      return `"${args[i]}" is no option; allowed are ${[...NUMBERS.keys()].join(', ')} and --document.`;
    } else {
      const [name, atLeast, atMost] = number;
      const text = attached ?? args[++i];
      const value = Number(text);
      const isFit = text !== undefined && /^\d+$/.test(text) && value >= atLeast && value <= atMost;
      if (!isFit) {
        return `${option} is ${JSON.stringify(text ?? '')}; allowed: a whole number from ${atLeast} to ${atMost}.`;
      }
      found[name] = value;
    }
  }
  return found;
}
