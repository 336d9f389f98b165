/** The command `pnpm differential` without its process: arguments in, a report out. */
import { ourCorner, qemuCorner } from './corners.js';
import { type Difference, lockstep, type Report } from './lockstep.js';

const hex = (bytes: Uint8Array): string =>
  [...new Uint32Array(bytes.buffer, bytes.byteOffset, 16)].map((word) => word.toString(16).padStart(8, '0')).join(' ');

/** One difference as text. */
export function differenceText({ index, step, ours, theirs }: Difference): string {
  const changed = step.changed.length === 0 ? '' : `, changed: ${step.changed.join(', ')}`;
  const pointers = step.pointers.map(
    ([at, { target, isAbsolute }]) => `${at}:${isAbsolute ? '' : '+'}${target.toString(16)}`,
  );
  return [
    `command ${index}: ${step.name} on queue ${step.queue}${changed}`,
    `  ${hex(step.sqe)}  (pointers ${pointers.join(' ')})`,
    `  ours: ${ours}`,
    `  QEMU: ${theirs}`,
  ].join('\n');
}

/** The report as text. */
export function reportText(report: Report): string {
  const sent = [...report.sent].map(
    ([name, counts]) => `  ${name}: ${counts.sent} sent, ${counts.succeeded} succeeded`,
  );
  const known = [...report.known].map(([id, count]) => `  ${id}: ${count}`);
  return [
    `${report.commands} commands in ${report.epochs} epochs, ${report.unexplained.length} unexplained differences`,
    ...sent,
    ...(known.length === 0 ? [] : ['known differences:', ...known]),
    ...report.unexplained.map(differenceText),
    '',
  ].join('\n');
}

/** Runs both corners and compares them. */
export async function differential(
  commands: number,
  seed: number,
  onProgress?: (commands: number) => void,
  limit = 20,
): Promise<Report> {
  const theirs = await qemuCorner();
  try {
    const ours = await ourCorner();
    return await lockstep(ours, theirs, { commands, seed, limit, ...(onProgress === undefined ? {} : { onProgress }) });
  } finally {
    await theirs.close();
  }
}

/** What the command line asks for. */
export interface DifferentialOptions {
  readonly commands: number;
  readonly seed: number;
  /** Print docs/differential.md instead. */
  readonly document: boolean;
}

const DEFAULT_COMMANDS = 10_000;
const LIMITS: Readonly<Record<string, number>> = { '--commands': 100_000_000, '--seed': 0xffffffff };

/** Reads the arguments; a sentence when one is bad. */
export function parseOptions(args: readonly string[]): DifferentialOptions | string {
  const found = { commands: DEFAULT_COMMANDS, seed: 1, document: false };
  for (let i = 0; i < args.length; i++) {
    const [option, attached] = (args[i] as string).split('=', 2) as [string, string | undefined];
    const limit = LIMITS[option];
    if (option === '--document') found.document = true;
    else if (option === '--') continue;
    else if (limit === undefined) return `"${args[i]}" is no option; allowed are --commands, --seed and --document.`;
    else {
      const text = attached ?? args[++i];
      const value = Number(text);
      const isFit = text !== undefined && /^\d+$/.test(text) && value <= limit;
      if (!isFit) return `${option} is ${JSON.stringify(text ?? '')}; allowed: a whole number from 0 to ${limit}.`;
      if (option === '--commands') found.commands = value;
      else found.seed = value;
    }
  }
  return found;
}
