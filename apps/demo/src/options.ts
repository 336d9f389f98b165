/** The demo's command line. */
import { readFileSync } from 'node:fs';
import { PROFILES } from '@nvme-stack/machine';
import { Command, CommanderError, Option } from 'commander';
import { BadInput, refusal } from './input.js';

const MAX_CPUS = 64;
const MAX_SEED = 0xffffffff;
const MAX_OPERATIONS = 10_000_000;
const DEFAULT_OPERATIONS = 6_000;
const PLATFORMS = ['sim', 'qemu'] as const;
const TRACES = ['graph', 'events', 'chrome'] as const;

/** How a trace is written. */
export type TraceFormat = (typeof TRACES)[number];
/** Where the devices are: in this process, or in a QEMU. */
export type Platform = (typeof PLATFORMS)[number];
/** A kernel profile by its name. */
export type Profile = (typeof PROFILES)[number];

/** What a run is made of. */
export interface DemoOptions {
  /** Null: the described machine's, or the default. */
  readonly profile: Profile | null;
  readonly compare: readonly [Profile, Profile] | null;
  /** Whose controller it is; null: the described machine's, or ours. */
  readonly platform: Platform | null;
  readonly cpus: number | null;
  /** Null: what is ready runs first in, first out, unless the described machine says otherwise. */
  readonly seed: number | null;
  /** Path of a machine's description. */
  readonly machine: string | null;
  /** Path of a raw disk image. */
  readonly disk: string | null;
  readonly writable: boolean;
  /** Operations of the load phase. */
  readonly operations: number;
  readonly trace: TraceFormat | null;
  /** Path the trace is written to; null: standard output. */
  readonly out: string | null;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly step: boolean;
}

/** Pairs of options that do not go together, and why. */
const CONFLICTS: readonly (readonly [one: keyof DemoOptions, other: keyof DemoOptions, why: string])[] = [
  ['compare', 'profile', '--compare names both profiles'],
  ['compare', 'disk', '--compare shows two kernels loading the driver'],
  ['compare', 'trace', '--compare has two traces'],
  ['compare', 'step', '--compare is one screen'],
  ['json', 'trace', '--json has the trace in its document'],
  ['json', 'step', '--json has no screens'],
  ['quiet', 'step', '--quiet has no screens'],
];

/** The options, or the text that `--help` or `--version` asks for. Throws BadInput. */
export function parseOptions(argv: readonly string[]): DemoOptions | string {
  let text = '';
  const command = createCommand((part) => {
    text += part;
  });
  try {
    command.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new BadInput(sentence(error, command));
    return text;
  }
  const given = command.opts<Partial<Omit<DemoOptions, 'compare'>> & { readonly compare?: readonly string[] }>();
  const options: DemoOptions = {
    profile: given.profile ?? null,
    compare: given.compare === undefined ? null : pair(given.compare),
    platform: given.platform ?? null,
    cpus: given.cpus ?? null,
    seed: given.seed ?? null,
    machine: given.machine ?? null,
    disk: given.disk ?? null,
    writable: given.writable ?? false,
    operations: given.operations ?? DEFAULT_OPERATIONS,
    trace: given.trace ?? null,
    out: given.out ?? null,
    json: given.json ?? false,
    quiet: given.quiet ?? false,
    step: given.step ?? false,
  };
  refuseConflicts(options);
  return options;
}

function createCommand(writeOut: (part: string) => void): Command {
  const whole = (name: string, minimum: number, maximum: number) => wholeNumber(name, minimum, maximum);
  return new Command('demo')
    .description(
      "Linux's NVMe storage path from insmod to I/O, one screen per step: the log, how nvme_probe is reached, queues " +
        'and interrupts, a verified write, a load on every queue, rmmod, and what was left behind.',
    )
    .optionsGroup('What runs:')
    .option('--profile <version>', `kernel to follow: ${PROFILES.join(', ')}`, (text) => profile('--profile', text))
    .option('--compare <versions...>', 'two kernels side by side, what differs marked')
    .addOption(
      new Option(
        '--platform <where>',
        "sim: this project's controller, in virtual time (default); qemu: QEMU's own, in real time",
      ).argParser(platform),
    )
    .option('--cpus <n>', `CPUs of the machine, 1 to ${MAX_CPUS} (default: 4)`, whole('--cpus', 1, MAX_CPUS))
    .option('--seed <n>', 'let this seed choose among what is ready at the same moment', whole('--seed', 0, MAX_SEED))
    .option('--machine <file>', 'a described machine, JSON or YAML; see apps/demo/examples', path('--machine'))
    .option('--disk <file>', 'a raw disk image as nvme0n1, read whole through the stack', path('--disk'))
    .option('--writable', 'images may be written to (default: they are read-only)')
    .option(
      '--operations <n>',
      `reads and writes of the load phase (default: ${DEFAULT_OPERATIONS})`,
      whole('--operations', 0, MAX_OPERATIONS),
    )
    .optionsGroup('What is shown:')
    .option('--step', 'wait for a key between screens')
    .option('--quiet', 'only the result, one line')
    .option('--json', 'one JSON document and nothing else')
    .addOption(
      new Option(
        '--trace <format>',
        "graph: Linux's function graph; events: Linux's trace events; chrome: for ui.perfetto.dev",
      ).argParser(traceFormat),
    )
    .option('--out <file>', 'where the trace goes (default: standard output, and nothing else does)', path('--out'))
    .optionsGroup('Also:')
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print this')
    .addHelpText('after', '\nPaths are relative to where you stand. Exit codes: 0 done, 1 the run failed, 2 bad input.')
    .allowExcessArguments(false)
    .exitOverride()
    .configureOutput({ writeOut, writeErr: () => {}, outputError: () => {}, getOutHelpWidth: () => 100 });
}

