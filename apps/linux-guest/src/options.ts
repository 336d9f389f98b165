/** The command line of the guest. */
import { readFileSync, statSync } from 'node:fs';
import {
  createNvmeController,
  type FaultPlanDescription,
  type NvmeControllerDescription,
} from '@nvme-stack/nvme-controller';
import { Command, CommanderError } from 'commander';

const NAMES = '--script, --trace, --fault, --controller, --image, --no-driver, --help and --version';
const MEBIBYTE = 1 << 20;
const DEFAULT_MIB = 64;
const SECTOR_BYTES = 512;

/** What a guest is started with. */
export interface LinuxOptions {
  /** Shell commands to run instead of an interactive shell; null: a shell. */
  readonly script: string | null;
  readonly trace: boolean;
  readonly faults: FaultPlanDescription | null;
  readonly controller: NvmeControllerDescription;
  /** Raw image under the first namespace; null: memory. */
  readonly image: string | null;
  /** Load the driver before anything else. */
  readonly driver: boolean;
}

/** Input that cannot be used; its message is the sentence for the user. */
export class BadInput extends Error {}

/** The options, or the text that `--help` or `--version` asks for. Throws BadInput. */
export function parseOptions(argv: readonly string[]): LinuxOptions | string {
  let text = '';
  const command = new Command('linux')
    .description(
      "Debian's Linux in an emulated PC, with our NVMe controller in its PCI slot and Linux's own driver on it: a shell " +
        'on its serial line, or the status of a script.',
    )
    .option('--script <file>', 'run the shell commands of a file in the guest and end with their status')
    .option('--trace', 'print registers and commands as they happen, decoded, on standard error', false)
    .option('--fault <file>', 'a fault plan (JSON) in force from when the driver has found the disk')
    .option('--controller <file>', 'the controller as JSON (default: one namespace of 64 MiB)')
    .option('--image <file>', 'a raw disk image under the first namespace (default: empty memory)')
    .option('--no-driver', 'do not load the driver; insmod /modules/nvme.ko does')
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
  const given = command.opts<{
    script?: string;
    trace: boolean;
    fault?: string;
    controller?: string;
    image?: string;
    driver: boolean;
  }>();
  const image = given.image ?? null;
  const controller =
    given.controller === undefined
      ? defaultController(image)
      : (fromJson('--controller', given.controller) as NvmeControllerDescription);
  const faults = given.fault === undefined ? null : (fromJson('--fault', given.fault) as FaultPlanDescription);
  checked('--controller', () => createNvmeController(controller));
  if (faults !== null) checked('--fault', () => createNvmeController(controller).faults.set(faults));
  return {
    script: given.script === undefined ? null : contents('--script', given.script),
    trace: given.trace,
    faults,
    controller,
    image,
    driver: given.driver,
  };
}

function defaultController(image: string | null): NvmeControllerDescription {
  return { namespaces: [{ sizeBytes: image === null ? DEFAULT_MIB * MEBIBYTE : imageBytes(image) }] };
}

function imageBytes(path: string): number {
  let size = 0;
  try {
    size = statSync(path).size;
  } catch (error) {
    throw unreadable('--image', path, error);
  }
  if (size > 0 && size % SECTOR_BYTES === 0) return size;
  throw new BadInput(`--image ${path} has ${size} bytes; allowed: a positive multiple of ${SECTOR_BYTES}.`);
}

function contents(option: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw unreadable(option, path, error);
  }
}

function unreadable(option: string, path: string, error: unknown): BadInput {
  return new BadInput(
    `${option} is ${JSON.stringify(path)}, which cannot be read (${(error as { code: string }).code}); allowed: a file.`,
  );
}

function fromJson(option: string, path: string): unknown {
  const text = contents(option, path);
  try {
    return JSON.parse(text);
  } catch {
    throw new BadInput(`${option} ${path} is no JSON; allowed: a JSON object.`);
  }
}

/** Has the part that uses the input check it; what that refuses is one sentence already. */
function checked(option: string, use: () => unknown): void {
  try {
    use();
  } catch (error) {
    if (!(error instanceof RangeError || error instanceof TypeError)) throw error;
    const what = error instanceof RangeError ? error.message : 'is not an object as it must be';
    throw new BadInput(`${option}: ${what}.`);
  }
}

/** What commander refuses, in one sentence of ours. */
function sentence(error: CommanderError, args: readonly string[]): string {
  const quoted = /'(.+)'/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'commander.unknownOption':
      return `${quoted} is not an option; allowed: ${NAMES}.`;
    case 'commander.optionMissingArgument':
      return `${quoted.split(' ')[0]} has no value; allowed: the path of a file after it.`;
    case 'commander.excessArguments':
      return `${JSON.stringify(args[0])} is no argument of linux; allowed: ${NAMES}.`;
    default:
      return `${error.message}; allowed: ${NAMES}.`;
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
