/** The demo's command line. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';

const MAX_CPUS = 64;
const MAX_SEED = 0xffffffff;
const DEFAULT_CPUS = 4;
const NAMES = '--json, --seed, --cpus, --help and --version';

/** What a run is made of. */
export interface DemoOptions {
  readonly json: boolean;
  readonly cpus: number;
  /** Null: what is ready runs first in, first out. */
  readonly seed: number | null;
}

/** Input that cannot be used; its message is the sentence for the user. */
export class BadInput extends Error {}

/** The options, or the text that `--help` or `--version` asks for. Throws BadInput. */
export function parseOptions(argv: readonly string[]): DemoOptions | string {
  let text = '';
  const command = new Command('demo')
    .description(
      "Linux's NVMe storage path from insmod to I/O: the log, how nvme_probe is reached, " +
        'one verified write and read, rmmod, and what was left behind.',
    )
    .option('--json', 'print one JSON document and nothing else', false)
    .option(
      '--seed <n>',
      `let seed n, 0 to ${MAX_SEED}, choose among what is ready at the same moment (default: first in, first out)`,
      wholeNumber('--seed', 0, MAX_SEED),
    )
    .option('--cpus <n>', `CPUs of the machine, 1 to ${MAX_CPUS}`, wholeNumber('--cpus', 1, MAX_CPUS), DEFAULT_CPUS)
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print this')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({
      writeOut: (part) => {
        text += part;
      },
      writeErr: () => {},
      outputError: () => {},
    });
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new BadInput(sentence(error, command.args));
    return text;
  }
  const { json, seed, cpus } = command.opts<{ json: boolean; seed?: number; cpus: number }>();
  return { json, cpus, seed: seed ?? null };
}

/** A parser of an option's value. */
function wholeNumber(name: string, minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    throw new BadInput(`${name} is ${JSON.stringify(text)}; allowed: a whole number from ${minimum} to ${maximum}.`);
  };
}

/** What commander refuses, in one sentence of ours. */
function sentence(error: CommanderError, args: readonly string[]): string {
  const quoted = /'(.+)'/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'commander.unknownOption':
      return `${quoted} is not an option; allowed: ${NAMES}.`;
    case 'commander.optionMissingArgument':
      return `${quoted.split(' ')[0]} has no value; allowed: a whole number after it.`;
    case 'commander.excessArguments':
      return `${JSON.stringify(args[0])} is no argument of the demo; allowed: ${NAMES}.`;
    default:
      return `${error.message}; allowed: ${NAMES}.`;
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