/** A parser of an option's value. */
function wholeNumber(name: string, minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (value >= minimum && value <= maximum) return value;
    throw refusal(name, text, `a whole number from ${minimum} to ${maximum}`);
  };
}

function path(name: string): (text: string) => string {
  return (text) => {
    if (text === '') throw refusal(name, text, 'the path of a file');
    return text;
  };
}

function profile(name: string, text: string): Profile {
  const found = PROFILES.find((one) => one === text);
  if (found === undefined) throw refusal(name, text, `one of ${PROFILES.join(', ')}`);
  return found;
}

function pair(texts: readonly string[]): readonly [Profile, Profile] {
  const [one, other] = texts;
  if (texts.length !== 2 || one === undefined || other === undefined) {
    throw refusal('--compare', texts.join(' '), `two of ${PROFILES.join(', ')}`);
  }
  return [profile('--compare', one), profile('--compare', other)];
}

function traceFormat(text: string): TraceFormat {
  const found = TRACES.find((one) => one === text);
  if (found === undefined) throw refusal('--trace', text, `one of ${TRACES.join(', ')}`);
  return found;
}

function platform(text: string): Platform {
  const found = PLATFORMS.find((one) => one === text);
  if (found === undefined) throw refusal('--platform', text, `one of ${PLATFORMS.join(', ')}`);
  return found;
}

function refuseConflicts(options: DemoOptions): void {
  for (const [one, other, why] of CONFLICTS) {
    if (isGiven(options[one]) && isGiven(options[other]))
      throw new BadInput(`--${one} does not go with --${other}: ${why}.`);
  }
  if (options.out !== null && options.trace === null) {
    throw new BadInput(`--out is ${JSON.stringify(options.out)}; allowed: only with --trace graph, events or chrome.`);
  }
  if (options.writable && options.disk === null && options.machine === null) {
    throw new BadInput('--writable says nothing here; allowed: only with --disk or --machine.');
  }
  if (options.step && options.trace !== null && options.out === null) {
    throw new BadInput('--step does not go with --trace without --out: standard output has the trace.');
  }
}

function isGiven(value: DemoOptions[keyof DemoOptions]): boolean {
  return value !== null && value !== false;
}

/** What commander refuses, in one sentence of ours. */
function sentence(error: CommanderError, command: Command): string {
  const quoted = /'(.+)'/.exec(error.message)?.[1] ?? '';
  const names = command.options.map(({ long }) => long).filter((name) => name !== '--version');
  const allowed = `${names.join(', ')}, --version and --help`;
  switch (error.code) {
    case 'commander.unknownOption':
      return `${quoted} is not an option; allowed: ${allowed}.`;
    case 'commander.optionMissingArgument': {
      const [name, value = ''] = quoted.split(' ');
      return `${name} has no value; allowed: ${MISSING[value] ?? 'a value'} after it.`;
    }
    case 'commander.excessArguments':
      return `${JSON.stringify(command.args[0])} is no argument of the demo; allowed: ${allowed}.`;
    default:
      return `${error.message}; allowed: ${allowed}.`;
  }
}

/** What an option without its value wants, by the value's name in the help. */
const MISSING: Readonly<Record<string, string>> = {
  '<n>': 'a whole number',
  '<version>': `one of ${PROFILES.join(', ')}`,
  '<versions...>': `two of ${PROFILES.join(', ')}`,
  '<file>': 'the path of a file',
  '<where>': `one of ${PLATFORMS.join(', ')}`,
  '<format>': `one of ${TRACES.join(', ')}`,
};

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
